"""When what is earned activates and expires. Pure."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from mereau.earning.domain import RuleSpec
from mereau.programs.lives.domain import activation_of, expiry_of


def life(
    occurred_at: datetime, now: datetime, activation_delay_s: int, token_life_days: int | None
) -> tuple[datetime, datetime | None]:
    """When tokens become spendable and when they expire, where the programme alone decides.

    The return window runs from the occasion; tokens of a window that is over activate at once, never in the
    past, and the expiry clock starts at activation: an import of old sales brings tokens with a full life.
    """
    activates_at = max(occurred_at + timedelta(seconds=activation_delay_s), now)
    expires_at = None if token_life_days is None else activates_at + timedelta(days=token_life_days)
    return activates_at, expires_at


def life_by_rule(
    spec: RuleSpec,
    occurred_at: datetime,
    now: datetime,
    activation_delay_s: int,
    token_life_days: int | None,
    zone: ZoneInfo,
) -> tuple[datetime, datetime | None]:
    """As `life`, but for what the rule says otherwise; the programme's expiry runs from the rule's activation."""
    activates_at, expires_at = life(occurred_at, now, activation_delay_s, token_life_days)
    if spec.activation is not None:
        activates_at = activation_of(spec.activation, occurred_at, now, zone) or activates_at
        expires_at = None if token_life_days is None else activates_at + timedelta(days=token_life_days)
    if spec.expiry is not None:
        expires_at = expiry_of(spec.expiry, activates_at, zone)
    return activates_at, expires_at
