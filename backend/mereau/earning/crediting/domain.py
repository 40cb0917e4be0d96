"""When what is earned activates and expires. Pure."""

from datetime import datetime

from mereau.earning.domain import RuleSpec
from mereau.programs.lives.domain import Lives, lot_life


def life_by_rule(
    spec: RuleSpec, lives: Lives, occurred_at: datetime, now: datetime
) -> tuple[datetime, datetime | None]:
    """As the programme says, but for what the rule says otherwise; its expiry runs from the rule's activation."""
    activation, expiry = spec.activation or lives.activation, spec.expiry or lives.expiry
    return lot_life(activation, expiry, occurred_at, now, lives.tz)
