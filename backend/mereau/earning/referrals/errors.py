"""Refusals of referrals: each has a stable code of its own."""

from mereau.core.errors import ConflictError


class NotNewError(ConflictError):
    """Only who has just joined, and not bought yet, was brought by somebody."""

    code, title = "not_new", "The member is not new"


class AttributedOtherwiseError(ConflictError):
    """A member is brought by one other, once."""

    code, title = "attributed_otherwise", "The member was brought by somebody else"
