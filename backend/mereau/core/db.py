"""One PostgreSQL door: engine, transactions, the declarative base and COPY."""

import select
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NewType

import psycopg
from sqlalchemy import MetaData, Select, event
from sqlalchemy.dialects.postgresql.psycopg import dialect
from sqlalchemy.engine.interfaces import DBAPIConnection, IsolationLevel
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn

from mereau.core import arrays
from mereau.core.pool import FairPool

ReadSession = NewType("ReadSession", AsyncSession)
"""A session that only reads; endpoints that GET take this."""

WriteSession = NewType("WriteSession", AsyncSession)
"""A session inside a transaction that its owner (request, job or chain loop) will commit."""


Driver = psycopg.AsyncConnection[Any]
"""What sessions speak through."""

_SILENCE_MAX_S: Final = 20
_CONNECT: Final = {
    "options": "-c timezone=UTC",
    "connect_timeout": 10,
    # A server whose machine is gone says nothing at all: TCP alone would wait for a quarter of an hour.
    "tcp_user_timeout": 1000 * _SILENCE_MAX_S,
    "keepalives_idle": _SILENCE_MAX_S // 2,
    "keepalives_interval": 5,
    "keepalives_count": 2,
}


class Base(DeclarativeBase):
    """Declarative base; names of constraints are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def sqlalchemy_url(url: str) -> str:
    """The same PostgreSQL URL with the psycopg driver named, whichever spelling came in."""
    _, _, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}"


def create_engine(
    url: str, *, connections_max: int = 8, isolation_level: IsolationLevel = "READ COMMITTED"
) -> AsyncEngine:
    """An engine whose sessions all speak psycopg 3, in UTC.

    A connection that the server has closed meanwhile is replaced before it is used; one that hears nothing for
    20 seconds is given up.
    """
    engine = create_async_engine(
        sqlalchemy_url(url),
        poolclass=FairPool,
        pool_size=connections_max,
        max_overflow=0,
        isolation_level=isolation_level,
        skip_autocommit_rollback=True,
        connect_args=_CONNECT,
    )
    event.listen(engine.sync_engine, "connect", _adapt)
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine


def _adapt(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    arrays.install(connection.driver_connection)


def _refuse_closed(connection: DBAPIConnection, _: ConnectionPoolEntry, __: PoolProxiedConnection) -> None:
    """Raise where the server has ended an idle connection; the pool then makes new ones.

    It says so, or hangs up: either way the socket of a connection that waits for nothing has something to read.
    To ask the server itself would cost as much as a read of ours.
    """
    driver = connection.driver_connection
    if driver.closed:
        raise InvalidatePoolError
    socket = select.poll()
    socket.register(driver.fileno(), select.POLLIN)
    if socket.poll(0):
        raise InvalidatePoolError


@asynccontextmanager
async def transaction(engine: AsyncEngine, name: str = "") -> AsyncIterator[WriteSession]:
    """One transaction: commits when the block ends, rolls back when it raises.

    `name` says which write it is, in `session.info["name"]`: whoever kills processes to see what survives stops
    them on either side of a commit by it. Writes on which exactly-once hangs are named.
    """
    async with AsyncSession(engine, expire_on_commit=False, info={"name": name}) as session, session.begin():
        yield WriteSession(session)


@asynccontextmanager
async def snapshot(engine: AsyncEngine) -> AsyncIterator[ReadSession]:
    """One REPEATABLE READ, READ ONLY transaction: all reads see the same instant."""
    async with engine.connect() as connection:
        pinned = await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        async with AsyncSession(pinned, expire_on_commit=False) as session, session.begin():
            yield ReadSession(session)


async def raw_connection(session: AsyncSession | AsyncConnection) -> Driver:
    """The psycopg connection under a session's transaction, for COPY and whatever costs less there."""
    connection = session if isinstance(session, AsyncConnection) else await session.connection()
    return _driver_of(await connection.get_raw_connection())


def _driver_of(pooled: PoolProxiedConnection) -> Driver:
    driver = pooled.driver_connection
    if not isinstance(driver, psycopg.AsyncConnection):
        msg = f"psycopg expected, not {type(driver).__name__}"
        raise TypeError(msg)
    return driver


async def copy_rows(
    session: AsyncSession, model: type[Base], columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """Write many rows by COPY inside the session's transaction; defaults of Python do not apply."""
    names = ", ".join(f'"{name}"' for name in columns)
    driver = await raw_connection(session)
    async with (
        driver.cursor() as cursor,
        cursor.copy(f'COPY "{model.__tablename__}" ({names}) FROM STDIN') as copy,
    ):
        for row in rows:
            await copy.write_row(row)


class HotQuery:
    """A statement written once and run by psycopg: around a short one, SQLAlchemy takes longer than PostgreSQL.

    Values are as psycopg reads them. Errors are psycopg's own.
    """

    def __init__(self, statement: Select[Any]) -> None:
        compiled = statement.compile(dialect=dialect())  # type: ignore[no-untyped-call] # SQLAlchemy names no types here
        text = str(compiled)
        for name, bind in compiled.binds.items():
            if not bind.required:  # What never changes need not be sent each time.
                text = text.replace(f"%({name})s", compiled.render_literal_value(bind.value, bind.type))
        self._text = text.encode()

    async def rows(
        self, where: AsyncSession | AsyncConnection | AsyncEngine, **parameters: object
    ) -> list[tuple[Any, ...]]:
        """All rows: in a session's transaction where it has one, of an engine on a connection of its pool."""
        if isinstance(where, AsyncEngine):
            pooled = await where.raw_connection()
            try:
                return await self._ask(_driver_of(pooled), parameters)
            finally:
                await greenlet_spawn(pooled.close)
        return await self._ask(await raw_connection(where), parameters)

    async def _ask(self, driver: Driver, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
        return await (await driver.execute(self._text, parameters)).fetchall()
