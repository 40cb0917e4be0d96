"""Who passed a milestone, asked of a real database and of plain arithmetic."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.earning import Shop, make_shop
from factories.ledger import LedgerWorld, make_world
from mereau.core.db import snapshot
from mereau.earning.milestones import queries
from mereau.earning.milestones.domain import celebrated_on, day_start, joining_days, months_between

PARIS = ZoneInfo("Europe/Paris")
DAY = timedelta(days=1)


async def ask(world: LedgerWorld, query: Any, *args: Any) -> Any:
    async with snapshot(world.engine) as session:
        return await query(session, *args)


async def set_each(world: LedgerWorld, column: str, values: list[Any]) -> None:
    for member, value in zip(world.members, values, strict=True):
        await world.write(f"update members set {column} = :value where id = :id", value=value, id=member)


class TestTenure:
    async def test_every_month_ends_once_for_everybody(self, engine: AsyncEngine) -> None:
        """One member joined late on each evening of two months: in Paris it is the next day already."""
        world = await make_world(engine, member_count=63)
        joined_at = [datetime(2026, 1, 25, 23, 30, tzinfo=UTC) + n * DAY for n in range(63)]
        await set_each(world, "created_at", joined_at)
        seen: Counter[tuple[str, int, int]] = Counter()
        days: dict[str, list[date]] = {member: [] for member in world.members}
        for n in range(150):
            day = date(2026, 2, 1) + n * DAY
            found = await ask(world, queries.joined_on, joining_days(day), day, "Europe/Paris", "", 1_000)
            for member, since in found:
                seen[member, day.year, day.month] += 1
                days[member].append(day)
                assert months_between(since, day) == len(days[member])
        assert set(seen.values()) == {1}
        for member, at in zip(world.members, joined_at, strict=True):
            local = at.astimezone(PARIS).date()
            last = {2: 28, 3: 31, 4: 30, 5: 31, 6: 30}
            months = [month for month in last if (2026, month) > (local.year, local.month)]
            expected = [date(2026, month, min(local.day, last[month])) for month in months]
            assert days[member] == [day for day in expected if day < date(2026, 7, 1)]

    @pytest.mark.parametrize("chunk", [1, 2, 7])
    async def test_chunks_hold_everybody_once(self, engine: AsyncEngine, chunk: int) -> None:
        world = await make_world(engine, member_count=5)
        await set_each(world, "created_at", [datetime(2026, 1, 5, 12, tzinfo=UTC)] * 5)
        found: list[str] = []
        place = ""
        while page := await ask(world, queries.joined_on, [5], date(2026, 2, 5), "Europe/Paris", place, chunk):
            assert len(page) <= chunk
            found += [member for member, _ in page]
            place = page[-1][0]
        assert found == sorted(world.members)

    async def test_who_is_not_active_passes_nothing(self, engine: AsyncEngine) -> None:
        world = await make_world(engine, member_count=3)
        await set_each(world, "created_at", [datetime(2026, 1, 5, 12, tzinfo=UTC)] * 3)
        await set_each(world, "status", ["active", "blocked", "deleted"])
        found = await ask(world, queries.joined_on, [5], date(2026, 2, 5), "Europe/Paris", "", 10)
        assert [member for member, _ in found] == world.members[:1]


class TestBirthdays:
    BORN = (date(1992, 2, 29), date(1990, 2, 28), date(2024, 3, 1), date(1930, 12, 31), None)

    @pytest.mark.parametrize(
        ("day", "whose"),
        [
            (date(2026, 2, 28), [0, 1]),
            (date(2028, 2, 28), [1]),
            (date(2028, 2, 29), [0]),
            (date(2026, 3, 1), [2]),
            (date(2028, 3, 1), [2]),
            (date(2026, 12, 31), [3]),
            (date(2100, 2, 28), [0, 1]),
            (date(2026, 1, 1), []),
        ],
        ids=str,
    )
    async def test_who_was_born_on_a_day(self, engine: AsyncEngine, day: date, whose: list[int]) -> None:
        world = await make_world(engine, member_count=5)
        await set_each(world, "birth_date", list(self.BORN))
        found = await ask(world, queries.born_on, celebrated_on(day), "", 10)
        assert list(found) == sorted(world.members[n] for n in whose)

    async def test_who_is_blocked_has_none_and_a_place_is_gone_on_from(self, engine: AsyncEngine) -> None:
        world = await make_world(engine, member_count=5)
        await set_each(world, "birth_date", [date(1990, 6, 1)] * 5)
        await world.write("update members set status = 'blocked' where id = :id", id=world.members[2])
        active = sorted({*world.members} - {world.members[2]})
        first = await ask(world, queries.born_on, [(6, 1)], "", 3)
        rest = await ask(world, queries.born_on, [(6, 1)], first[-1], 3)
        assert ([*first], [*rest]) == (active[:3], active[3:])


class TestLapses:
    @pytest.fixture
    async def shop(self, engine: AsyncEngine) -> Shop:
        return await make_shop(engine, now=datetime(2026, 6, 1, 12, tzinfo=UTC))

    async def lapsed(self, shop: Shop, day: date) -> list[tuple[str, str]]:
        """Those whose last purchase was on a day of the programme."""
        start, end = day_start(day, PARIS), day_start(day + DAY, PARIS)
        found: list[tuple[str, str]] = await ask(shop, queries.bought_last, start, end, "", 10)
        return found

    @pytest.mark.parametrize(
        ("bought_at", "is_it"),
        [
            (datetime(2026, 3, 28, 22, 59, 59, tzinfo=UTC), False),
            (datetime(2026, 3, 28, 23, 0, tzinfo=UTC), True),
            (datetime(2026, 3, 29, 21, 59, 59, tzinfo=UTC), True),
            (datetime(2026, 3, 29, 22, 0, tzinfo=UTC), False),
        ],
        ids=str,
    )
    async def test_the_day_is_the_programmes_even_where_it_has_23_hours(
        self, shop: Shop, bought_at: datetime, *, is_it: bool
    ) -> None:
        sale = await shop.sell(occurred_at=bought_at)
        assert await self.lapsed(shop, date(2026, 3, 29)) == ([(shop.members[0], sale.id)] if is_it else [])

    async def test_the_last_purchase_counts_once_however_many_there_were_that_day(self, shop: Shop) -> None:
        noon = datetime(2026, 4, 1, 10, tzinfo=UTC)
        sales = [await shop.sell(occurred_at=noon + timedelta(minutes=n)) for n in (0, 5, 3)]
        await shop.sell(occurred_at=noon - 10 * DAY)
        assert await self.lapsed(shop, date(2026, 4, 1)) == [(shop.members[0], max(sale.id for sale in sales))]

    async def test_who_came_back_has_not_lapsed(self, shop: Shop) -> None:
        noon = datetime(2026, 4, 1, 10, tzinfo=UTC)
        for member in (0, 1):
            await shop.sell(occurred_at=noon, member=member)
        await shop.sell(occurred_at=noon + DAY, member=1)
        assert [member for member, _ in await self.lapsed(shop, date(2026, 4, 1))] == shop.members[:1]

    async def test_nobody_known_and_nobody_active_lapses(self, shop: Shop) -> None:
        noon = datetime(2026, 4, 1, 10, tzinfo=UTC)
        await shop.sell(occurred_at=noon, member=None)
        await shop.sell(occurred_at=noon, member=1)
        await shop.write("update members set status = 'blocked' where id = :id", id=shop.members[1])
        assert await self.lapsed(shop, date(2026, 4, 1)) == []


class TestFirstPurchases:
    async def firsts(self, shop: Shop, *sale_ids: str) -> set[str]:
        """The members of whom one of the sales is the first."""
        return {milestone.member_id for milestone in await ask(shop, queries.first_purchases, sale_ids)}

    async def test_the_first_is_the_first_that_happened_not_the_first_that_was_told(self, shop: Shop) -> None:
        told_first = await shop.sell(occurred_at=shop.now)
        assert await self.firsts(shop, told_first.id) == {shop.members[0]}
        before = await shop.sell(occurred_at=shop.now - DAY)
        assert await self.firsts(shop, told_first.id) == set()
        assert await self.firsts(shop, told_first.id, before.id) == {shop.members[0]}

    async def test_of_two_at_one_instant_one_is_the_first(self, shop: Shop) -> None:
        one, two = await shop.sell(), await shop.sell()
        found = await ask(shop, queries.first_purchases, [one.id, two.id])
        assert len(found) == 1
        assert await self.firsts(shop, max(one.id, two.id)) == set()

    async def test_a_milestone_says_where_it_happened(self, shop: Shop) -> None:
        sale = await shop.sell(partner=1, channel="web", location_id="loc_9")
        (milestone,) = await ask(shop, queries.first_purchases, [sale.id])
        assert (milestone.partner_id, milestone.channel, milestone.location_id) == (shop.partners[1].id, "web", "loc_9")
        assert (milestone.member_id, milestone.source_id) == (shop.members[0], shop.members[0])
        assert milestone.occurred_at == shop.now

    async def test_nobody_known_and_nobody_blocked_buys_first(self, shop: Shop) -> None:
        sales = [await shop.sell(member=member) for member in (None, 1)]
        await shop.write("update members set status = 'blocked' where id = :id", id=shop.members[1])
        assert await self.firsts(shop, *(sale.id for sale in sales), "sal_none") == set()
