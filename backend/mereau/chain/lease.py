"""One active relayer: an advisory lock decides who, a fencing epoch stops whoever only believes it still is."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar

import psycopg
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.activity import LEASES_LOCK
from mereau.core.db import WriteSession, transaction

Result = TypeVar("Result")

_BEATS: Final = 4
"""Signs of life within the patience, so that one late beat costs nothing."""

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
    free and the epoch of whoever takes it next fences this one out. PostgreSQL also ends it when nothing was
    heard of its owner for `patience_s` (a paused process, a lost host), and the owner gives it up when the
    server does not answer for as long.
    """

    def __init__(
        self, engine: AsyncEngine, name: str, channels: tuple[str, ...] = (), *, patience_s: float = 5.0
    ) -> None:
        self._engine = engine
        self._name = name
        self._channels = channels
        self._patience_s = patience_s
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._heart: asyncio.Task[None] | None = None
        self._epoch: int | None = None

    async def acquire(self) -> int | None:
        """The holder's epoch, or None while another process holds the lease. Cheap when held already.

        Raises psycopg.OperationalError where the connection broke or the server is silent.
        """
        try:
            return await self._in_time(self._acquire())
        except psycopg.OperationalError:
            await self._drop()
            raise

    async def _acquire(self) -> int | None:
        connection = await self._connected()
        if self._epoch is not None:
            await connection.execute("select 1")
            return self._epoch
        lock = await connection.execute("select pg_try_advisory_lock(%s, hashtext(%s))", [LEASES_LOCK, self._name])
        row = await lock.fetchone()
        if row is None or not row[0]:
            return None
        epoch = await (await connection.execute(_NEXT_EPOCH, [self._name])).fetchone()
        self._epoch = None if epoch is None else int(epoch[0])
        return self._epoch

    async def wait(self, timeout_s: float) -> bool:
        """Whether a notification came on the lease's channels within `timeout_s` seconds.

        Raises psycopg.OperationalError as `acquire` does.
        """
        return await self._in_time(self._wait(timeout_s), more_s=timeout_s)

    async def _wait(self, timeout_s: float) -> bool:
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
        if self._connection is not None and self._epoch is not None:
            # A closed connection's lock lasts until the server notices; a standby should not wait for that.
            with suppress(psycopg.Error):
                await self._in_time(self._connection.execute("select pg_advisory_unlock_all()"))
        await self._drop()

    async def _drop(self) -> None:
        """Close the connection, and with it the lease, without a word to the server."""
        connection, self._connection, self._epoch = self._connection, None, None
        heart, self._heart = self._heart, None
        if connection is not None:
            await connection.close()
        if heart is not None:
            heart.cancel()
            await asyncio.wait({heart})

    async def _in_time(self, work: Coroutine[Any, Any, Result], *, more_s: float = 0) -> Result:
        """What the work returns. Raises psycopg.OperationalError where the server is silent for the patience, and
        `more_s` where the work may take that long by itself.

        The connection is closed before the work is cancelled: psycopg would else wait for the server to confirm it.
        """
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task}, timeout=self._patience_s + more_s)
            if not task.done():
                await self._drop()
                raise psycopg.OperationalError(f"the database was silent for {self._patience_s:g} s")
        finally:
            task.cancel()
        return task.result()

    async def _connected(self) -> psycopg.AsyncConnection[Any]:
        if self._connection is None or self._connection.closed:
            await self._drop()
            url = self._engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
            connection = await psycopg.AsyncConnection.connect(url, autocommit=True, **self._watchfulness())
            self._connection = connection
            self._heart = asyncio.create_task(self._beat(connection))
            for channel in self._channels:
                await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
        return self._connection

    def _watchfulness(self) -> dict[str, Any]:
        """Both ends notice within the patience when the other is gone, whether by silence of TCP or of its process."""
        patience_ms = int(self._patience_s * 1000)
        options = {"idle_session_timeout": patience_ms, "tcp_user_timeout": patience_ms, "tcp_keepalives_idle": 1}
        return {
            "connect_timeout": max(2, int(self._patience_s)),
            "tcp_user_timeout": patience_ms,
            "keepalives_idle": 1,
            "keepalives_interval": 1,
            "keepalives_count": 3,
            "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
        }

    async def _beat(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Let the server hear of this process, whatever its passes are busy with; ends with the connection."""
        with suppress(psycopg.Error):
            while not connection.closed:
                await asyncio.sleep(self._patience_s / _BEATS)
                await connection.execute("select 1")
