"""What is taken back while it is being sealed is not sealed, and holds up nobody."""

from collections.abc import Awaitable, Callable

import pytest

from chain.relayer.kit import Desk
from mereau.chain import queries_ledger
from mereau.chain.orders import OrderKind
from mereau.core.db import transaction


def withdrawal(desk: Desk, *order_ids: str) -> Callable[[], Awaitable[None]]:
    """Somebody cancels these orders, in a transaction of their own."""

    async def withdraw() -> None:
        async with transaction(desk.engine) as session:
            assert await queries_ledger.withdraw(session, order_ids, "cancelled") == set(order_ids)

    return withdraw


@pytest.mark.parametrize("gone", [0, 1, 2])
async def test_the_others_of_its_group_are_sealed_in_the_same_pass(desk: Desk, gone: int) -> None:
    wallets = [desk.member(number) for number in range(3)]
    ids = await desk.enqueue(*(desk.order(OrderKind.ISSUE, wallet, 5) for wallet in wallets))
    desk.keys.meanwhile = withdrawal(desk, ids[gone])
    async with desk.relayer() as relayer:
        progress = await desk.cycle(relayer)
    assert (progress.orders, progress.batches) == (2, 1)
    assert [await desk.balance(wallet) for wallet in wallets] == [0 if n == gone else 5 for n in range(3)]
    assert (await desk.states())[ids[gone]] == "rejected"
    assert await desk.sequence() == 1


async def test_a_group_of_which_nothing_is_left_takes_no_sequence(desk: Desk) -> None:
    ids = await desk.enqueue(*(desk.order(OrderKind.ISSUE, desk.member(number), 5) for number in range(2)))
    desk.keys.meanwhile = withdrawal(desk, *ids)
    async with desk.relayer() as relayer:
        assert (await desk.cycle(relayer)).batches == 0
        await desk.enqueue(desk.order(OrderKind.ISSUE, desk.member(2), 5))
        assert (await desk.cycle(relayer)).orders == 1
    assert (await desk.sequence(), await desk.balance(desk.member(2))) == (1, 5)


async def test_other_groups_of_its_transaction_are_sealed_in_the_same_pass(desk: Desk) -> None:
    """A credit and a reversal share a transaction; the reversal is withdrawn."""
    wallet = desk.member(0)
    async with desk.relayer() as relayer:
        await desk.enqueue(desk.order(OrderKind.ISSUE, wallet, 5))
        await desk.cycle(relayer)
        _, reversal = await desk.enqueue(
            desk.order(OrderKind.ISSUE, wallet, 7), desk.order(OrderKind.REVERSE, wallet, 5)
        )
        desk.keys.meanwhile = withdrawal(desk, reversal)
        assert (await desk.cycle(relayer)).orders == 1
    assert (await desk.balance(wallet), await desk.sequence()) == (12, 2)
    assert (await desk.states())[reversal] == "rejected"
