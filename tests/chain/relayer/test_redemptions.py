"""Redemptions after sealing. Their signatures are public then: anybody may submit them, one by one, until they die."""

from dataclasses import replace

from chain.relayer.kit import PARTNER, Desk, frozen, seconds
from mereau.chain import contract
from mereau.chain.contract import pack_redemptions, unpack_redemptions
from mereau.chain.orders import NewOrder, OrderKind
from mereau.chain.outcomes import _packed
from mereau.chain.rpc import hex_bytes


async def mine(desk: Desk, blocks: int = 1) -> None:
    for _ in range(blocks):
        await desk.rpc.call("evm_mine")


async def credit(desk: Desk, count: int) -> None:
    await desk.enqueue(*(desk.order(OrderKind.ISSUE, desk.member(number), 100) for number in range(count)))
    async with desk.relayer() as relayer:
        await relayer.step()
        await mine(desk, 6)
        await desk.follow()
        await relayer.step()


async def redeem(desk: Desk, *tokens: int) -> list[NewOrder]:
    orders = [desk.order(OrderKind.REDEEM, desk.member(number), one) for number, one in enumerate(tokens)]
    await desk.enqueue(*orders)
    return orders


async def dropped(desk: Desk) -> bytes:
    """Take the newest attempt out of the pool; returns its bytes."""
    rows = await desk.rows(
        "select hash, raw from chain_attempts join chain_transactions on id = transaction_id"
        " where sender = :sender order by nonce desc limit 1",
        sender=desk.actors.relayer,
    )
    await desk.rpc.call("anvil_dropTransaction", rows[0].hash)
    raw: bytes = rows[0].raw
    return raw


async def submit_alone(desk: Desk, place: int) -> None:
    """What a stranger does who reads one record out of the sealed batch's call."""
    batch = (await desk.batches())[-1]
    record = unpack_redemptions(_packed(batch.call_data))[place]
    await desk.send(desk.actors.admin, contract.encode_call("redeem", pack_redemptions([record])))


async def test_a_record_submitted_by_a_stranger_leaves_the_others_to_us(slow_desk: Desk) -> None:
    desk = slow_desk
    await credit(desk, 3)
    await redeem(desk, 10, 20, 30)
    async with desk.relayer() as relayer:
        await relayer.step()
        raw = await dropped(desk)
        await submit_alone(desk, 1)
        await mine(desk)
        await desk.follow()
        assert (await desk.batches())[-1].state == "submitted"
        # The whole batch reverts now; what remains of it goes out in a transaction of its own.
        await desk.rpc.call("eth_sendRawTransaction", raw)
        await mine(desk)
        assert (await desk.cycle(relayer)).broadcasts == 1
        await mine(desk, 7)
        await desk.cycle(relayer, 2)
    assert [await desk.balance(desk.member(number)) for number in range(3)] == [90, 80, 70]
    assert [batch.state for batch in await desk.batches()] == ["final", "final"]
    assert len(await desk.rows("select 1 from chain_events where name = 'Redeemed'")) == 3


async def test_a_nonce_lost_to_the_holders_other_redemption_is_signed_anew_when_final(slow_desk: Desk) -> None:
    desk = slow_desk
    await credit(desk, 2)
    await redeem(desk, 10, 20)
    async with desk.relayer() as relayer:
        await relayer.step()
        raw = await dropped(desk)
        await other_redemption(desk, desk.member(0), 1)
        await mine(desk)
        await desk.rpc.call("eth_sendRawTransaction", raw)
        await mine(desk)
        await desk.cycle(relayer)
        assert (await desk.rows("select count(*) as n from chain_orders where state = 'queued'"))[0].n == 0
        await mine(desk, 7)
        await desk.follow()
        await relayer.step()
        await desk.cycle(relayer, 2)
        await mine(desk, 7)
        await desk.cycle(relayer, 3)
        await mine(desk, 7)
        await desk.cycle(relayer, 2)
    assert [await desk.balance(desk.member(number)) for number in range(2)] == [89, 80]
    assert (await desk.read("nonces", desk.member(0)))[0] == 2


async def other_redemption(desk: Desk, member: bytes, tokens: int) -> None:
    redemption = contract.Redemption(member, tokens, PARTNER, b"\x09" * 32, 0, 2**40 - 1)
    domain = contract.OrderDomain(desk.deployment.chain_id, desk.deployment.contract)
    (signature,) = await desk.keys.sign([(member, domain.redeem_digest(redemption))])
    await desk.send(desk.actors.admin, contract.encode_call("redeem", pack_redemptions([(redemption, signature)])))


async def test_a_redemption_that_stops_passing_holds_up_no_other(slow_desk: Desk) -> None:
    desk = slow_desk
    await credit(desk, 3)
    await redeem(desk, 10, 100, 30)
    async with desk.relayer() as relayer:
        await relayer.step()
        raw = await dropped(desk)
        # One member's tokens go back to the shop between sealing and mining.
        await reverse_directly(desk, desk.member(1), 1)
        await mine(desk)
        await desk.rpc.call("eth_sendRawTransaction", raw)
        await mine(desk)
        await desk.follow()
        assert (await relayer.step()).broadcasts == 1
        await mine(desk, 2)
        await desk.follow()
    assert [await desk.balance(desk.member(number)) for number in range(3)] == [90, 99, 70]
    assert (await desk.batches())[-1].state == "submitted"
    assert desk.rejected == []


async def reverse_directly(desk: Desk, member: bytes, tokens: int) -> None:
    sequence = await desk.sequence() + 1
    domain = contract.OrderDomain(desk.deployment.chain_id, desk.deployment.contract)
    packed = contract.pack_list([(member, tokens)])
    digest = domain.reverse_digest(PARTNER, sequence, bytes(32), packed)
    (signature,) = await desk.keys.sign([(desk.actors.partner, digest)])
    call = contract.encode_call("reverse", PARTNER, sequence, bytes(32), packed, signature)
    await desk.send(desk.actors.admin, call)


async def test_a_dead_signature_lets_its_order_return_and_be_judged_again(slow_desk: Desk) -> None:
    desk = slow_desk
    clock = frozen(desk)
    await credit(desk, 1)
    (order,) = await redeem(desk, 100)
    async with desk.relayer() as relayer:
        await relayer.step()
        raw = await dropped(desk)
        await reverse_directly(desk, desk.member(0), 1)
        await mine(desk)
        await desk.rpc.call("eth_sendRawTransaction", raw)
        await mine(desk, 6)
        await desk.cycle(relayer)
        # Alive until its deadline: a rejection now could be followed by a burn.
        assert desk.rejected == []
        await desk.rpc.call("evm_increaseTime", 4_000)
        clock.advance(seconds(4_000))
        await mine(desk, 7)
        await desk.follow()
        assert (await relayer.step()).requeued == 1
        await desk.cycle(relayer)
    assert [one.id for one in desk.rejected] == [order.id]
    assert [batch.state for batch in await desk.batches()] == ["final", "superseded"]
    assert await desk.balance(desk.member(0)) == 99


async def test_a_batch_ends_when_the_last_order_that_can_never_execute_has_left_it(slow_desk: Desk) -> None:
    desk = slow_desk
    clock = frozen(desk)
    await credit(desk, 2)
    _, dead = await redeem(desk, 10, 100)
    async with desk.relayer() as relayer:
        await relayer.step()
        raw = await dropped(desk)
        await submit_alone(desk, 0)
        await reverse_directly(desk, desk.member(1), 1)
        await mine(desk)
        await desk.rpc.call("eth_sendRawTransaction", raw)
        await desk.rpc.call("evm_increaseTime", 4_000)
        clock.advance(seconds(4_000))
        await mine(desk, 7)
        await desk.follow()
        assert (await desk.batches())[-1].state == "submitted"
        assert (await relayer.step()).requeued == 1
        # No block is needed: what is left of the batch was executed before.
        await desk.follow()
        assert (await desk.batches())[-1].state == "final"
        await relayer.step()
    assert [one.id for one in desk.rejected] == [dead.id]
    assert [await desk.balance(desk.member(number)) for number in range(2)] == [90, 99]


async def test_a_late_redemption_executes_within_its_life(slow_desk: Desk) -> None:
    """A long wait in the pool is no reason to sign anew: the old signature is still good."""
    desk = slow_desk
    await credit(desk, 1)
    await redeem(desk, 40)
    async with desk.relayer() as relayer:
        await relayer.step()
        await desk.rpc.call("evm_increaseTime", 1_800)
        await mine(desk, 7)
        await desk.cycle(relayer, 2)
    assert await desk.balance(desk.member(0)) == 60
    assert desk.keys.signatures > 0


async def test_a_holders_expired_order_is_rejected(slow_desk: Desk) -> None:
    desk = slow_desk
    await credit(desk, 1)
    member = desk.member(0)
    order = desk.order(OrderKind.REDEEM, member, 5)
    now_s = int((await desk.rpc.call("eth_getBlockByNumber", "latest", False))["timestamp"], 16)
    redemption = contract.Redemption(member, 5, PARTNER, order.commitment or b"", 0, now_s - 10)
    domain = contract.OrderDomain(desk.deployment.chain_id, desk.deployment.contract)
    (signature,) = await desk.keys.sign([(member, domain.redeem_digest(redemption))])
    await desk.enqueue(replace(order, signature=signature, nonce=0, deadline=now_s - 10))
    async with desk.relayer() as relayer:
        await desk.cycle(relayer)
    assert [one.reason.partition("(")[0] for one in desk.rejected] == ["LoyaltyDeadline"]


async def test_a_stranger_cannot_change_a_record(slow_desk: Desk) -> None:
    desk = slow_desk
    await credit(desk, 1)
    await redeem(desk, 40)
    async with desk.relayer() as relayer:
        await relayer.step()
    batch = (await desk.batches())[-1]
    ((order, signature),) = unpack_redemptions(_packed(batch.call_data))
    forged = contract.encode_call("redeem", pack_redemptions([(replace(order, amount=99), signature)]))
    await dropped(desk)
    digest = await desk.send(desk.actors.admin, forged)
    await mine(desk)
    receipt = await desk.rpc.call("eth_getTransactionReceipt", digest)
    assert receipt["status"] == "0x0"
    assert hex_bytes(receipt["transactionHash"]) == digest
    assert await desk.balance(desk.member(0)) == 100
