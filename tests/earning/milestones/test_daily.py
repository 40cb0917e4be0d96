"""Birthdays, months of membership and lapses: by the programme's calendar, once each, a chunk at a time."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world
from factories.actions import a_rule, credited, join
from mereau.earning.milestones import tasks

MORNING = datetime(2027, 2, 28, 8, tzinfo=UTC)


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


async def born(world: ApiWorld, name: str, day: str, **facts: Any) -> str:
    return await join(world, name, birth_date=day, **facts)


async def joined(world: ApiWorld, name: str, at: datetime) -> str:
    member = await join(world, name)
    await world.hand.write("update members set created_at = :at where id = :id", at=at, id=member)
    return member


class TestBirthdays:
    async def test_who_is_born_today_or_was_just_now_earns_once_a_year(self, world: ApiWorld) -> None:
        await a_rule(world, "birthday", 50)
        days = {"today": "1990-02-28", "leap": "1992-02-29", "late": "1990-02-25", "old": "1990-02-24"}
        for name, day in (days | {"soon": "1990-03-01"}).items():
            await born(world, name, day)
        for hour in range(3):
            await tasks.celebrate(world.engine, MORNING + timedelta(hours=hour))
        paid = {name: await credited(world, name) for name in (*days, "soon")}
        assert paid == {"today": [50], "leap": [50], "late": [50], "old": [], "soon": []}
        await tasks.celebrate(world.engine, MORNING.replace(year=2028))
        assert (await credited(world, "today"), await credited(world, "leap")) == ([50, 50], [50])
        await tasks.celebrate(world.engine, datetime(2028, 2, 29, 8, tzinfo=UTC))
        assert await credited(world, "leap") == [50, 50]

    async def test_a_birthday_that_moves_is_not_paid_again_in_its_year(self, world: ApiWorld) -> None:
        """An operator may mend the date; the year's birthday is paid."""
        await a_rule(world, "birthday", 50)
        member = await born(world, "mover", "1990-02-28")
        await tasks.celebrate(world.engine, MORNING)
        moved = {"birth_date": "1990-06-01", "reason": "document_seen"}
        await world.send("operator", "PATCH", f"/members/{member}", moved)
        await tasks.celebrate(world.engine, datetime(2027, 6, 1, 8, tzinfo=UTC))
        assert await credited(world, "mover") == [50]
        await tasks.celebrate(world.engine, datetime(2028, 6, 1, 8, tzinfo=UTC))
        assert await credited(world, "mover") == [50, 50]

    async def test_the_day_begins_at_the_programmes_midnight(self, world: ApiWorld) -> None:
        await a_rule(world, "birthday", 50)
        await born(world, "early", "1990-06-02")
        await tasks.celebrate(world.engine, datetime(2027, 6, 1, 21, 59, tzinfo=UTC))
        assert await credited(world, "early") == []
        await tasks.celebrate(world.engine, datetime(2027, 6, 1, 22, 1, tzinfo=UTC))
        assert await credited(world, "early") == [50]

    async def test_who_is_blocked_or_told_no_date_has_none(self, world: ApiWorld) -> None:
        await a_rule(world, "birthday", 50)
        blocked = await born(world, "blocked", "1990-02-28")
        await world.made("operator", f"/members/{blocked}/block", {"reason": "fraud_suspected"})
        await join(world, "secret")
        await tasks.celebrate(world.engine, MORNING)
        assert [await credited(world, name) for name in ("blocked", "secret")] == [[], []]

    async def test_a_crowd_is_credited_in_chunks_and_a_broken_run_begins_anew(self, world: ApiWorld) -> None:
        await a_rule(world, "birthday", 50)
        names = [f"crowd-{number}" for number in range(7)]
        for name in names:
            await born(world, name, "1990-02-28")
        assert await tasks.celebrate(world.engine, MORNING, chunk=2) == 7
        await world.hand.write("delete from outbox_cursors")
        assert await tasks.celebrate(world.engine, MORNING, chunk=3) == 7
        assert [await credited(world, name) for name in names] == [[50]] * 7

    async def test_without_a_rule_nobody_is_looked_at(self, world: ApiWorld) -> None:
        await born(world, "today", "1990-02-28")
        before = await world.fingerprint()
        assert await tasks.celebrate(world.engine, MORNING) == 0
        assert await world.fingerprint() == before


class TestTenure:
    async def test_every_month_of_membership_earns_once(self, world: ApiWorld) -> None:
        await a_rule(world, "tenure", 5)
        await joined(world, "winter", datetime(2026, 12, 31, 12, tzinfo=UTC))
        for day in (date(2027, 1, 31), date(2027, 2, 28), date(2027, 3, 31), date(2027, 4, 30)):
            at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
            await tasks.celebrate(world.engine, at)
            await tasks.celebrate(world.engine, at + timedelta(days=1))
        assert await credited(world, "winter") == [5] * 4

    async def test_a_rule_chooses_its_months(self, world: ApiWorld) -> None:
        await a_rule(world, "tenure", 60, condition="attributes.months == 12")
        await joined(world, "year", datetime(2026, 2, 28, 12, tzinfo=UTC))
        await joined(world, "month", datetime(2027, 1, 28, 12, tzinfo=UTC))
        await tasks.celebrate(world.engine, MORNING)
        assert (await credited(world, "year"), await credited(world, "month")) == ([60], [])

    async def test_nobody_has_been_a_member_for_no_month(self, world: ApiWorld) -> None:
        await a_rule(world, "tenure", 5)
        await joined(world, "fresh", MORNING - timedelta(hours=1))
        await tasks.celebrate(world.engine, MORNING)
        assert await credited(world, "fresh") == []


class TestWinBack:
    async def buy(self, world: ApiWorld, member: str, at: datetime) -> None:
        sale = await world.made("partner_a", "/sales", world.a_sale(member={"id": member}))
        await world.hand.write("update sales set occurred_at = :at where id = :id", at=at, id=sale["id"])

    async def test_a_lapse_earns_once(self, world: ApiWorld) -> None:
        await a_rule(world, "win_back", 30)
        member = await join(world, "lapsed")
        start = datetime(2027, 1, 1, 10, tzinfo=UTC)
        await self.buy(world, member, start - timedelta(days=5))
        await self.buy(world, member, start)
        await tasks.celebrate(world.engine, start + timedelta(days=59))
        assert await credited(world, "lapsed") == []
        for day in (60, 61, 62, 70):
            await tasks.celebrate(world.engine, start + timedelta(days=day))
        assert await credited(world, "lapsed") == [30]
        await self.buy(world, member, start + timedelta(days=80))
        await tasks.celebrate(world.engine, start + timedelta(days=140))
        assert await credited(world, "lapsed") == [30, 30], "another lapse is another"

    async def test_the_programme_says_when_somebody_has_lapsed(self, world: ApiWorld) -> None:
        await a_rule(world, "win_back", 30)
        await world.send("operator", "PUT", "/earning-terms", {"win_back_after_days": 10})
        member = await join(world, "lapsed")
        start = datetime(2027, 1, 1, 10, tzinfo=UTC)
        await self.buy(world, member, start)
        await tasks.celebrate(world.engine, start + timedelta(days=9))
        assert await credited(world, "lapsed") == []
        await tasks.celebrate(world.engine, start + timedelta(days=10))
        assert await credited(world, "lapsed") == [30]
