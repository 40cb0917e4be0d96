"""Refusals of sales and returns: each has a stable code of its own."""

from mereau.core.errors import ConflictError, InvalidInputError


class OverReturnError(ConflictError):
    """More units come back than were sold and not yet returned."""

    code, title = "over_return", "More is returned than was sold"


class InvalidSaleError(InvalidInputError):
    """A sale or return that cannot be, such as one in another currency or in the future."""

    code, title = "invalid_sale", "The document is not valid"
