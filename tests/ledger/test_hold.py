"""Redemptions: earliest expiry first, one winner of parallel ones (threat M1), void, refusals."""

import asyncio
from datetime import timedelta

import pytest

from factories.ledger import LedgerWorld
from mereau.core.errors import InvalidInputError, NotFoundError
from mereau.ledger.errors import (
    HoldSettledError,
    InsufficientBalanceError,
    MemberInactiveError,
    RedemptionsFrozenError,
)

DAY = timedelta(days=1)


async def test_a_hold_reserves_and_orders_the_burn(world: LedgerWorld) -> None:
    await world.credit(100)
    entry_id = await world.hold(30)
    assert await world.counters() == (70, 0, 30, 0)
    order = (await world.orders())[entry_id]
    assert (order.kind, order.partner_number, order.tokens) == ("redeem", 2, 30)
    assert order.commitment is not None
    assert await world.statuses(entry_id) == ["accepted"]
    assert await world.drift() == 0


async def test_the_earliest_expiry_goes_first_then_the_oldest(world: LedgerWorld) -> None:
    never_old = await world.credit(10)
    late = await world.credit(10, life=90 * DAY)
    world.now += DAY
    never_new = await world.credit(10)
    soon = await world.credit(10, life=30 * DAY)
    await world.hold(25)
    remaining = {key: (await world.lot(key)).remaining for key in (soon, late, never_old, never_new)}
    assert remaining == {soon: 0, late: 0, never_old: 5, never_new: 10}
    seen = await world.balance()
    assert (seen.expiring_next_tokens, seen.expiring_next_at) == (0, None)


async def test_pending_tokens_cannot_be_spent(world: LedgerWorld) -> None:
    await world.credit(10)
    await world.credit(90, delay=DAY)
    with pytest.raises(InsufficientBalanceError) as refusal:
        await world.hold(30)
    assert refusal.value.missing_tokens == 20
    assert (refusal.value.code, refusal.value.status) == ("insufficient_balance", 409)
    assert await world.counters() == (10, 90, 0, 0)


async def test_a_member_without_tokens_lacks_them_all(world: LedgerWorld) -> None:
    with pytest.raises(InsufficientBalanceError) as refusal:
        await world.hold(30)
    assert refusal.value.missing_tokens == 30


async def test_a_debt_is_set_aside_before_anything_is_spent(debt_world: LedgerWorld) -> None:
    world = debt_world
    credit = await world.credit(100)
    await world.hold(100)
    await world.reverse(credit, 40)
    await world.credit(50)
    with pytest.raises(InsufficientBalanceError) as refusal:
        await world.hold(11)
    assert refusal.value.missing_tokens == 1
    await world.hold(10)
    assert await world.counters() == (0, 0, 110, 40)


@pytest.mark.parametrize("count", [2, 8])
async def test_of_parallel_redemptions_of_one_balance_exactly_one_wins(world: LedgerWorld, count: int) -> None:
    await world.credit(100)
    outcomes = await asyncio.gather(*(world.hold(100) for _ in range(count)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, InsufficientBalanceError)]
    assert len(refused) == count - 1
    assert {outcome.missing_tokens for outcome in refused} == {100}
    assert await world.counters() == (0, 0, 100, 0)
    assert len([order for order in (await world.orders()).values() if order.kind == "redeem"]) == 1


async def test_parallel_redemptions_that_fit_together_all_win(world: LedgerWorld) -> None:
    await world.credit(100)
    await asyncio.gather(*(world.hold(25) for _ in range(4)))
    assert await world.counters() == (0, 0, 100, 0)


async def test_calls_over_the_same_members_in_any_order_never_deadlock(world: LedgerWorld) -> None:
    """Each call names both members, in turn in either order; accounts and wallets do not exist yet."""
    calls = [[world.a_credit(1, member=index % 2), world.a_credit(1, member=(index + 1) % 2)] for index in range(16)]
    await asyncio.gather(*(world.post(*call) for call in calls))
    assert (await world.counters(0))[0] == (await world.counters(1))[0] == 16
    assert await world.drift() == 0


async def test_a_hold_is_voided_while_its_burn_is_queued(world: LedgerWorld) -> None:
    soon, never = await world.credit(10, life=DAY), await world.credit(10)
    entry_id = await world.hold(15)
    await world.void(entry_id, "cancelled_by_member")
    assert await world.counters() == (20, 0, 0, 0)
    assert [(await world.lot(key)).remaining for key in (soon, never)] == [10, 10]
    assert await world.statuses(entry_id) == ["rejected"]
    (told,) = await world.events("entry.rejected")
    assert (told.subject_id, told.payload["reason"]) == (entry_id, "cancelled_by_member")
    assert (await world.orders())[entry_id].state == "rejected"


async def test_a_sealed_burn_cannot_be_stopped(world: LedgerWorld) -> None:
    await world.credit(10)
    entry_id = await world.hold(10)
    await world.seal(entry_id)
    with pytest.raises(HoldSettledError):
        await world.void(entry_id)
    assert await world.counters() == (0, 0, 10, 0)


async def test_a_hold_is_voided_once(world: LedgerWorld) -> None:
    await world.credit(10)
    entry_id = await world.hold(10)
    outcomes = await asyncio.gather(world.void(entry_id), world.void(entry_id), return_exceptions=True)
    assert sorted(type(outcome) for outcome in outcomes if outcome is not None) == [HoldSettledError]
    assert await world.counters() == (10, 0, 0, 0)


async def test_only_redemptions_are_voided(world: LedgerWorld) -> None:
    credit = await world.credit(10)
    for target in (credit, "ent_none"):
        with pytest.raises(NotFoundError):
            await world.void(target)
    assert await world.counters() == (10, 0, 0, 0)


async def test_nobody_redeems_while_the_mirror_is_frozen(world: LedgerWorld) -> None:
    credit = await world.credit(10)
    await world.mine(credit)
    await world.write("update chain_mirror set frozen_reason = 'a reorganisation deeper than finality'")
    with pytest.raises(RedemptionsFrozenError, match="deeper than finality"):
        await world.hold(10)
    await world.write("update chain_mirror set frozen_reason = null")
    await world.hold(10)


@pytest.mark.parametrize("status", ["blocked", "deleted"])
async def test_an_inactive_member_does_not_redeem(world: LedgerWorld, status: str) -> None:
    await world.credit(10)
    await world.write("update members set status = :status", status=status)
    with pytest.raises(MemberInactiveError):
        await world.hold(10)


async def test_an_unknown_member_or_partner_is_not_found(world: LedgerWorld) -> None:
    await world.credit(10)
    with pytest.raises(NotFoundError):
        await world.hold(10, member_id="mem_none")
    with pytest.raises(NotFoundError):
        await world.hold(10, partner_id="par_none")
    assert await world.counters() == (10, 0, 0, 0)


async def test_a_redemption_needs_tokens(world: LedgerWorld) -> None:
    with pytest.raises(InvalidInputError):
        await world.hold(0)
