"""Orders that the contract would refuse are found before sealing, rejected with a reason, and harm no others."""

from dataclasses import replace

import pytest

from chain.relayer.kit import Desk
from mereau.chain import contract
from mereau.chain.orders import NewOrder, OrderKind

ZERO = bytes(20)


def issue(desk: Desk, number: int, tokens: int = 10) -> NewOrder:
    return desk.order(OrderKind.ISSUE, desk.member(number), tokens)


def reasons(desk: Desk) -> dict[str, str]:
    return {one.id: one.reason.partition("(")[0] for one in desk.rejected}


async def settle(desk: Desk, passes: int = 3) -> None:
    async with desk.relayer() as relayer:
        await desk.cycle(relayer, passes)


@pytest.mark.parametrize(
    ("poison", "reason"),
    [({"wallet": ZERO}, "ERC20InvalidReceiver"), ({"tokens": 0}, "LoyaltyAmount")],
)
async def test_a_bad_credit_is_rejected_and_the_others_pass(desk: Desk, poison: dict[str, object], reason: str) -> None:
    orders = [issue(desk, number) for number in range(8)]
    orders[5] = replace(orders[5], **poison)  # type: ignore[arg-type] - one field of the parametrisation
    ids = await desk.enqueue(*orders)
    await settle(desk)
    assert reasons(desk) == {ids[5]: reason}
    states = await desk.states()
    assert [states[one] for one in ids] == [*["sealed"] * 5, "rejected", *["sealed"] * 2]
    assert [batch.order_count for batch in await desk.batches()] == [7]
    assert [await desk.balance(desk.member(number)) for number in (4, 6)] == [10, 10]


async def test_several_poisons_are_found_in_one_pass(desk: Desk) -> None:
    orders = [issue(desk, number) for number in range(9)]
    for place in (0, 4, 8):
        orders[place] = replace(orders[place], wallet=ZERO)
    ids = await desk.enqueue(*orders)
    async with desk.relayer() as relayer:
        progress = await relayer.step()
    assert (progress.orders, progress.rejected) == (6, 3)
    assert reasons(desk) == dict.fromkeys((ids[0], ids[4], ids[8]), "ERC20InvalidReceiver")


async def test_a_window_of_nothing_but_poison_seals_nothing(desk: Desk) -> None:
    await desk.enqueue(*(replace(issue(desk, number), tokens=0) for number in range(3)))
    await settle(desk, 1)
    assert len(desk.rejected) == 3
    assert await desk.batches() == []
    assert await desk.sequence() == 0


async def test_beyond_the_allowance_the_later_orders_are_rejected(desk: Desk) -> None:
    await desk.register(allowance=25)
    ids = await desk.enqueue(*(issue(desk, number, tokens) for number, tokens in enumerate((10, 10, 10, 5))))
    await settle(desk)
    assert reasons(desk) == {ids[2]: "LoyaltyAllowance"}
    assert (await desk.read("totalSupply"))[0] == 25


async def test_beyond_the_period_cap_the_later_orders_are_rejected(desk: Desk) -> None:
    await desk.register(period_cap=15)
    ids = await desk.enqueue(issue(desk, 1, 15), issue(desk, 2, 1))
    await settle(desk)
    assert reasons(desk) == {ids[1]: "LoyaltyPeriodCap"}


async def test_a_suspended_partners_credits_are_rejected_but_its_reversals_pass(desk: Desk) -> None:
    await desk.enqueue(issue(desk, 1, 10))
    await settle(desk)
    await desk.register(active=False)
    ids = await desk.enqueue(issue(desk, 2), desk.order(OrderKind.REVERSE, desk.member(1), 4))
    await settle(desk)
    assert reasons(desk) == {ids[0]: "LoyaltyPartnerInactive"}
    assert await desk.balance(desk.member(1)) == 6


async def test_a_redemption_beyond_the_balance_is_rejected_and_others_pass(desk: Desk) -> None:
    await desk.enqueue(*(issue(desk, number) for number in range(3)))
    await settle(desk)
    ids = await desk.enqueue(
        *(desk.order(OrderKind.REDEEM, desk.member(number), tokens) for number, tokens in enumerate((5, 11, 10)))
    )
    await settle(desk)
    assert reasons(desk) == {ids[1]: "ERC20InsufficientBalance"}
    assert [await desk.balance(desk.member(number)) for number in range(3)] == [5, 10, 0]


async def test_of_two_debits_of_one_wallet_the_one_that_goes_too_far_is_found(desk: Desk) -> None:
    await desk.enqueue(issue(desk, 1, 10), issue(desk, 2, 10))
    await settle(desk)
    ids = await desk.enqueue(
        desk.order(OrderKind.REVERSE, desk.member(1), 6),
        desk.order(OrderKind.REVERSE, desk.member(2), 1),
        desk.order(OrderKind.REVERSE, desk.member(1), 5),
        desk.order(OrderKind.REVERSE, desk.member(1), 4),
    )
    await settle(desk)
    assert reasons(desk) == {ids[2]: "ERC20InsufficientBalance"}
    assert await desk.balance(desk.member(1)) == 0


async def test_a_reversal_beyond_what_the_partner_issued_is_rejected(desk: Desk) -> None:
    other = desk.keys.add(f"{desk.name} second partner")
    await desk.send(
        desk.actors.partner_admin,
        contract.encode_set_partner(2, other, allowance=None, period_cap=None, active=True),
    )
    await desk.enqueue(issue(desk, 1, 10))
    await settle(desk)
    (order_id,) = await desk.enqueue(replace(desk.order(OrderKind.REVERSE, desk.member(1), 3), partner_number=2))
    await settle(desk)
    assert reasons(desk) == {order_id: "LoyaltyReversal"}
    assert await desk.balance(desk.member(1)) == 10


async def test_what_a_batch_in_flight_may_cure_is_not_rejected_yet(desk: Desk) -> None:
    """The debit fails on the chain as it is; a rejection would be final although a credit is on its way."""
    async with desk.relayer() as relayer:
        await desk.enqueue(issue(desk, 1, 10))
        await relayer.step()
        # The mirror has not told yet that the credit is mined, so that more than it may be in flight.
        (order_id,) = await desk.enqueue(desk.order(OrderKind.REVERSE, desk.member(2), 5))
        await relayer.step()
        assert desk.rejected == []
        assert (await relayer.step()).orders == 0
        await desk.follow()
        await relayer.step()
    assert reasons(desk) == {order_id: "ERC20InsufficientBalance"}


async def test_a_pause_makes_orders_wait(desk: Desk) -> None:
    await desk.send(desk.actors.pauser, contract.encode_call("pause"))
    await desk.enqueue(issue(desk, 1))
    async with desk.relayer() as relayer:
        assert (await desk.cycle(relayer, 2)).orders == 0
        assert desk.rejected == []
        await desk.send(desk.actors.admin, contract.encode_call("unpause"))
        assert (await desk.cycle(relayer)).orders == 1
    assert await desk.balance(desk.member(1)) == 10


async def test_a_partner_without_a_key_here_stops_its_own_line_only(desk: Desk) -> None:
    stranger = desk.keys.add(f"{desk.name} stranger")
    await desk.send(
        desk.actors.partner_admin,
        contract.encode_set_partner(2, stranger, allowance=None, period_cap=None, active=True),
    )
    desk.keys.drop(stranger)
    ids = await desk.enqueue(replace(issue(desk, 1), partner_number=2), issue(desk, 2))
    await settle(desk)
    states = await desk.states()
    assert [states[one] for one in ids] == ["queued", "sealed"]
    assert desk.rejected == []


async def test_a_rejection_that_the_ledger_refuses_is_rolled_back(desk: Desk) -> None:
    (order_id,) = await desk.enqueue(replace(issue(desk, 1), tokens=0))

    async def refuse(session: object, rejected: object) -> None:
        raise ZeroDivisionError

    desk._note_rejected = refuse  # type: ignore[method-assign, assignment] - the ledger's side fails
    async with desk.relayer() as relayer:
        with pytest.raises(ZeroDivisionError):
            await relayer.step()
    assert await desk.states() == {order_id: "queued"}
