"""One microsecond before, the instant itself, one after: when credits activate and lots expire."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from factories.ledger import LedgerWorld
from mereau.ledger import tasks

DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
AROUND = [(-TICK, False), (timedelta(), True), (TICK, True)]
IDS = ["before", "same", "after"]


async def everything(wallets: Sequence[bytes]) -> Mapping[bytes, int]:
    return dict.fromkeys(wallets, 10**9)


async def expire(world: LedgerWorld) -> int:
    return await tasks.expire_due(world.engine, world.now, everything)


@pytest.mark.parametrize(("offset", "due"), AROUND, ids=IDS)
async def test_activation(world: LedgerWorld, offset: timedelta, due: bool) -> None:
    credit = await world.credit(10, delay=DAY)
    world.now += DAY + offset
    assert await tasks.activate_due(world.engine, world.now) == int(due)
    assert await world.counters() == ((10, 0, 0, 0) if due else (0, 10, 0, 0))
    assert await world.statuses(credit) == ["accepted" if due else "pending"]


@pytest.mark.parametrize(("offset", "due"), AROUND, ids=IDS)
async def test_a_credit_whose_instant_has_come_is_active_at_once(
    world: LedgerWorld, offset: timedelta, due: bool
) -> None:
    """`activates_at` = now is no wait; neither is one in the past."""
    credit = await world.credit(10, activates_at=world.now - offset)
    assert await world.statuses(credit) == ["accepted" if due else "pending"]
    assert len(await world.orders()) == int(due)


@pytest.mark.parametrize(("offset", "due"), AROUND, ids=IDS)
async def test_expiry(world: LedgerWorld, offset: timedelta, due: bool) -> None:
    await world.mine(await world.credit(10, life=DAY))
    world.now += DAY + offset
    assert await expire(world) == (10 if due else 0)
    assert await world.counters() == ((0, 0, 0, 0) if due else (10, 0, 0, 0))


async def test_a_lot_past_its_life_is_spendable_until_the_job_has_run(world: LedgerWorld) -> None:
    """The chain still holds the tokens, so the ledger does too."""
    await world.mine(await world.credit(10, life=DAY))
    world.now += 2 * DAY
    await world.hold(4)
    assert await expire(world) == 6
    assert await world.counters() == (0, 0, 4, 0)


async def test_a_credit_that_expires_as_it_activates_does_both_in_order(world: LedgerWorld) -> None:
    credit = await world.credit(10, delay=DAY, life=timedelta())
    world.now += DAY
    assert await expire(world) == 0
    assert await tasks.activate_due(world.engine, world.now) == 1
    await world.mine(credit)
    assert await expire(world) == 10
    assert await world.counters() == (0, 0, 0, 0)
    assert await world.drift() == 0


async def test_the_same_instant_in_another_zone_is_the_same_instant(world: LedgerWorld) -> None:
    from_paris = datetime.fromisoformat("2026-07-01T10:00:00+02:00")
    await world.credit(10, activates_at=from_paris)
    world.now = datetime(2026, 7, 1, 8, 0, tzinfo=UTC) - TICK
    assert await tasks.activate_due(world.engine, world.now) == 0
    world.now += TICK
    assert await tasks.activate_due(world.engine, world.now) == 1


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
async def test_lots_of_one_instant_are_all_taken_whatever_the_chunk(world: LedgerWorld, chunk: int) -> None:
    """The walk's place is (expiry, id): equal instants neither repeat nor get lost between chunks."""
    await world.post(*(world.a_credit(1, member=index % 2, life=DAY, delay=DAY) for index in range(6)))
    world.now += DAY
    assert await tasks.activate_due(world.engine, world.now, chunk=chunk) == 6
    await world.mine(*await world.queued())
    world.now += DAY
    assert await tasks.expire_due(world.engine, world.now, everything, chunk=chunk) == 6
    expiries = await world.rows("select source_id, count(*) from entries where kind = 'expire' group by source_id")
    assert sorted(row.count for row in expiries) == [1] * 6


async def test_hold_and_expiry_of_the_same_lot_never_take_a_token_twice(world: LedgerWorld) -> None:
    await world.mine(await world.credit(10, life=DAY), await world.credit(10, life=2 * DAY))
    await world.hold(13)
    world.now += 2 * DAY

    # The contract would let 20 go; 13 are on their way out already.
    async def balance_only(wallets: Sequence[bytes]) -> Mapping[bytes, int]:
        return dict.fromkeys(wallets, 20)

    assert await tasks.expire_due(world.engine, world.now, balance_only) == 7
    assert await world.counters() == (0, 0, 13, 0)
    assert await world.drift() == 0
