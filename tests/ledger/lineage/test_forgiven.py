"""Redeem, bring the goods back, cancel: nobody keeps tokens of goods that were returned meanwhile."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.ledger import LedgerWorld, make_world
from mereau.core.db import transaction
from mereau.core.errors import InvalidInputError
from mereau.ledger.refunds import service as refunds
from mereau.ledger.replay.service import find_differences

REJECTED = "LoyaltyDeadline"


async def sound(world: LedgerWorld) -> None:
    """The chain does what is open, and agrees; the entries alone give the same lots."""
    if queued := await world.queued():
        await world.mine(*queued)
    assert await world.drift() == 0
    assert [str(found) async for found in find_differences(world.engine)] == []


async def undo(world: LedgerWorld, entry_id: str, how: str) -> None:
    """A redemption that is cancelled, or that the chain refused."""
    await (world.void(entry_id) if how == "cancelled" else world.reject(entry_id, reason=REJECTED))


@pytest.mark.parametrize("how", ["cancelled", "refused by the chain"])
@pytest.mark.parametrize(
    ("held", "returned", "left"),
    [(100, 100, 0), (60, 100, 0), (60, 40, 60), (60, 50, 50), (60, 41, 59), (1, 100, 0)],
)
async def test_what_was_forgiven_is_taken_when_it_comes_free(
    world: LedgerWorld, held: int, returned: int, left: int, how: str
) -> None:
    credit = await world.credit(100)
    await world.mine(credit)
    redemption = await world.hold(held)
    done = await world.reverse(credit, returned)
    assert done.forgiven_tokens == max(0, returned - (100 - held))
    await undo(world, redemption, how)
    assert await world.counters() == (left, 0, 0, 0)
    lot = await world.lot(credit)
    assert (lot.reversed, lot.unmet) == (returned, 0)
    await sound(world)


async def test_the_entry_names_its_issuer_its_reason_and_the_redemption(world: LedgerWorld) -> None:
    credit = await world.credit(100, partner=1)
    await world.mine(credit)
    redemption = await world.hold(100)
    await world.reverse(credit, 30, partner=1)
    await world.void(redemption)
    (burn,) = await world.rows("select * from entries where id = :id", id=redemption)
    (entry,) = await world.rows("select * from entries where kind = 'reverse'")
    assert (entry.tokens, entry.partner_id, entry.reason_code, entry.state) == (
        30, world.partners[1].id, "return", "accepted",
    )  # fmt: skip
    assert (entry.source_id, entry.source_reference) == (burn.source_id, burn.source_reference)
    assert [
        (row.lot_entry_id, row.tokens)
        for row in await world.rows("select * from lot_uses where entry_id = :id", id=entry.id)
    ] == [(credit, 30)]
    told = [row.subject_id for row in await world.events("entry.accepted")]
    assert entry.id in told


async def test_two_redemptions_give_back_in_turn_and_no_more_than_was_asked_for(world: LedgerWorld) -> None:
    credit = await world.credit(100)
    await world.mine(credit)
    first, second = await world.hold(50), await world.hold(50)
    await world.reverse(credit, 70)
    await world.void(first)
    assert await world.counters() == (0, 0, 50, 0)
    await world.void(second)
    assert await world.counters() == (30, 0, 0, 0)
    assert (await world.lot(credit)).unmet == 0
    with pytest.raises(InvalidInputError):
        await world.reverse(credit, 31)
    assert (await world.reverse(credit, 30)).reversed_tokens == 30
    await sound(world)


async def test_only_the_lot_of_the_goods_is_asked(world: LedgerWorld) -> None:
    kept, returned = await world.credit(40), await world.credit(60)
    await world.mine(kept, returned)
    redemption = await world.hold(100)
    await world.reverse(returned, 60)
    await world.void(redemption)
    assert await world.counters() == (40, 0, 0, 0)
    assert (await world.lot(kept)).remaining == 40
    await sound(world)


async def test_tokens_that_a_refund_brought_back_are_asked_as_well(world: LedgerWorld) -> None:
    credit = await world.credit(100)
    await world.mine(credit)
    burned = await world.hold(100)
    await world.mine(burned)
    async with transaction(world.engine) as session:
        await refunds.refund(session, burned, world.now, actor="key:k")
    (lot,) = await world.rows("select entry_id from lots where entry_id <> :id", id=credit)
    await world.mine(lot.entry_id)
    again = await world.hold(80)
    done = await world.reverse(credit, 100)
    assert (done.reversed_tokens, done.forgiven_tokens) == (20, 80)
    await world.void(again)
    assert await world.counters() == (0, 0, 0, 0)
    assert (await world.lot(lot.entry_id)).reversed == 100
    await sound(world)


async def test_what_is_owed_stays_owed_and_is_not_taken_twice(engine: AsyncEngine) -> None:
    world = await make_world(engine, return_policy="debt")
    credit = await world.credit(100)
    await world.mine(credit)
    redemption = await world.hold(100)
    await world.reverse(credit, 100)
    await world.void(redemption)
    assert (await world.balance()).debt == 100
    assert (await world.lot(credit)).remaining == 100
    assert (await world.counters())[0] == 0
    await sound(world)


async def test_without_a_return_everything_comes_back(world: LedgerWorld) -> None:
    credit = await world.credit(100, life=timedelta(days=9))
    await world.mine(credit)
    await world.void(await world.hold(70))
    assert await world.counters() == (100, 0, 0, 0)
    assert await world.rows("select 1 from entries where kind = 'reverse'") == []


async def test_a_return_and_a_cancellation_at_once_leave_the_same_as_one_after_the_other(world: LedgerWorld) -> None:
    for _ in range(6):
        credit = await world.credit(10)
        await world.mine(credit)
        redemption = await world.hold(10)
        await asyncio.gather(world.reverse(credit, 10), world.void(redemption))
        assert await world.counters() == (0, 0, 0, 0)
    await sound(world)
