"""The book of daily runs: days begin where the programme is, steps keep their turn, and figures add up."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import snapshot, transaction
from mereau.programs import service as programs
from mereau.programs.days import service
from mereau.programs.days.domain import StepState
from mereau.programs.days.models import DailyRun
from mereau.programs.days.service import Turn
from mereau.programs.service import ProgramDraft

START = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
TODAY = date(2026, 1, 5)
NAMES = ("activate", "tiers", "expire")


@pytest.fixture
async def office(engine: AsyncEngine) -> AsyncEngine:
    async with transaction(engine) as session:
        await programs.create(session, ProgramDraft("demo", "Démo", "Demo", "Point", "PT"), START)
    return engine


async def turn(office: AsyncEngine, now: datetime = START, names: tuple[str, ...] = NAMES) -> Turn | None:
    async with transaction(office) as session:
        return await service.next_turn(session, names, now)


async def done(office: AsyncEngine, step: str, changed: int = 1, *, ends: bool = True, now: datetime = START) -> None:
    async with transaction(office) as session:
        await service.note_done(session, NAMES, Turn(TODAY, step), changed, is_finished=ends, now=now)


async def failed(office: AsyncEngine, step: str, reason: str = "OperationalError") -> None:
    async with transaction(office) as session:
        await service.note_failure(session, Turn(TODAY, step), reason)


async def days(office: AsyncEngine, before: date | None = None, limit: int = 10) -> list[DailyRun]:
    async with snapshot(office) as session:
        return list(await service.list_days(session, before, limit))


async def states(office: AsyncEngine) -> Mapping[str, StepState]:
    (run,) = await days(office)
    return service.states_of(run)


async def test_the_first_question_of_a_day_begins_it(office: AsyncEngine) -> None:
    assert await turn(office) == Turn(TODAY, "activate")
    assert await turn(office, START + timedelta(hours=1)) == Turn(TODAY, "activate")
    (run,) = await days(office)
    assert (run.day, run.steps, run.failures, run.started_at, run.finished_at) == (TODAY, {}, 0, START, None)


async def test_processes_that_ask_at_once_begin_one_day(office: AsyncEngine) -> None:
    asked = await asyncio.gather(*(turn(office, START + timedelta(seconds=n)) for n in range(6)))
    assert set(asked) == {Turn(TODAY, "activate")}
    assert len(await days(office)) == 1


@pytest.mark.parametrize(
    ("now", "day"),
    [
        (datetime(2026, 3, 28, 22, 59, 59, tzinfo=UTC), date(2026, 3, 28)),
        (datetime(2026, 3, 28, 23, 0, tzinfo=UTC), date(2026, 3, 29)),
        (datetime(2026, 3, 29, 21, 59, 59, tzinfo=UTC), date(2026, 3, 29)),
        (datetime(2026, 3, 29, 22, 0, tzinfo=UTC), date(2026, 3, 30)),
        (datetime(2026, 12, 31, 23, 0, tzinfo=UTC), date(2027, 1, 1)),
    ],
    ids=str,
)
async def test_a_day_is_the_programmes(office: AsyncEngine, now: datetime, day: date) -> None:
    assert await turn(office, now) == Turn(day, "activate")


async def test_steps_have_their_turn_one_after_the_other(office: AsyncEngine) -> None:
    for number, name in enumerate(NAMES):
        assert await turn(office) == Turn(TODAY, name)
        await done(office, name, number, now=START + timedelta(minutes=number))
    assert await turn(office) is None
    (run,) = await days(office)
    assert run.finished_at == START + timedelta(minutes=2)
    assert await states(office) == {
        name: StepState(number, START + timedelta(minutes=number)) for number, name in enumerate(NAMES)
    }


async def test_pieces_add_up_and_keep_the_turn_until_the_last(office: AsyncEngine) -> None:
    await turn(office)
    for changed in (100, 100, 0):
        await done(office, "activate", changed, ends=False)
        assert await turn(office) == Turn(TODAY, "activate")
    await done(office, "activate", 7)
    assert (await states(office))["activate"] == StepState(207, START)
    assert await turn(office) == Turn(TODAY, "tiers")


async def test_two_who_write_at_once_lose_nothing(office: AsyncEngine) -> None:
    """The day is locked: a state that both had read would be written by the second over the first."""
    await turn(office)
    await asyncio.gather(*(done(office, name, 5, ends=False) for name in NAMES * 3))
    assert await states(office) == {name: StepState(15) for name in NAMES}


async def test_a_failure_stays_written_until_its_step_is_done(office: AsyncEngine) -> None:
    await turn(office)
    for reason in ("OperationalError", "TimeoutError"):
        await failed(office, "tiers", reason)
    await done(office, "activate")
    (run,) = await days(office)
    assert (run.failures, run.failed_step, run.failed_reason) == (2, "tiers", "TimeoutError")
    await done(office, "tiers", 3, ends=False)
    (run,) = await days(office)
    assert run.failed_step == "tiers", "a piece is not the step"
    await done(office, "tiers")
    (run,) = await days(office)
    assert (run.failures, run.failed_step, run.failed_reason) == (2, None, None)


async def test_a_step_that_a_later_version_adds_opens_the_day_again(office: AsyncEngine) -> None:
    await turn(office)
    for name in NAMES:
        await done(office, name)
    assert await turn(office, names=(*NAMES, "segments")) == Turn(TODAY, "segments")
    assert await turn(office, names=("segments", *NAMES)) == Turn(TODAY, "segments")
    assert await turn(office, names=NAMES[:1]) is None


async def test_a_day_that_ended_unfinished_is_left_as_it_was(office: AsyncEngine) -> None:
    await turn(office)
    await done(office, "activate")
    assert await turn(office, START + timedelta(days=1)) == Turn(TODAY + timedelta(days=1), "activate")
    today, yesterday = await days(office)
    assert (today.steps, list(yesterday.steps), yesterday.finished_at) == ({}, ["activate"], None)


async def test_days_are_listed_newest_first_from_before_a_day(office: AsyncEngine) -> None:
    for number in range(4):
        await turn(office, START + timedelta(days=number))
    listed = [run.day.day for run in await days(office, limit=3)]
    assert listed == [8, 7, 6]
    assert [run.day.day for run in await days(office, date(2026, 1, 6), 3)] == [5]


async def test_the_last_that_was_finished_is_told_whatever_began_since(office: AsyncEngine) -> None:
    async with snapshot(office) as session:
        assert await service.last_finished_at(session) is None
    await turn(office)
    for name in NAMES:
        await done(office, name, now=START + timedelta(minutes=9))
    await turn(office, START + timedelta(days=1))
    async with snapshot(office) as session:
        assert await service.last_finished_at(session) == START + timedelta(minutes=9)
