"""From the queue to the chain and back through the mirror, on the embedded node."""

import asyncio
from dataclasses import replace

import pytest
from psycopg.errors import UniqueViolation

from chain.relayer.kit import EPOCH_S, NOW, PARTNER, Desk, frozen, seconds
from chain.relayer.proxy import Fault, FaultProxy
from mereau.chain import contract, merkle, orders
from mereau.chain.hashing import keccak
from mereau.chain.orders import NewOrder, OrderKind
from mereau.chain.rpc import RpcClient, hex_bytes
from mereau.chain.sealing import Limits
from mereau.core.clock import SystemClock
from mereau.core.db import transaction
from mereau.core.errors import ConfigurationError


async def credited(desk: Desk, count: int, tokens: int = 100) -> list[bytes]:
    """Members who hold tokens already."""
    members = [desk.member(number) for number in range(count)]
    await desk.enqueue(*(desk.order(OrderKind.ISSUE, member, tokens) for member in members))
    async with desk.relayer() as relayer:
        await desk.cycle(relayer, 2)
    return members


async def test_credits_reach_their_wallets_once(desk: Desk) -> None:
    members = [desk.member(number) for number in range(5)]
    ids = await desk.enqueue(*(desk.order(OrderKind.ISSUE, one, 10 + place) for place, one in enumerate(members)))
    async with desk.relayer() as relayer:
        progress = await desk.cycle(relayer)
        idle = await desk.cycle(relayer, 2)
    assert (progress.batches, progress.orders) == (1, 5)
    assert (idle.batches, idle.broadcasts) == (0, 0)
    assert [await desk.balance(one) for one in members] == [10, 11, 12, 13, 14]
    (batch,) = await desk.batches()
    assert (batch.state, batch.kind, batch.sequence, batch.tokens) == ("final", "issue", 1, 60)
    assert set((await desk.states()).values()) == {"sealed"}
    linked = await desk.rows("select id from chain_orders order by batch_index")
    assert [row.id for row in linked] == ids


async def test_the_trail_root_on_chain_is_that_of_the_orders(desk: Desk) -> None:
    queued = [desk.order(OrderKind.ISSUE, desk.member(number), 5) for number in range(3)]
    await desk.enqueue(*queued)
    async with desk.relayer() as relayer:
        await desk.cycle(relayer)
    leaves = [
        merkle.Leaf(keccak(order.id.encode()), order.commitment or b"", order.wallet or b"", 5, index)
        for index, order in enumerate(queued)
    ]
    (event,) = await desk.rows("select data from chain_events where name = 'Issued'")
    assert event.data["trailRoot"] == "0x" + merkle.root(leaves).hex()
    assert event.data["sequence"] == 1


async def test_a_window_seals_credits_before_the_debits_that_need_them(desk: Desk) -> None:
    member, other = desk.member(1), desk.member(2)
    # The queue holds the debits first; only the order of sealing lets all of them pass at once.
    await desk.enqueue(
        desk.order(OrderKind.REDEEM, member, 30),
        desk.order(OrderKind.REVERSE, other, 5),
        desk.order(OrderKind.ISSUE, member, 50),
        desk.order(OrderKind.ISSUE, other, 7),
    )
    async with desk.relayer() as relayer:
        progress = await desk.cycle(relayer)
    assert [batch.kind for batch in await desk.batches()] == ["issue", "reverse", "redeem"]
    assert (progress.orders, progress.rejected) == (4, 0)
    assert (await desk.balance(member), await desk.balance(other)) == (20, 2)


async def test_issue_and_reverse_share_a_line_of_sequences(desk: Desk) -> None:
    member = desk.member(1)
    async with desk.relayer() as relayer:
        for kind, tokens in ((OrderKind.ISSUE, 9), (OrderKind.REVERSE, 4), (OrderKind.ISSUE, 1)):
            await desk.enqueue(desk.order(kind, member, tokens))
            await desk.cycle(relayer)
    assert [(batch.kind, batch.sequence) for batch in await desk.batches()] == [
        ("issue", 1),
        ("reverse", 2),
        ("issue", 3),
    ]
    assert await desk.balance(member) == 6


async def pass_epochs(desk: Desk) -> None:
    """Three, for a head that ran ahead of the clock moves less far than the clock does."""
    await desk.rpc.call("evm_increaseTime", 3 * EPOCH_S)
    await desk.rpc.call("evm_mine")


async def test_expiry_takes_what_its_life_no_longer_guards(desk: Desk) -> None:
    (member,) = await credited(desk, 1)
    await pass_epochs(desk)
    await desk.enqueue(desk.order(OrderKind.EXPIRE, member, 40))
    async with desk.relayer() as relayer:
        await desk.cycle(relayer)
    assert await desk.balance(member) == 60
    assert (await desk.read("expirySequence"))[0] == 1
    assert (await desk.batches())[-1].state == "final"


async def test_expiry_of_guarded_tokens_is_rejected_and_the_rest_goes_through(desk: Desk) -> None:
    old, young = await credited(desk, 2)
    await pass_epochs(desk)
    await desk.enqueue(desk.order(OrderKind.ISSUE, young, 1))
    async with desk.relayer() as relayer:
        await desk.cycle(relayer, 2)
        await desk.enqueue(desk.order(OrderKind.EXPIRE, young, 101), desk.order(OrderKind.EXPIRE, old, 100))
        await desk.cycle(relayer)
    assert [one.reason.partition("(")[0] for one in desk.rejected] == ["LoyaltyProtected"]
    assert (await desk.balance(old), await desk.balance(young)) == (0, 101)


async def test_a_clock_behind_the_chains_signs_nothing_that_is_dead_already(desk: Desk) -> None:
    """A rejection for a dead signature is for good: the server's clock must not cause it."""
    (member,) = await credited(desk, 1)
    clock = frozen(desk)
    clock.advance(seconds(-10_000))
    await desk.enqueue(desk.order(OrderKind.REDEEM, member, 60))
    async with desk.relayer() as relayer:
        await desk.cycle(relayer)
    assert desk.rejected == []
    assert await desk.balance(member) == 40
    assert clock.now() < SystemClock().now()


async def test_a_redemption_is_signed_for_its_holder_and_carries_its_commitment(desk: Desk) -> None:
    (member,) = await credited(desk, 1)
    order = desk.order(OrderKind.REDEEM, member, 60)
    await desk.enqueue(order)
    async with desk.relayer() as relayer:
        await desk.cycle(relayer)
    (event,) = await desk.rows("select data from chain_events where name = 'Redeemed'")
    assert event.data["reference"] == "0x" + (order.commitment or b"").hex()
    assert event.data["partner"] == PARTNER
    assert await desk.balance(member) == 40


async def test_a_member_has_one_redemption_in_flight(desk: Desk) -> None:
    (member,) = await credited(desk, 1)
    await desk.enqueue(*(desk.order(OrderKind.REDEEM, member, tokens) for tokens in (10, 20, 30)))
    async with desk.relayer() as relayer:
        first = await relayer.step()
        # Until the mirror has seen it, the next nonce is nobody's guess.
        blocked = await relayer.step()
        await desk.follow()
        second = await desk.cycle(relayer)
        third = await desk.cycle(relayer)
    assert [progress.orders for progress in (first, blocked, second, third)] == [1, 0, 1, 1]
    assert await desk.balance(member) == 40
    assert (await desk.read("nonces", member))[0] == 3


async def test_a_holders_own_signature_is_used_as_it_came(desk: Desk) -> None:
    (member,) = await credited(desk, 1)
    order = desk.order(OrderKind.REDEEM, member, 25)
    order = await signed_by_holder(desk, order, nonce=0, deadline=2**40 - 1)
    desk.keys.drop(member)
    await desk.enqueue(order)
    async with desk.relayer() as relayer:
        await desk.cycle(relayer)
    assert await desk.balance(member) == 75


async def test_a_redemption_that_nobody_can_sign_is_rejected_alone(desk: Desk) -> None:
    members = await credited(desk, 4)
    desk.keys.drop(members[2])
    ids = await desk.enqueue(*(desk.order(OrderKind.REDEEM, member, 1) for member in members))
    async with desk.relayer() as relayer:
        await desk.cycle(relayer, 4)
    assert [one.id for one in desk.rejected] == [ids[2]]
    assert [await desk.balance(member) for member in members] == [99, 99, 100, 99]


async def signed_by_holder(desk: Desk, order: NewOrder, *, nonce: int, deadline: int) -> NewOrder:
    redemption = contract.Redemption(
        order.wallet or b"", order.tokens, PARTNER, order.commitment or b"", nonce, deadline
    )
    domain = contract.OrderDomain(desk.deployment.chain_id, desk.deployment.contract)
    (signature,) = await desk.keys.sign([(order.wallet or b"", domain.redeem_digest(redemption))])
    return replace(order, signature=signature, nonce=nonce, deadline=deadline)


async def test_admin_orders_are_sent_by_their_role(desk: Desk) -> None:
    other = desk.keys.add("another partner key")
    call = contract.encode_set_partner(7, other, allowance=1_000, period_cap=None, active=True)
    await desk.enqueue(desk.admin_order(call, desk.actors.partner_admin))
    async with desk.relayer() as relayer:
        await desk.cycle(relayer)
    terms = await desk.read("partnerOf", 7)
    assert (terms[0], terms[3]) == ("0x" + other.hex(), 1_000)
    (batch,) = await desk.batches()
    assert (batch.kind, batch.state, batch.sender) == ("admin", "final", desk.actors.partner_admin)


async def test_an_admin_order_that_the_contract_refuses_is_rejected(desk: Desk) -> None:
    call = contract.encode_set_partner(7, desk.actors.partner, allowance=1, period_cap=1, active=True)
    await desk.enqueue(desk.admin_order(call, desk.actors.pauser))
    async with desk.relayer() as relayer:
        await desk.cycle(relayer)
    assert [one.reason.partition("(")[0] for one in desk.rejected] == ["AccessControlUnauthorizedAccount"]
    assert await desk.batches() == []


async def test_orders_of_a_partner_that_is_not_registered_wait_for_it(desk: Desk) -> None:
    member = desk.member(1)
    await desk.enqueue(replace(desk.order(OrderKind.ISSUE, member, 5), partner_number=2))
    async with desk.relayer() as relayer:
        assert (await desk.cycle(relayer)).orders == 0
        call = contract.encode_set_partner(2, desk.actors.partner, allowance=None, period_cap=None, active=True)
        await desk.enqueue(desk.admin_order(call, desk.actors.partner_admin))
        await desk.cycle(relayer)
        assert (await desk.cycle(relayer)).orders == 1
    assert await desk.balance(member) == 5
    assert desk.rejected == []


async def test_batches_hold_no_more_orders_than_the_policy_says(desk: Desk) -> None:
    await desk.enqueue(*(desk.order(OrderKind.ISSUE, desk.member(number), 1) for number in range(7)))
    async with desk.relayer(limits=Limits(orders_max=3)) as relayer:
        progress = await desk.cycle(relayer)
    assert (progress.batches, progress.orders) == (3, 7)
    assert [batch.order_count for batch in await desk.batches()] == [3, 3, 1]
    assert await desk.sequence() == 3


async def test_orders_wait_for_company_but_not_for_ever(desk: Desk) -> None:
    await desk.enqueue(desk.order(OrderKind.ISSUE, desk.member(1), 1))
    async with desk.relayer(seal_delay_s=3_600) as patient:
        waiting = await patient.step()
    async with desk.relayer(seal_delay_s=0) as prompt:
        sealed = await prompt.step()
    assert (waiting.orders, sealed.orders) == (0, 1)
    assert waiting.ripe_in_s is not None
    assert 3_500 < waiting.ripe_in_s <= 3_600


async def test_a_full_batch_does_not_wait(desk: Desk) -> None:
    await desk.enqueue(*(desk.order(OrderKind.ISSUE, desk.member(number), 1) for number in range(2)))
    async with desk.relayer(seal_delay_s=3_600, limits=Limits(orders_max=2)) as relayer:
        assert (await relayer.step()).orders == 2


async def test_an_order_is_queued_once(desk: Desk) -> None:
    order = desk.order(OrderKind.ISSUE, desk.member(1), 1)
    await desk.enqueue(order)
    with pytest.raises(UniqueViolation):
        await desk.enqueue(order)


async def test_nothing_is_queued_by_an_empty_call_or_a_transaction_that_fails(desk: Desk) -> None:
    await desk.enqueue()
    with pytest.raises(ZeroDivisionError):
        await fail_after_queueing(desk)
    assert await desk.states() == {}


async def fail_after_queueing(desk: Desk) -> None:
    async with transaction(desk.engine) as session:
        await orders.enqueue(session, [desk.order(OrderKind.ISSUE, desk.member(1), 1)])
        raise ZeroDivisionError


async def test_the_loop_wakes_for_orders_and_ends_when_told(desk: Desk) -> None:
    """Stopped between its signatures, the pass still ends: what was sealed is broadcast."""
    stop = asyncio.Event()
    member = desk.member(1)
    async with desk.relayer(NOW, poll_delay_s=250) as relayer:
        running = asyncio.create_task(relayer.run(stop))
        # Each batch takes two signatures: the partner's, then the sender's.
        await desk.enqueue(desk.order(OrderKind.ISSUE, member, 3))
        await desk.keys.until(2)
        await desk.enqueue(desk.order(OrderKind.ISSUE, member, 4))
        await desk.keys.until(3)
        stop.set()
        async with asyncio.timeout(60):
            await running
    assert [batch.order_count for batch in await desk.batches()] == [1, 1]
    assert await desk.balance(member) == 7


async def test_the_loop_outlives_faults_of_the_node_and_of_signers(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient
) -> None:
    stop = asyncio.Event()
    proxy.fail_once("eth_getBlockByNumber", Fault(hang_up=True))
    await desk.enqueue(desk.order(OrderKind.ISSUE, desk.member(1), 3))
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        running = asyncio.create_task(relayer.run(stop))
        await desk.keys.until(1)
        stop.set()
        await running
    assert await desk.balance(desk.member(1)) == 3
    assert proxy.methods.count("eth_getBlockByNumber") > 1


async def test_the_loop_ends_on_another_chain(desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient) -> None:
    proxy.fail_always("eth_chainId", Fault(result="0x1"))
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        with pytest.raises(ConfigurationError):
            await relayer.run(asyncio.Event())


@pytest.mark.parametrize(
    ("method", "answer"), [("eth_chainId", "0x1"), ("eth_getBlockByNumber", {"hash": "0x" + "ab" * 32})]
)
async def test_a_chain_that_is_exchanged_under_a_running_relayer_ends_it(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient, method: str, answer: object
) -> None:
    """The same URL, another chain id or genesis: what was sealed for the one must not go to the other."""
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        await desk.enqueue(desk.order(OrderKind.ISSUE, desk.member(1), 3))
        assert (await desk.cycle(relayer)).orders == 1
        await desk.enqueue(desk.order(OrderKind.ISSUE, desk.member(1), 4))
        other = Fault(forward=False, result=answer)
        proxy.rule = lambda name, params: other if name == method and params[:1] != ["latest"] else None
        with pytest.raises(ConfigurationError, match="another chain now"):
            await relayer.run(asyncio.Event())
    assert await desk.balance(desk.member(1)) == 3
    assert set((await desk.states()).values()) == {"sealed", "queued"}


async def test_the_loop_sleeps_until_orders_are_ripe(desk: Desk) -> None:
    stop = asyncio.Event()
    await desk.enqueue(desk.order(OrderKind.ISSUE, desk.member(1), 3))
    async with desk.relayer(seal_delay_s=0.5, poll_delay_s=250) as relayer:
        running = asyncio.create_task(relayer.run(stop))
        await desk.keys.until(1)
        stop.set()
        await running
    assert await desk.balance(desk.member(1)) == 3


async def test_each_batch_keeps_its_complete_call(desk: Desk) -> None:
    await credited(desk, 2)
    (batch,) = await desk.batches()
    (attempt,) = await desk.rows("select hash, raw from chain_attempts")
    mined = await desk.rpc.call("eth_getTransactionByHash", attempt.hash)
    assert hex_bytes(mined["input"]) == batch.call_data
    assert batch.transaction_hash == attempt.hash
