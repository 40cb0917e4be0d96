"""When what is earned activates and expires. Pure."""

from datetime import datetime, timedelta


def life(
    occurred_at: datetime, now: datetime, activation_delay_s: int, token_life_days: int | None
) -> tuple[datetime, datetime | None]:
    """When tokens become spendable and when they expire.

    The return window runs from the occasion; tokens of a window that is over activate at once, never in the
    past, and the expiry clock starts at activation: an import of old sales brings tokens with a full life.
    """
    activates_at = max(occurred_at + timedelta(seconds=activation_delay_s), now)
    expires_at = None if token_life_days is None else activates_at + timedelta(days=token_life_days)
    return activates_at, expires_at
