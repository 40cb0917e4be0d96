"""The pool's turns: nobody overtakes who waits, nobody waits for ever, no turn is lost."""

import asyncio

import psycopg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from mereau.core.db import create_engine, sqlalchemy_url
from mereau.core.pool import FairPool

ROUNDS = 20


async def test_nobody_overtakes_who_waits(database_url: str) -> None:
    """Each of many takes the one connection again and again: between two turns of one, all others have theirs."""
    engine = create_engine(database_url, connections_max=1)
    turns: list[int] = []

    async def take(number: int) -> None:
        for _ in range(ROUNDS):
            async with engine.connect() as connection:
                turns.append(number)
                await connection.execute(text("select 1"))

    await asyncio.gather(*(take(number) for number in range(4)))
    await engine.dispose()
    assert turns == turns[:4] * ROUNDS


async def test_who_waits_too_long_is_told(database_url: str) -> None:
    engine = create_async_engine(
        sqlalchemy_url(database_url), poolclass=FairPool, pool_size=1, max_overflow=0, pool_timeout=0.05
    )
    async with engine.connect():
        with pytest.raises(PoolTimeoutError, match=r"None of 1 connections came free in 0.05 s"):
            await engine.connect()
    async with engine.connect() as connection:
        assert await connection.scalar(text("select 1")) == 1
    await engine.dispose()


async def test_who_gives_up_waiting_leaves_no_gap(database_url: str) -> None:
    engine = create_engine(database_url, connections_max=1)
    async with engine.connect():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await engine.connect()
    async with asyncio.timeout(5), engine.connect() as connection:
        assert await connection.scalar(text("select 1")) == 1
    await engine.dispose()


async def test_a_connection_that_cannot_be_made_gives_its_turn_back(database_url: str) -> None:
    url = make_url(sqlalchemy_url(database_url)).set(database="of_nobody").render_as_string(hide_password=False)
    engine = create_engine(url, connections_max=1)
    for _ in range(3):
        with pytest.raises(DBAPIError, match="does not exist"):
            await engine.connect()
    await engine.dispose()


async def test_a_connection_that_dies_gives_its_turn_back(engine: AsyncEngine, database_url: str) -> None:
    small = create_engine(database_url, connections_max=1)
    for _ in range(3):
        async with small.connect() as connection:
            pid = await connection.scalar(text("select pg_backend_pid()"))
            async with engine.connect() as other:
                await other.execute(text("select pg_terminate_backend(:pid)"), {"pid": pid})
            with pytest.raises(DBAPIError) as died:
                await connection.execute(text("select 1"))
            assert isinstance(died.value.orig, psycopg.OperationalError)
    await small.dispose()
