"""When refunded tokens expire. Pure."""

from datetime import datetime, timedelta
from typing import Final

GRACE: Final = timedelta(days=30)
"""How long refunded tokens live whose time was over by then."""


def refund_expiry(expires_at: datetime | None, now: datetime) -> datetime | None:
    """The original expiry; where it has passed, a time of grace from now on."""
    if expires_at is None or expires_at > now:
        return expires_at
    return now + GRACE
