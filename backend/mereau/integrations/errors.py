"""Refusals of the importer."""

from mereau.core.errors import InvalidInputError, MereauError


class UnknownMappingError(InvalidInputError):
    """No mapping of that name; the text lists those that there are."""

    code, title = "unknown_mapping", "No such mapping"


class UnreadableFileError(InvalidInputError):
    """The file cannot be read as what the mapping expects; nothing was imported."""

    code, title = "unreadable_file", "The file cannot be read"


class RefusedLineError(MereauError):
    """One line that says nothing usable; `detail` is the reason that the report shows."""

    status, code, title = 422, "refused_line", "The line is refused"
