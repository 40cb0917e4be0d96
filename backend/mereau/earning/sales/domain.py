"""What a sale earns at most, and when it activates. Pure."""

from datetime import datetime, timedelta

from mereau.core.amounts import MAX_TOKENS
from mereau.core.errors import FieldError
from mereau.sales.errors import InvalidSaleError


def too_many_tokens(tokens: int) -> InvalidSaleError | None:
    """The refusal of a sale whose tokens leave the range that every reader keeps exact."""
    if tokens <= MAX_TOKENS:
        return None
    finding = FieldError("/lines", "out_of_range", "the sale earns 2^53 tokens or more")
    return InvalidSaleError("The sale is not valid.", errors=[finding])


def life(
    occurred_at: datetime, now: datetime, activation_delay_s: int, token_life_days: int | None
) -> tuple[datetime, datetime | None]:
    """When a sale's tokens become spendable and when they expire.

    The return window runs from the sale; tokens of a window that is over activate at once, never in the
    past, and the expiry clock starts at activation: an import of old sales brings tokens with a full life.
    """
    activates_at = max(occurred_at + timedelta(seconds=activation_delay_s), now)
    expires_at = None if token_life_days is None else activates_at + timedelta(days=token_life_days)
    return activates_at, expires_at
