"""One active relayer: an advisory lock decides who, a fencing epoch stops whoever only believes it still is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import psycopg
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import WriteSession, transaction

_LOCK_CLASS: Final = 0x6D6572  # "mer"; the second key of the lock is the lease's name, hashed

_NEXT_EPOCH: Final = """
    insert into chain_leases (name, epoch) values (%s, 1)
    on conflict (name) do update set epoch = chain_leases.epoch + 1
    returning epoch
"""
# FOR SHARE makes a successor's next epoch wait until this transaction has ended, so that it sees its writes.
_HOLDS: Final = text("select 1 from chain_leases where name = :name and epoch = :epoch for share")


class LeaseLostError(Exception):
    """Another process holds the lease now; nothing of the transaction was written."""


class Lease:
    """The right to write as `name`, and the wake-up calls that come on the same connection.

    The connection is the lease's own: while it lives, PostgreSQL keeps the lock; when it breaks, the lock is
    free and the epoch of whoever takes it next fences this one out.
    """

    def __init__(self, engine: AsyncEngine, name: str, channels: tuple[str, ...] = ()) -> None:
        self._engine = engine
        self._name = name
        self._channels = channels
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._epoch: int | None = None

    async def acquire(self) -> int | None:
        """The holder's epoch, or None while another process holds the lease. Cheap when held already."""
        try:
            return await self._acquire()
        except psycopg.OperationalError:
            await self.close()
            raise

    async def _acquire(self) -> int | None:
        connection = await self._connected()
        if self._epoch is not None:
            await connection.execute("select 1")
            return self._epoch
        lock = await connection.execute("select pg_try_advisory_lock(%s, hashtext(%s))", [_LOCK_CLASS, self._name])
        row = await lock.fetchone()
        if row is None or not row[0]:
            return None
        epoch = await (await connection.execute(_NEXT_EPOCH, [self._name])).fetchone()
        self._epoch = None if epoch is None else int(epoch[0])
        return self._epoch

    async def wait(self, timeout_s: float) -> bool:
        """Whether a notification came on the lease's channels within `timeout_s` seconds."""
        connection = await self._connected()
        return bool([notice async for notice in connection.notifies(timeout=timeout_s, stop_after=1)])

    @asynccontextmanager
    async def writing(self, name: str) -> AsyncIterator[WriteSession]:
        """The transaction `name`, which holds only under this lease's epoch. Raises LeaseLostError."""
        async with transaction(self._engine, name) as session:
            if await session.scalar(_HOLDS, {"name": self._name, "epoch": self._epoch}) is None:
                self._epoch = None
                raise LeaseLostError(f"another process is the {self._name} now")
            yield session

    async def close(self) -> None:
        """Give the lock back."""
        connection, self._connection, held = self._connection, None, self._epoch is not None
        self._epoch = None
        if connection is None:
            return
        if held:
            # A closed connection's lock lasts until the server notices; a standby should not wait for that.
            with suppress(psycopg.Error):
                await connection.execute("select pg_advisory_unlock_all()")
        await connection.close()

    async def _connected(self) -> psycopg.AsyncConnection[Any]:
        if self._connection is None or self._connection.closed:
            self._epoch = None
            url = self._engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
            self._connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
            for channel in self._channels:
                await self._connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
        return self._connection
