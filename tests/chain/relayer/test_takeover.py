"""A standby takes over from an owner that is killed, paused, or cut off from the database, whatever it believes."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.chain.lease import Lease, LeaseLostError
from mereau.core.db import create_engine, snapshot, transaction

PATIENCE_S = 1.0
LIMIT_S = 30.0
OWNER = """
import asyncio, sys
from mereau.chain.lease import Lease
from mereau.core.db import create_engine

async def main():
    lease = Lease(create_engine(sys.argv[1]), "relayer", patience_s=float(sys.argv[2]))
    print(await lease.acquire(), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@asynccontextmanager
async def owner(url: str) -> AsyncIterator[int]:
    """A process that holds the lease; its id."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, url, str(PATIENCE_S), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"1\n"
        yield process.pid
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def taken_over(lease: Lease) -> int:
    """The epoch under which the standby became the owner."""
    async with asyncio.timeout(LIMIT_S):
        while (epoch := await lease.acquire()) is None:
            await lease.wait(0.05)
    return epoch


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_killed_or_paused_owner_is_succeeded(
    engine: AsyncEngine, database_url: str, blow: signal.Signals
) -> None:
    standby = Lease(engine, "relayer", patience_s=PATIENCE_S)
    async with owner(database_url) as pid:
        assert await standby.acquire() is None
        os.kill(pid, blow)
        assert await taken_over(standby) == 2
    await standby.close()


async def test_an_owner_that_lives_is_not_succeeded(engine: AsyncEngine, database_url: str) -> None:
    """Though it asks for nothing for several times the patience: its signs of life are enough."""
    standby = Lease(engine, "relayer", patience_s=PATIENCE_S)
    async with owner(database_url):
        for _ in range(4):
            assert await standby.acquire() is None
            await standby.wait(PATIENCE_S / 2)
    assert await taken_over(standby) == 2
    await standby.close()


class Wire:
    """A TCP port in front of PostgreSQL's socket, which can fall silent without closing anything."""

    def __init__(self, database_url: str) -> None:
        self._target = make_url(database_url)
        self._flows = asyncio.Event()
        self._flows.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)

    @property
    def url(self) -> str:
        host, port = self._server.sockets[0].getsockname()
        target = self._target.set(drivername="postgresql", host=host, port=port, query={})
        return target.render_as_string(hide_password=False)

    def cut(self) -> None:
        """From now on nothing passes, and nobody is told."""
        self._flows.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        folder = Path(str(self._target.query["host"]))
        there, back = await asyncio.open_unix_connection(str(next(folder.glob(".s.PGSQL.*[0-9]"))))
        self._writers += [writer, back]
        pumps = {asyncio.create_task(self._pump(reader, back)), asyncio.create_task(self._pump(there, writer))}
        self._tasks |= pumps
        await asyncio.wait(pumps)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while content := await source.read(65_536):
            await self._flows.wait()
            target.write(content)
            await target.drain()
        target.close()


async def test_an_owner_that_is_cut_off_gives_up_and_is_fenced(engine: AsyncEngine, database_url: str) -> None:
    """Neither end hears of a closed connection; both notice the silence, and the old epoch writes nothing."""
    async with Wire(database_url) as wire:
        far = create_engine(wire.url)
        cut_off = Lease(far, "relayer", patience_s=PATIENCE_S)
        standby = Lease(engine, "relayer", patience_s=PATIENCE_S)
        assert await cut_off.acquire() == 1
        assert await standby.acquire() is None
        wire.cut()
        with pytest.raises(psycopg.OperationalError, match=r"silent|closed"):
            await cut_off.acquire()
        assert await taken_over(standby) == 2
        await far.dispose()
    late = Lease(engine, "relayer")
    late._epoch = 1
    with pytest.raises(LeaseLostError):
        await write(late)
    await write(standby)
    await standby.close()
    async with snapshot(engine) as session:
        assert (await session.execute(text("select count(*) from written"))).scalar_one() == 1


async def write(lease: Lease) -> None:
    async with lease.writing("test") as session:
        await session.execute(text("create table if not exists written (n int)"))
        await session.execute(text("insert into written values (1)"))


async def test_the_servers_end_of_a_silent_session_loses_the_lease(engine: AsyncEngine) -> None:
    """Whoever stops its signs of life is told by the next question, and may try again."""
    lease = Lease(engine, "relayer", patience_s=PATIENCE_S)
    assert await lease.acquire() == 1
    async with transaction(engine) as session:
        await session.execute(text("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'"))
    with pytest.raises(psycopg.OperationalError):
        await lease.acquire()
    assert await lease.acquire() == 2
    await lease.close()
