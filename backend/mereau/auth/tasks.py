"""Housekeeping of auth."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.auth import repository
from mereau.core.db import transaction

IDEMPOTENCY_DAYS: Final = 30
_CHUNK_ROWS: Final = 5_000


async def forget_idempotency_keys(engine: AsyncEngine, now: datetime) -> int:
    """Delete stored answers older than 30 days, in chunks of their own transactions; how many went.

    Nothing is counted twice afterwards: sales, returns and redemptions carry business references that never
    expire.
    """
    before = now - timedelta(days=IDEMPOTENCY_DAYS)
    total = 0
    while True:
        async with transaction(engine) as session:
            gone = await repository.forget_before(session, before, _CHUNK_ROWS)
        total += gone
        if gone < _CHUNK_ROWS:
            return total
