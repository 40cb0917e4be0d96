"""No order is rejected for what is missing only for now: taken away by a reorganisation, or still in the queue."""

from dataclasses import replace

from chain.relayer.kit import Desk, frozen, seconds
from mereau.chain import contract
from mereau.chain.broadcasting import BroadcastPolicy
from mereau.chain.orders import OrderKind

FINAL_AFTER = 5


async def credited(desk: Desk, tokens: int) -> bytes:
    """A wallet whose credit is mined and mirrored, and not final."""
    wallet = desk.member(1)
    await desk.enqueue(desk.order(OrderKind.ISSUE, wallet, tokens))
    async with desk.relayer() as relayer:
        await relayer.step()
    await desk.rpc.call("evm_mine")
    await desk.follow()
    assert [batch.state for batch in await desk.batches()] == ["mined"]
    return wallet


async def test_a_debit_outlives_the_block_of_its_credit(slow_desk: Desk) -> None:
    """The node forgets the block before the mirror notices: for the relayer nothing is open, nor is there a token."""
    desk = slow_desk
    clock = frozen(desk)
    wallet = await credited(desk, 10)
    await desk.rpc.call("anvil_rollback", 1)
    await desk.rpc.call("anvil_dropAllTransactions")
    await desk.rpc.call("anvil_mine", "0x2")
    assert await desk.balance(wallet) == 0
    (order_id,) = await desk.enqueue(desk.order(OrderKind.REDEEM, wallet, 4))
    async with desk.relayer(broadcast=BroadcastPolicy(rebroadcast_delay_s=10)) as relayer:
        await relayer.step()
        assert desk.rejected == []
        clock.advance(seconds(10))
        for _ in range(3):
            await desk.follow()
            await relayer.step()
            await desk.rpc.call("evm_mine")
    assert (await desk.states())[order_id] == "sealed"
    assert await desk.balance(wallet) == 6


async def test_what_nothing_can_help_is_rejected_once_that_is_final(slow_desk: Desk) -> None:
    desk = slow_desk
    wallet = await credited(desk, 10)
    (order_id,) = await desk.enqueue(desk.order(OrderKind.REDEEM, wallet, 11))
    async with desk.relayer() as relayer:
        for _ in range(FINAL_AFTER):
            await desk.cycle(relayer)
            assert desk.rejected == []
            await desk.rpc.call("evm_mine")
        await desk.follow()
        await desk.cycle(relayer)
    assert [one.id for one in desk.rejected] == [order_id]
    assert desk.rejected[0].reason.startswith("ERC20InsufficientBalance")
    assert await desk.balance(wallet) == 10


async def test_a_debit_waits_for_the_credit_before_it(desk: Desk) -> None:
    """The credit's line has no key for a while, so that it is in no batch: nothing in flight could help."""
    name = f"{desk.name} late"
    signer, wallet = desk.keys.add(name), desk.member(1)
    terms = contract.encode_set_partner(2, signer, allowance=None, period_cap=None, active=True)
    await desk.send(desk.actors.partner_admin, terms)
    desk.keys.drop(signer)
    ids = await desk.enqueue(
        replace(desk.order(OrderKind.ISSUE, wallet, 10), partner_number=2), desk.order(OrderKind.REDEEM, wallet, 4)
    )
    async with desk.relayer() as relayer:
        await desk.cycle(relayer, 3)
        assert (desk.rejected, await desk.states()) == ([], dict.fromkeys(ids, "queued"))
        desk.keys.add(name)
        await desk.cycle(relayer, 3)
    assert (desk.rejected, await desk.states()) == ([], dict.fromkeys(ids, "sealed"))
    assert await desk.balance(wallet) == 6


async def test_a_debit_does_not_wait_for_what_comes_after_it(desk: Desk) -> None:
    """A credit that is queued later, and whose line has no key."""
    signer, wallet = desk.keys.add(f"{desk.name} late"), desk.member(1)
    terms = contract.encode_set_partner(2, signer, allowance=None, period_cap=None, active=True)
    await desk.send(desk.actors.partner_admin, terms)
    desk.keys.drop(signer)
    debit, credit = await desk.enqueue(
        desk.order(OrderKind.REDEEM, wallet, 4), replace(desk.order(OrderKind.ISSUE, wallet, 10), partner_number=2)
    )
    async with desk.relayer() as relayer:
        await desk.cycle(relayer, 2)
    assert await desk.states() == {debit: "rejected", credit: "queued"}
