"""The daily order on a real database: once a day, in its order, resumed where it stopped."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.ledger import LedgerWorld, make_world
from mereau.core.db import transaction
from mereau.core.errors import UnavailableError
from mereau.ledger import tasks
from mereau.worker.daily import RETRY_AFTER, DailyOrder, Step

# Half past ten in Paris, where the programme is.
START = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Killed(BaseException):
    """The process ends here."""


class Duty:
    """A step that answers in turn with what it was told, and with 0 from then on; a figure is a piece's work."""

    def __init__(self, log: list[str], name: str, *answers: int | BaseException) -> None:
        self.log = log
        self.name = name
        self.answers = list(answers)

    async def __call__(self, engine: AsyncEngine, now: datetime) -> int:
        self.log.append(self.name)
        answer = self.answers.pop(0) if self.answers else 0
        if isinstance(answer, BaseException):
            raise answer
        return answer


class Office:
    """Three duties of one day; every `order` is a new process that knows nothing of the one before."""

    def __init__(self, world: LedgerWorld) -> None:
        self.world = world
        self.log: list[str] = []
        self.first, self.walk, self.last = (Duty(self.log, name) for name in ("first", "walk", "last"))

    def order(self) -> DailyOrder:
        return DailyOrder([Step("first", self.first), Step("walk", self.walk, in_pieces=True), Step("last", self.last)])

    async def run(self, now: datetime, order: DailyOrder | None = None) -> int:
        return await (order or self.order()).run(self.world.engine, now)

    async def books(self) -> list[Any]:
        return await self.world.rows("select * from daily_runs order by day")

    def told(self) -> list[str]:
        """What was done since this was last asked."""
        told = list(self.log)
        self.log.clear()
        return told


@pytest.fixture
async def office(engine: AsyncEngine) -> Office:
    return Office(await make_world(engine, member_count=1))


async def test_each_step_runs_once_a_day_in_order(office: Office) -> None:
    office.first.answers = [4]
    assert await office.run(START) == 4
    assert office.told() == ["first", "walk", "last"]
    for later in (timedelta(), HOUR, 13 * HOUR + timedelta(minutes=29)):
        assert await office.run(START + later) == 0
    assert office.told() == []
    (run,) = await office.books()
    assert (run.day, run.started_at, run.finished_at, run.failures) == (date(2026, 1, 5), START, START, 0)
    assert run.steps["first"] == {"changed": 4, "finished_at": START.isoformat()}


async def test_the_day_changes_at_midnight_where_the_programme_is(office: Office) -> None:
    midnight = datetime(2026, 1, 5, 23, tzinfo=UTC)
    await office.run(START)
    await office.run(midnight - timedelta(microseconds=1))
    assert office.told() == ["first", "walk", "last"]
    await office.run(midnight)
    assert office.told() == ["first", "walk", "last"]
    assert [run.day for run in await office.books()] == [date(2026, 1, 5), date(2026, 1, 6)]


async def test_a_step_in_pieces_lets_others_work_between_two(office: Office) -> None:
    office.walk.answers = [100, 100, 30]
    order = office.order()
    seen = [await office.run(START, order) for _ in range(4)]
    assert seen == [100, 100, 30, 0]
    assert office.told() == ["first", "walk", "walk", "walk", "walk", "last"]
    (run,) = await office.books()
    assert run.steps["walk"]["changed"] == 230
    assert run.finished_at is not None


async def test_killed_between_two_steps_the_next_process_goes_on_there(office: Office) -> None:
    office.walk.answers = [100, Killed()]
    await office.run(START)
    with pytest.raises(Killed):
        await office.run(START)
    office.told()
    await office.run(START + HOUR)
    assert office.told() == ["walk", "last"]
    (run,) = await office.books()
    assert (run.finished_at, run.failures) == (START + HOUR, 0)


async def test_killed_before_its_end_was_written_down_a_step_runs_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def kill(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("mereau.worker.daily.days.note_done", kill)
        with pytest.raises(Killed):
            await office.run(START)
    assert office.told() == ["first"]
    await office.run(START)
    assert office.told() == ["first", "walk", "last"]


async def test_a_step_that_fails_keeps_the_others_waiting_and_is_tried_again(office: Office) -> None:
    office.walk.answers = [UnavailableError("The node does not answer.")]
    order = office.order()
    with pytest.raises(UnavailableError):
        await office.run(START, order)
    (run,) = await office.books()
    assert (run.failures, run.failed_step, run.failed_reason) == (1, "walk", "The node does not answer.")
    assert await office.run(START + RETRY_AFTER - timedelta(seconds=1), order) == 0
    assert office.told() == ["first", "walk"]
    await office.run(START + RETRY_AFTER, order)
    assert office.told() == ["walk", "last"]
    (run,) = await office.books()
    assert (run.failures, run.failed_step, run.failed_reason) == (1, None, None)
    assert run.finished_at == START + RETRY_AFTER


async def test_what_a_database_says_of_a_row_is_not_kept(office: Office) -> None:
    async def refused(engine: AsyncEngine, now: datetime) -> int:
        async with transaction(engine) as session:
            await session.execute(text("select cast('ada@example.org' as integer)"))
        return 0

    with pytest.raises(DataError, match=r"ada@example\.org"):
        await DailyOrder([Step("refused", refused)]).run(office.world.engine, START)
    (run,) = await office.books()
    assert (run.failed_step, run.failed_reason) == ("refused", "DataError")


async def test_a_day_that_ended_unfinished_stays_so_and_today_is_done(office: Office) -> None:
    office.last.answers = [UnavailableError("no")]
    with pytest.raises(UnavailableError):
        await office.run(START)
    office.told()
    await office.run(START + 24 * HOUR)
    assert office.told() == ["first", "walk", "last"]
    assert [run.finished_at is None for run in await office.books()] == [True, False]


async def test_a_step_that_is_new_has_its_turn_today(office: Office) -> None:
    await office.run(START)
    office.told()
    steps = [Step("first", office.first), Step("new", Duty(office.log, "new")), Step("last", office.last)]
    await DailyOrder(steps).run(office.world.engine, START + HOUR)
    assert office.told() == ["new"]


async def test_the_ledgers_own_steps_expire_after_they_activate(office: Office) -> None:
    """A credit whose window and life both ended during a stop is activated and expired by one run."""
    world = office.world
    await world.mine(await world.credit(50))
    await world.credit(20, delay=HOUR, life=HOUR)
    await world.credit(30, life=2 * HOUR)
    world.now += 30 * HOUR

    async def everything(wallets: Sequence[bytes]) -> dict[bytes, int]:
        return dict.fromkeys(wallets, 1_000)

    async def expire(engine: AsyncEngine, now: datetime) -> int:
        return await tasks.expire_due(engine, now, everything)

    order = DailyOrder([Step("activate_due", tasks.activate_due), Step("expire_due", expire)])
    await order.run(world.engine, world.now)
    assert await world.counters() == (50, 0, 0, 0)
    (run,) = await office.books()
    assert (run.steps["activate_due"]["changed"], run.steps["expire_due"]["changed"]) == (1, 50)
    assert await world.drift() == 0
