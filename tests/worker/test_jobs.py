"""Periodic jobs on a real database: one leader, periods, and failures that stop nobody else."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.activity import JOBS_LOCK
from mereau.core.clock import ManualClock
from mereau.core.db import create_engine
from mereau.core.errors import ConflictError
from mereau.worker import jobs
from mereau.worker.jobs import Job, JobRunner
from mereau.worker.queries import leadership

START = datetime(2026, 1, 1, tzinfo=UTC)


class Counter:
    """A job that counts its rounds and fails when told to."""

    def __init__(self, *, failures: int = 0) -> None:
        self.rounds: list[datetime] = []
        self.failures = failures

    async def __call__(self, engine: AsyncEngine, now: datetime) -> int:
        self.rounds.append(now)
        if len(self.rounds) <= self.failures:
            raise ConflictError("not now")
        return len(self.rounds)


async def broken(engine: AsyncEngine, now: datetime) -> int:
    async with engine.connect() as connection:
        await connection.execute(text("select 1 / 0"))
    return 0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_TICK_S", 0.01)
    monkeypatch.setattr(jobs, "_PAUSE_S", 0.01)


async def test_each_job_runs_when_its_period_has_passed(engine: AsyncEngine) -> None:
    often, rarely = Counter(), Counter()
    clock = ManualClock(START)
    runner = JobRunner(engine, clock, [Job("often", 0, often), Job("rarely", 3600, rarely)])
    assert await runner.step() == {"often": 1, "rarely": 1}
    clock.advance(timedelta(hours=2))
    assert await runner.step() == {"often": 2}
    assert often.rounds == [START, START + timedelta(hours=2)]


async def test_a_job_that_fails_keeps_nobody_from_working(engine: AsyncEngine) -> None:
    after = Counter()
    failing = Counter(failures=1)
    runner = JobRunner(
        engine, ManualClock(START), [Job("sql", 0, broken), Job("rule", 0, failing), Job("after", 0, after)]
    )
    assert await runner.step() == {"after": 1}
    assert await runner.step() == {"rule": 2, "after": 2}


async def test_one_of_two_processes_leads(database_url: str) -> None:
    first, second = create_engine(database_url), create_engine(database_url)
    async with leadership(first, JOBS_LOCK) as one, leadership(second, JOBS_LOCK) as two:
        assert await one.held()
        assert await one.held()
        assert not await two.held()
    async with leadership(second, JOBS_LOCK) as two:
        assert await two.held()
    await first.dispose()
    await second.dispose()


async def test_different_jobs_have_leaders_of_their_own(engine: AsyncEngine) -> None:
    async with leadership(engine, 1) as one, leadership(engine, 2) as two:
        assert await one.held()
        assert await two.held()


async def test_a_standby_takes_over(database_url: str) -> None:
    first, second = create_engine(database_url), create_engine(database_url)
    stop_first, stop_second = asyncio.Event(), asyncio.Event()
    working, waiting = Counter(), Counter()
    leader = asyncio.create_task(JobRunner(first, ManualClock(START), [Job("count", 0, working)]).run(stop_first))
    await until_rounds(working, 1)
    standby = asyncio.create_task(JobRunner(second, ManualClock(START), [Job("count", 0, waiting)]).run(stop_second))
    await until_rounds(working, len(working.rounds) + 5)
    assert waiting.rounds == []
    stop_first.set()
    await leader
    await until_rounds(waiting, 1)
    stop_second.set()
    await standby
    await first.dispose()
    await second.dispose()


async def test_a_lost_connection_is_taken_up_again(engine: AsyncEngine, database_url: str) -> None:
    count = Counter()
    stop = asyncio.Event()
    task = asyncio.create_task(JobRunner(engine, ManualClock(START), [Job("count", 0, count)]).run(stop))
    await until_rounds(count, 1)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as admin:
        await admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
    await until_rounds(count, len(count.rounds) + 3)
    stop.set()
    await task


async def until_rounds(counter: Counter, rounds: int, limit_s: float = 10) -> None:
    deadline = time.monotonic() + limit_s
    while len(counter.rounds) < rounds:
        assert time.monotonic() < deadline, f"{len(counter.rounds)} rounds only"
        await asyncio.sleep(0.01)
