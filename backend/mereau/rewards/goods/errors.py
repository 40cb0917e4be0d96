"""Why goods cannot be moved or offered."""

from mereau.core.errors import ConflictError


class NotApprovedError(ConflictError):
    """Goods are given away only once they are approved and while they are not withdrawn."""

    code, title = "goods_not_approved", "The goods are not approved"


class StockTooLowError(ConflictError):
    """The movement would take pieces that are promised to somebody."""

    code, title = "stock_too_low", "Not enough pieces on hand"
