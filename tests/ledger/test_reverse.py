"""Returns: pending first, then what is free, then the programme's policy (threat M3)."""

from datetime import timedelta

import pytest

from factories.ledger import LedgerWorld
from mereau.core.errors import InvalidInputError, NotFoundError

DAY = timedelta(days=1)


async def test_an_active_credit_is_burned_by_its_partner(world: LedgerWorld) -> None:
    credit = await world.credit(100)
    posted = await world.reverse(credit, 30)
    assert posted.entry_id is not None
    figures = (posted.cancelled_tokens, posted.reversed_tokens, posted.debt_tokens, posted.forgiven_tokens)
    assert figures == (0, 30, 0, 0)
    assert await world.counters() == (70, 0, 0, 0)
    order = (await world.orders())[posted.entry_id]
    assert (order.kind, order.partner_number, order.tokens) == ("reverse", 1, 30)
    lot = await world.lot(credit)
    assert (lot.remaining, lot.reversed, lot.state) == (70, 30, "active")
    assert await world.drift() == 0


async def test_the_whole_lot_reversed_says_so(world: LedgerWorld) -> None:
    credit = await world.credit(100)
    await world.reverse(credit, 60)
    await world.reverse(credit, 40)
    assert (await world.lot(credit)).state == "reversed"
    assert await world.counters() == (0, 0, 0, 0)


async def test_a_pending_credit_is_cancelled_off_chain(world: LedgerWorld) -> None:
    credit = await world.credit(100, delay=DAY)
    posted = await world.reverse(credit, 100)
    assert (posted.entry_id, posted.cancelled_tokens) == (None, 100)
    assert await world.counters() == (0, 0, 0, 0)
    assert await world.statuses(credit) == ["cancelled"]
    assert await world.orders() == {}
    (told,) = await world.events("entry.cancelled")
    assert (told.subject_id, told.payload["tokens"]) == (credit, 100)


async def test_part_of_a_pending_credit_leaves_a_smaller_one(world: LedgerWorld) -> None:
    credit = await world.credit(100, delay=DAY)
    await world.reverse(credit, 30)
    assert await world.counters() == (0, 70, 0, 0)
    (entry,) = await world.rows("select * from entries")
    assert (entry.state, entry.tokens) == ("pending", 70)


async def test_clamp_forgives_what_is_spent_and_says_how_much(world: LedgerWorld) -> None:
    credit = await world.credit(100)
    await world.hold(80)
    posted = await world.reverse(credit, 50)
    assert (posted.reversed_tokens, posted.debt_tokens, posted.forgiven_tokens) == (20, 0, 30)
    assert await world.counters() == (0, 0, 80, 0)
    assert (await world.lot(credit)).unmet == 30


async def test_buy_redeem_return_leaves_a_debt_that_stops_spending(debt_world: LedgerWorld) -> None:
    """M3: the member keeps the reward, but the next tokens answer for it."""
    world = debt_world
    credit = await world.credit(100)
    await world.hold(80)
    posted = await world.reverse(credit, 50)
    assert (posted.reversed_tokens, posted.debt_tokens, posted.forgiven_tokens) == (20, 30, 0)
    assert await world.counters() == (0, 0, 80, 30)
    await world.credit(45)
    assert await world.counters() == (15, 0, 80, 30)


async def test_tokens_that_expired_unused_are_never_owed(debt_world: LedgerWorld) -> None:
    world = debt_world
    credit = await world.credit(100)
    await world.hold(40)
    await world.write("update lots set expired = 60, remaining = 0")
    await world.write("update accounts set available = 0")
    first, second = await world.reverse(credit, 50), await world.reverse(credit, 50)
    assert (first.debt_tokens, first.forgiven_tokens) == (40, 10)
    assert (second.debt_tokens, second.forgiven_tokens) == (0, 50)


async def test_several_reversals_of_one_credit_in_one_call_add_up(world: LedgerWorld) -> None:
    credit, other = await world.credit(100), await world.credit(10, member=1, partner=1)
    posted = await world.take_back(
        world.a_reversal(credit, 60), world.a_reversal(other, 10, partner=1), world.a_reversal(credit, 40)
    )
    assert [item.reversed_tokens for item in posted] == [60, 10, 40]
    assert await world.counters(0) == await world.counters(1) == (0, 0, 0, 0)


async def test_more_than_was_credited_is_refused_whole(world: LedgerWorld) -> None:
    credit = await world.credit(100)
    await world.reverse(credit, 60)
    with pytest.raises(InvalidInputError) as refusal:
        await world.take_back(world.a_reversal(credit, 40), world.a_reversal(credit, 1))
    assert [found.pointer for found in refusal.value.errors] == ["/1/tokens"]
    assert await world.counters() == (40, 0, 0, 0)


async def test_unmet_returns_count_as_returned(world: LedgerWorld) -> None:
    credit = await world.credit(100)
    await world.hold(100)
    await world.reverse(credit, 100)
    with pytest.raises(InvalidInputError):
        await world.reverse(credit, 1)


async def test_another_partners_credit_is_not_found(world: LedgerWorld) -> None:
    credit = await world.credit(100)
    with pytest.raises(NotFoundError):
        await world.reverse(credit, 10, partner=1)
    assert await world.counters() == (100, 0, 0, 0)


@pytest.mark.parametrize("what", ["nothing", "a redemption"])
async def test_only_credits_are_reversed(world: LedgerWorld, what: str) -> None:
    await world.credit(100)
    target = "ent_none" if what == "nothing" else await world.hold(10)
    with pytest.raises(NotFoundError):
        await world.reverse(target, 10, partner=1)


async def test_no_reversals_are_no_work(world: LedgerWorld) -> None:
    assert await world.take_back() == []


async def test_a_credit_that_the_chain_refused_leaves_nothing_to_take(debt_world: LedgerWorld) -> None:
    world = debt_world
    credit = await world.credit(100)
    await world.reject(credit)
    posted = await world.reverse(credit, 100)
    assert (posted.entry_id, posted.cancelled_tokens, posted.debt_tokens) == (None, 100, 0)
    assert await world.counters() == (0, 0, 0, 0)
    assert await world.statuses(credit) == ["rejected"]
