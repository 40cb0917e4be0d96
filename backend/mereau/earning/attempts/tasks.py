"""Forgetting guesses whose window is long over."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import transaction
from mereau.earning.attempts import repository

_KEPT: Final = timedelta(days=1)
_PER_PASS: Final = 5_000


async def forget_attempts(engine: AsyncEngine, now: datetime) -> int:
    """Delete counts that no limit looks at any more; how many."""
    total = 0
    while True:
        async with transaction(engine) as session:
            gone = await repository.forget_before(session, now - _KEPT, _PER_PASS)
        total += gone
        if gone < _PER_PASS:
            return total
