"""Counters on a real database: opened, locked, counted, announced, taken back."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.earning import Shop
from mereau.core.db import snapshot, transaction
from mereau.earning.limits import service
from mereau.earning.limits.domain import NOTHING, Count, CounterKey, Dry

NOW = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
DAY = datetime(2026, 1, 4, 23, tzinfo=UTC)
BUDGET = CounterKey("base", "", "day", DAY)
COMMON = CounterKey("", "", "day", DAY)
MINE = CounterKey("base", "mem_1", "day", DAY)


async def count(engine: AsyncEngine, counts: dict[CounterKey, Count], dry: list[Dry] | None = None) -> None:
    async with transaction(engine) as session:
        counters = await service.lock(session, sorted({*counts, *(one.key for one in dry or [])}))
        await service.add(session, counters, counts, dry or [], NOW)


async def seen(engine: AsyncEngine, *keys: CounterKey) -> list[Count]:
    async with snapshot(engine) as session:
        usage = (await service.read(session, keys)).usage
    return [usage.get(key, NOTHING) for key in keys]


async def take_back(engine: AsyncEngine, counts: dict[CounterKey, Count], *sale_ids: str) -> None:
    async with transaction(engine) as session:
        await service.take_back(session, counts, sale_ids, NOW)


async def exhausted(shop: Shop) -> list[dict[str, Any]]:
    return [event.payload for event in await shop.events("budget.exhausted")]


async def test_to_look_opens_nothing(shop: Shop) -> None:
    assert await seen(shop.engine, BUDGET, MINE) == [NOTHING, NOTHING]
    assert await shop.count("earning_counters") == 0


async def test_what_is_locked_is_there_at_nothing(shop: Shop) -> None:
    async with transaction(shop.engine) as session:
        counters = await service.lock(session, [BUDGET, MINE])
    assert counters.usage == {BUDGET: NOTHING, MINE: NOTHING}
    assert counters.announced == frozenset()
    assert await shop.count("earning_counters") == 2


async def test_no_counter_is_no_statement(shop: Shop) -> None:
    async with transaction(shop.engine) as session:
        assert (await service.lock(session, [])).usage == {}
        assert (await service.read(session, [])).usage == {}
        await service.note_steps(session, [])
        await service.take_back(session, {}, [], NOW)
    assert await shop.count("earning_counters") == 0


async def test_counts_add_up_each_under_its_key(shop: Shop) -> None:
    """Period and beginning are part of the key, an empty member is nobody's."""
    later = CounterKey("base", "mem_1", "day", DAY + timedelta(days=1))
    longer = CounterKey("base", "mem_1", "week", DAY)
    await count(shop.engine, {MINE: Count(1, 10), BUDGET: Count(1, 10)})
    await count(shop.engine, {MINE: Count(2, 5, 3), later: Count(1, 1), longer: Count(seen=1)})
    found = await seen(shop.engine, MINE, BUDGET, COMMON, later, longer)
    assert found == [Count(3, 15, 3), Count(1, 10), NOTHING, Count(1, 1), Count(seen=1)]


@pytest.mark.parametrize(("key", "per"), [(BUDGET, "rule"), (COMMON, "programme")])
async def test_the_end_of_a_budget_is_told_once(shop: Shop, key: CounterKey, per: str) -> None:
    dry = Dry(key, "rul_1@2", 50)
    await count(shop.engine, {key: Count(1, 50)}, [dry, dry])
    await count(shop.engine, {}, [dry])
    assert await exhausted(shop) == [
        {"rule": "rul_1@2", "per": per, "period": "day", "starts_at": DAY.isoformat(), "limit_tokens": 50},
    ]
    (event,) = await shop.events("budget.exhausted")
    assert event.subject_id == "rul_1"
    assert await seen(shop.engine, key) == [Count(1, 50)]


async def test_the_next_period_has_an_end_of_its_own(shop: Shop) -> None:
    tomorrow = CounterKey("base", "", "day", DAY + timedelta(days=1))
    for key in (BUDGET, tomorrow):
        await count(shop.engine, {key: Count(1, 50)}, [Dry(key, "rul_1@1", 50)])
    assert [told["starts_at"] for told in await exhausted(shop)] == [DAY.isoformat(), tomorrow.starts_at.isoformat()]


async def test_what_comes_back_is_counted_off_and_never_below_nothing(shop: Shop) -> None:
    await count(shop.engine, {MINE: Count(2, 30), BUDGET: Count(1, 5)})
    await take_back(shop.engine, {MINE: Count(-1, -10), BUDGET: Count(-3, -50), COMMON: Count(-1, -1)})
    assert await seen(shop.engine, MINE, BUDGET, COMMON) == [Count(1, 20), NOTHING, NOTHING]


async def test_a_budget_that_came_back_is_not_announced_again(shop: Shop) -> None:
    dry = Dry(BUDGET, "rul_1@1", 50)
    await count(shop.engine, {BUDGET: Count(1, 50)}, [dry])
    await take_back(shop.engine, {BUDGET: Count(-1, -50)})
    async with snapshot(shop.engine) as session:
        counters = await service.read(session, [BUDGET])
    assert (counters.usage[BUDGET], counters.announced) == (NOTHING, {BUDGET})


async def test_a_purchase_leaves_its_row_once(shop: Shop) -> None:
    kept, gone = await shop.sell(), await shop.sell()
    async with transaction(shop.engine) as session:
        counters = await service.lock(session, [MINE])
        await service.add(session, counters, {MINE: Count(seen=2)}, [], NOW)
        await service.note_steps(session, [(kept.id, MINE), (gone.id, MINE)])
    async with transaction(shop.engine) as session:
        assert await service.stepped(session, [kept.id, gone.id, "sal_none"]) == {kept.id, gone.id}
    for _ in range(2):
        await take_back(shop.engine, {}, gone.id)
    assert await seen(shop.engine, MINE) == [Count(seen=1)]
    async with transaction(shop.engine) as session:
        assert await service.stepped(session, [kept.id, gone.id]) == {kept.id}


async def test_many_at_once_lose_no_count_whatever_their_order(shop: Shop) -> None:
    keys = [CounterKey(f"rule-{n}", "", "day", DAY) for n in range(6)]
    chance = random.Random(4)

    async def one() -> None:
        mine = chance.sample(keys, 4)
        async with transaction(shop.engine) as session:
            counters = await service.lock(session, sorted(mine))
            before = {key: counters.usage[key].uses for key in mine}
            await asyncio.sleep(0)
            # Under the lock nobody else has counted: what was read is what is there.
            assert (await service.read(session, mine)).usage == counters.usage
            await service.add(session, counters, {key: Count(1, before[key]) for key in mine}, [], NOW)

    await asyncio.gather(*(one() for _ in range(9)))
    found = await seen(shop.engine, *keys)
    assert sum(each.uses for each in found) == 9 * 4
    # Each wrote what it had read: 0 + 1 + 2 ..., so that no two can have read the same.
    assert [each.tokens for each in found] == [each.uses * (each.uses - 1) // 2 for each in found]
