"""Who is at work, as PostgreSQL knows it."""

import os

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.chain.lease import Lease
from mereau.core.activity import JOBS_LOCK, LEASES_LOCK, MIRROR_LOCK, active_parts, introduce
from mereau.core.db import snapshot

NOBODY: dict[str, str | None] = {"relayer": None, "mirror": None, "jobs": None}


async def active(engine: AsyncEngine) -> dict[str, str | None]:
    async with snapshot(engine) as session:
        return await active_parts(session)


def named(url: str, name: str) -> psycopg.Connection[object]:
    return psycopg.connect(url, autocommit=True, application_name=name)


@pytest.mark.parametrize(("part", "key"), [("mirror", MIRROR_LOCK), ("jobs", JOBS_LOCK)])
async def test_the_holder_of_a_lock_is_at_work(engine: AsyncEngine, database_url: str, part: str, key: int) -> None:
    with named(database_url, f"{part} till-1:42") as connection:
        assert await active(engine) == NOBODY
        connection.execute("select pg_advisory_lock(%s)", [key])
        assert await active(engine) == NOBODY | {part: "till-1:42"}
        connection.execute("select pg_advisory_unlock(%s)", [key])
        assert await active(engine) == NOBODY


async def test_a_standby_is_not_at_work(engine: AsyncEngine, database_url: str) -> None:
    with named(database_url, "mirror a:1") as leader, named(database_url, "mirror b:2") as standby:
        for connection in (leader, standby):
            connection.execute("select pg_try_advisory_lock(%s)", [MIRROR_LOCK])
        assert (await active(engine))["mirror"] == "a:1"


@pytest.mark.parametrize(
    "lock",
    [
        f"pg_advisory_lock({LEASES_LOCK}, hashtext('other'))",
        f"pg_advisory_lock({LEASES_LOCK})",
        f"pg_advisory_lock({MIRROR_LOCK}, 0)",
        f"pg_advisory_lock(0, {MIRROR_LOCK})",
        f"pg_advisory_lock({JOBS_LOCK}::bigint << 32)",
    ],
)
async def test_locks_that_look_alike_are_nobodys(engine: AsyncEngine, database_url: str, lock: str) -> None:
    with named(database_url, "other a:1") as connection:
        connection.execute(f"select {lock}")
        assert await active(engine) == NOBODY


async def test_another_database_of_the_server_does_not_count(
    engine: AsyncEngine, database_url: str, postgres_url: str
) -> None:
    with named(postgres_url, "mirror a:1") as connection:
        connection.execute("select pg_advisory_lock(%s)", [MIRROR_LOCK])
        assert await active(engine) == NOBODY


async def test_a_lease_tells_its_process(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGAPPNAME", "")
    introduce("relayer+mirror")
    lease = Lease(engine, "relayer")
    assert await lease.acquire() is not None
    process = (await active(engine))["relayer"]
    assert process is not None
    assert process.endswith(f":{os.getpid()}")
    await lease.close()
    assert await active(engine) == NOBODY
