"""Why nothing is credited or debited by hand."""

from mereau.core.errors import ConflictError, ForbiddenError


class AdjustmentLimitError(ConflictError):
    """The person's, or the member's, day holds no more."""

    code, title = "adjustment_limit", "The day's limit is reached"


class NothingToTakeError(ConflictError):
    """A debit reverses only what this partner issued, and the member has nothing free of it."""

    code, title = "nothing_to_take", "There is nothing to take"


class NotPendingError(ConflictError):
    """The request was decided before, or is over."""

    code, title = "not_pending", "The request waits for no decision"


class OwnRequestError(ForbiddenError):
    """Two people decide; whoever asks is one of them already."""

    code, title = "own_request", "Somebody else must decide"
