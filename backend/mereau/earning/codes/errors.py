"""Refusals of codes: each has a stable code of its own."""

from mereau.core.errors import ConflictError, InvalidInputError


class CodeNotValidError(InvalidInputError):
    """Unknown, used, expired, not yet valid, withdrawn: one answer for all, or guessing would pay."""

    code, title = "code_not_valid", "The code is not valid"


class CodeEarnsNothingError(ConflictError):
    """The code is good and no rule gives anything for it now; it stays good."""

    code, title = "code_earns_nothing", "The code earns nothing now"
