"""One active mirror per database, by advisory lock; the others stand by."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import psycopg
import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mereau.chain.errors import ForeignChainError, RpcError
from mereau.core.activity import MIRROR_LOCK
from mereau.core.errors import UnavailableError

_LOG: Final = structlog.get_logger()
_STANDBY_DELAY_S: Final = 1.0
_DELAY_MAX_S: Final = 10.0
# COPY runs on the driver's own connection, whose errors SQLAlchemy does not see.
_EXPECTED: Final = (UnavailableError, ForeignChainError, RpcError, DBAPIError, psycopg.Error)


async def run_alone(
    engine: AsyncEngine, step: Callable[[], Awaitable[bool]], stop: asyncio.Event, *, poll_s: float
) -> None:
    """Call `step` until `stop`, while holding the lock on a connection of its own.

    A true answer means that more may be ready: the next call follows at once. After an expected error the
    wait doubles. A lost connection loses the lock: the loop begins again as a standby.
    """
    while not stop.is_set():
        try:
            async with engine.connect() as connection:
                plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
                if await plain.scalar(text("select pg_try_advisory_lock(:key)"), {"key": MIRROR_LOCK}):
                    await _run_leader(plain, step, stop, poll_s)
        except SQLAlchemyError as error:
            _LOG.warning("mirror_database", error=str(error))
        await _wait(stop, _STANDBY_DELAY_S)


async def _run_leader(
    connection: AsyncConnection, step: Callable[[], Awaitable[bool]], stop: asyncio.Event, poll_s: float
) -> None:
    delay_s = poll_s
    try:
        while not stop.is_set():
            try:
                more = await step()
            except _EXPECTED as error:
                if delay_s == poll_s:
                    _LOG.warning("mirror_waits", error=str(error), kind=type(error).__name__)
                delay_s = min(delay_s * 2, _DELAY_MAX_S)
                more = False
            else:
                delay_s = poll_s
            await connection.execute(text("select 1"))
            if not more:
                await _wait(stop, delay_s)
    finally:
        # The lock ends with its connection: on no path may the pool get it back still locked.
        await connection.invalidate()


async def _wait(stop: asyncio.Event, delay_s: float) -> None:
    try:
        async with asyncio.timeout(delay_s):
            await stop.wait()
    except TimeoutError:
        return
