"""What a sale earns at most. Pure."""

from mereau.core.amounts import MAX_TOKENS
from mereau.core.errors import FieldError
from mereau.sales.errors import InvalidSaleError


def too_many_tokens(tokens: int) -> InvalidSaleError | None:
    """The refusal of a sale whose tokens leave the range that every reader keeps exact."""
    if tokens <= MAX_TOKENS:
        return None
    finding = FieldError("/lines", "out_of_range", "the sale earns 2^53 tokens or more")
    return InvalidSaleError("The sale is not valid.", errors=[finding])
