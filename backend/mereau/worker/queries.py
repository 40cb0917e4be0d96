"""Advisory locks: of several processes that could do a job, one does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


class Leadership:
    """A session lock on a connection of its own; PostgreSQL frees it when that connection ends."""

    def __init__(self, connection: AsyncConnection, key: int) -> None:
        self._connection = connection
        self._key = key
        self._held = False

    async def held(self) -> bool:
        """Whether this process leads, after trying to where nobody does. Raises where the connection broke."""
        if self._held:
            await self._connection.execute(text("select 1"))
        else:
            taken = await self._connection.execute(text("select pg_try_advisory_lock(:key)"), {"key": self._key})
            self._held = bool(taken.scalar_one())
        return self._held


@asynccontextmanager
async def leadership(engine: AsyncEngine, key: int) -> AsyncIterator[Leadership]:
    """Stand for one job. The lock goes with the block."""
    async with engine.connect() as connection:
        lasting = await connection.execution_options(isolation_level="AUTOCOMMIT")
        try:
            yield Leadership(lasting, key)
        finally:
            # Closed for good: back in the pool it would keep the lock.
            await lasting.invalidate()
