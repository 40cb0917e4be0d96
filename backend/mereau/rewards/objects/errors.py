"""Why an object cannot be marked or passed on."""

from mereau.core.errors import ConflictError


class AlreadyMarkedError(ConflictError):
    """The codes of these pieces were printed: they are shown once."""

    code, title = "already_marked", "The codes were already given out"


class ActivatedError(ConflictError):
    """What the object promised is activated: it stays with its owner."""

    code, title = "activated", "The object is activated"
