"""Refusals of members: each has a stable code of its own."""

from mereau.core.errors import ConflictError


class BirthDateLockedError(ConflictError):
    """The birth date was set less than a year ago; an operator may change it, with a reason."""

    code, title = "birth_date_locked", "The birth date cannot be changed yet"
