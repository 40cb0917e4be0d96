"""Refusals of tiers: each has a stable code of its own."""

from mereau.core.errors import ConflictError


class NoTiersError(ConflictError):
    """No set of tiers is in force, or there is no draft to look at."""

    code, title = "no_tiers", "There are no such tiers"


class OtherDraftError(ConflictError):
    """The draft was replaced since the caller saw it."""

    code, title = "other_draft", "The draft is another one"
