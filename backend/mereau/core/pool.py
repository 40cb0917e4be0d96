"""A connection pool that serves whoever waits in the order of their coming."""

import asyncio
from typing import Any

from sqlalchemy import exc
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry
from sqlalchemy.util import await_only


class FairPool(AsyncAdaptedQueuePool):
    """SQLAlchemy's pool, with turns.

    A queue of asyncio wakes who waits longest and lets whoever comes by meanwhile take what it was woken for,
    after which it waits behind all others: under load some wait many times as long as most. A semaphore of
    asyncio passes nobody over.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._turns = asyncio.Semaphore(self.size())

    def _do_get(self) -> ConnectionPoolEntry:
        await_only(self._turn())
        try:
            return super()._do_get()
        except BaseException:
            self._turns.release()
            raise

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        super()._do_return_conn(record)
        self._turns.release()

    async def _turn(self) -> None:
        try:
            async with asyncio.timeout(self.timeout()):
                await self._turns.acquire()
        except TimeoutError as error:
            raise exc.TimeoutError(f"None of {self.size()} connections came free in {self.timeout():g} s.") from error
