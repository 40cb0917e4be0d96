"""How many guesses are allowed. Pure."""

from datetime import datetime, timedelta
from typing import Final

WINDOW: Final = timedelta(minutes=10)
"""Guesses are counted from the first on; after this the count starts anew."""
PER_ACCOUNT_MAX: Final = 10
"""What one API key may guess in a window. A right guess is given back: a till that claims all day is not stopped."""
PER_ADDRESS_MAX: Final = 50
"""What one address may guess in a window, with however many keys."""


def allowances(key_id: str, address: str) -> dict[str, int]:
    """Whose guesses are counted, and how many they may make."""
    return {f"account:{key_id}": PER_ACCOUNT_MAX, f"address:{address}": PER_ADDRESS_MAX}


def seconds_left(window_start: datetime, now: datetime) -> int:
    """How long a window still lasts, in whole seconds, at least one."""
    return max(1, int((window_start + WINDOW - now).total_seconds()) + 1)
