"""Refusals of segments: each has a stable code of its own."""

from mereau.core.errors import ConflictError


class WrongKindError(ConflictError):
    """A static list has no filter to refresh, and members of any other segment are not named by hand."""

    code, title = "wrong_kind", "Not for this kind of segment"
