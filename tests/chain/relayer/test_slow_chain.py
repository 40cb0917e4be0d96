"""A chain whose blocks take their time: pipelines, pools that forget, fees that rise, blocks that vanish."""

from contextlib import suppress

from chain.relayer.kit import Desk, frozen, seconds
from mereau.chain import contract
from mereau.chain.broadcasting import BroadcastPolicy
from mereau.chain.errors import AlreadyKnownError
from mereau.chain.fees import GWEI, FeePolicy
from mereau.chain.hashing import keccak
from mereau.chain.orders import OrderKind
from mereau.chain.rpc import quantity
from mereau.chain.sealing import Limits

QUICK = BroadcastPolicy(rebroadcast_delay_s=10, bump_delay_s=60)


async def mine(desk: Desk, blocks: int = 1) -> None:
    for _ in range(blocks):
        await desk.rpc.call("evm_mine")


async def issue(desk: Desk, *tokens: int) -> list[str]:
    orders = [desk.order(OrderKind.ISSUE, desk.member(number), amount) for number, amount in enumerate(tokens)]
    return await desk.enqueue(*orders)


async def pool_size(desk: Desk) -> int:
    return int((await desk.rpc.call("txpool_status"))["pending"], 16)


async def states(desk: Desk) -> list[str]:
    return [batch.state for batch in await desk.batches()]


async def test_several_batches_are_in_flight_at_once(slow_desk: Desk) -> None:
    desk = slow_desk
    await issue(desk, 1, 2, 3, 4, 5)
    async with desk.relayer(limits=Limits(orders_max=2)) as relayer:
        progress = await relayer.step()
        assert (progress.batches, progress.orders) == (3, 5)
        assert await pool_size(desk) == 3
        assert [batch.sequence for batch in await desk.batches()] == [1, 2, 3]
        nonces = await desk.rows("select nonce from chain_transactions order by nonce")
        assert [row.nonce for row in nonces] == [0, 1, 2]
        assert (await relayer.step()).broadcasts == 0
        await mine(desk, 6)
        await desk.cycle(relayer, 2)
    assert await states(desk) == ["final"] * 3
    assert [await desk.balance(desk.member(number)) for number in range(5)] == [1, 2, 3, 4, 5]
    assert await desk.rows("select 1 from chain_transactions where state <> 'mined'") == []


async def test_no_more_is_in_flight_than_the_policy_says(slow_desk: Desk) -> None:
    desk = slow_desk
    await issue(desk, 1, 2, 3)
    async with desk.relayer(limits=Limits(orders_max=1), in_flight_max=2) as relayer:
        assert (await relayer.step()).batches == 2
        assert (await relayer.step()).batches == 0
        await mine(desk)
        assert (await relayer.step()).batches == 1


async def test_a_dropped_transaction_is_sent_again_unchanged(slow_desk: Desk) -> None:
    desk = slow_desk
    clock = frozen(desk)
    await issue(desk, 5)
    async with desk.relayer(broadcast=QUICK) as relayer:
        await relayer.step()
        (attempt,) = await desk.rows("select hash from chain_attempts")
        await desk.rpc.call("anvil_dropTransaction", attempt.hash)
        assert await pool_size(desk) == 0
        assert (await relayer.step()).broadcasts == 0
        clock.advance(seconds(10))
        assert (await relayer.step()).broadcasts == 1
        await mine(desk, 6)
        await desk.cycle(relayer, 2)
    assert len(await desk.rows("select 1 from chain_attempts")) == 1
    assert await states(desk) == ["final"]


async def test_a_clock_that_is_set_back_puts_nothing_off(slow_desk: Desk) -> None:
    """What was noted an hour ahead, by a clock that has been set right or by another machine, is due at once."""
    desk = slow_desk
    clock = frozen(desk)
    await issue(desk, 5)
    async with desk.relayer(broadcast=QUICK) as relayer:
        await relayer.step()
        await desk.rpc.call("anvil_dropAllTransactions")
        clock.advance(seconds(-3_600))
        assert (await relayer.step()).broadcasts == 1
        assert (await relayer.step()).broadcasts == 0
        await mine(desk, 6)
        await desk.cycle(relayer, 2)
    assert await states(desk) == ["final"]


async def test_a_fee_spike_is_followed_up_to_the_cap(slow_desk: Desk) -> None:
    desk = slow_desk
    clock = frozen(desk)
    await issue(desk, 5)
    policy = BroadcastPolicy(10, 60, FeePolicy(fee_max_wei=200 * GWEI))
    async with desk.relayer(broadcast=policy) as relayer:
        await relayer.step()
        await desk.rpc.call("anvil_setNextBlockBaseFeePerGas", quantity(100 * GWEI))
        await mine(desk)
        assert await desk.sequence() == 0
        clock.advance(seconds(60))
        await relayer.step()
        fees = await desk.rows("select max_fee_per_gas_wei as fee from chain_attempts order by fee")
        assert len(fees) == 2
        assert 100 * GWEI < fees[1].fee <= 200 * GWEI
        await mine(desk, 7)
        await desk.cycle(relayer, 2)
    assert await states(desk) == ["final"]
    assert await desk.balance(desk.member(0)) == 5


async def test_at_the_cap_a_transaction_waits_for_the_market(slow_desk: Desk) -> None:
    desk = slow_desk
    clock = frozen(desk)
    await issue(desk, 5)
    policy = BroadcastPolicy(10, 60, FeePolicy(fee_max_wei=3 * GWEI))
    async with desk.relayer(broadcast=policy) as relayer:
        await relayer.step()
        await desk.rpc.call("anvil_setNextBlockBaseFeePerGas", quantity(100 * GWEI))
        await mine(desk)
        for _ in range(6):
            clock.advance(seconds(60))
            await relayer.step()
        fees = await desk.rows("select max_fee_per_gas_wei as fee from chain_attempts")
        assert all(row.fee <= 3 * GWEI for row in fees)
        assert await desk.sequence() == 0
        await desk.rpc.call("anvil_setNextBlockBaseFeePerGas", quantity(GWEI // 2))
        await mine(desk)
        clock.advance(seconds(60))
        await relayer.step()
        await mine(desk, 7)
        await desk.cycle(relayer, 2)
    assert await states(desk) == ["final"]
    assert await desk.balance(desk.member(0)) == 5


async def test_a_foreign_transaction_on_our_nonce_costs_a_nonce_and_no_order(slow_desk: Desk) -> None:
    desk = slow_desk
    await issue(desk, 5)
    async with desk.relayer() as relayer:
        await relayer.step()
        (attempt,) = await desk.rows("select hash from chain_attempts")
        await desk.rpc.call("anvil_dropTransaction", attempt.hash)
        # Somebody with the relayer's key spends the nonce on something else.
        await desk.send(desk.actors.relayer, b"", target=desk.actors.relayer, gas=21_000)
        await mine(desk)
        await relayer.step()
        await mine(desk, 7)
        await desk.cycle(relayer, 2)
    rows = await desk.rows("select nonce, state from chain_transactions order by nonce")
    assert [(row.nonce, row.state) for row in rows] == [(0, "replaced"), (1, "mined")]
    assert await states(desk) == ["final"]
    assert await desk.balance(desk.member(0)) == 5


async def test_a_gap_before_our_nonces_is_filled(slow_desk: Desk) -> None:
    """A foreign transaction that we counted vanishes with its block, and with it the nonce below ours."""
    desk = slow_desk
    await desk.send(desk.actors.relayer, b"", target=desk.actors.relayer, gas=21_000)
    await mine(desk)
    await issue(desk, 5)
    async with desk.relayer() as relayer:
        await relayer.step()
        assert [row.nonce for row in await desk.rows("select nonce from chain_transactions")] == [1]
        await desk.rpc.call("anvil_rollback", 1)
        await desk.rpc.call("anvil_dropAllTransactions")
        await desk.rpc.call("anvil_setNonce", desk.actors.relayer, "0x0")
        await mine(desk)
        assert (await relayer.step()).waits_for is None
        rows = await desk.rows("select nonce from chain_transactions order by nonce")
        assert [row.nonce for row in rows] == [0, 1]
        async with desk.relayer() as successor:
            await relayer.close()
            await successor.step()
            await resend(desk)
            await mine(desk, 7)
            await desk.cycle(successor, 2)
    assert await desk.balance(desk.member(0)) == 5


async def resend(desk: Desk) -> None:
    """What rebroadcasting does after its delay."""
    for row in await desk.rows(
        "select raw from chain_attempts a join chain_transactions t on t.id = a.transaction_id order by nonce"
    ):
        with suppress(AlreadyKnownError):
            await desk.rpc.call("eth_sendRawTransaction", row.raw)


async def test_a_sequence_that_another_payload_used_sends_the_orders_back(slow_desk: Desk) -> None:
    desk = slow_desk
    await issue(desk, 5)
    async with desk.relayer() as relayer:
        await relayer.step()
        (attempt,) = await desk.rows("select hash from chain_attempts")
        await desk.rpc.call("anvil_dropTransaction", attempt.hash)
        await desk.issue_directly([(desk.member(9), 1)], keccak(b"another root"))
        await mine(desk)
        await desk.follow()
        await desk.rpc.call("eth_sendRawTransaction", await raw_of(desk))
        await mine(desk)
        # Mined, though not yet final: a reorganisation could still let our own payload in.
        await desk.cycle(relayer)
        assert await states(desk) == ["submitted"]
        await mine(desk, 6)
        await desk.follow()
        assert (await relayer.step()).requeued == 1
        await desk.cycle(relayer)
        await mine(desk, 7)
        await desk.cycle(relayer, 2)
    assert await states(desk) == ["superseded", "final"]
    assert [batch.sequence for batch in await desk.batches()] == [1, 2]
    assert await desk.balance(desk.member(0)) == 5


async def raw_of(desk: Desk) -> bytes:
    (row,) = await desk.rows("select raw from chain_attempts")
    raw: bytes = row.raw
    return raw


async def test_a_batch_that_can_never_execute_is_voided_and_its_orders_tried_again(slow_desk: Desk) -> None:
    """The partner is suspended after sealing; the sealed issue reverts for as long as that lasts."""
    desk = slow_desk
    ids = await issue(desk, 5)
    async with desk.relayer() as relayer:
        await relayer.step()
        raw = await raw_of(desk)
        (attempt,) = await desk.rows("select hash from chain_attempts")
        await desk.rpc.call("anvil_dropTransaction", attempt.hash)
        await desk.register(active=False)
        await mine(desk)
        await desk.rpc.call("eth_sendRawTransaction", raw)
        await mine(desk)
        assert await desk.sequence() == 0
        await desk.cycle(relayer)
        await mine(desk, 7)
        assert await desk.sequence() == 1
        await desk.follow()
        assert (await relayer.step()).requeued == 1
        await desk.cycle(relayer)
    assert await states(desk) == ["superseded"]
    assert [one.id for one in desk.rejected] == ids
    assert (await desk.read("totalSupply"))[0] == 0


async def test_a_rotated_key_voids_what_the_old_one_signed(slow_desk: Desk) -> None:
    desk = slow_desk
    await issue(desk, 5)
    async with desk.relayer() as relayer:
        await relayer.step()
        raw = await raw_of(desk)
        (attempt,) = await desk.rows("select hash from chain_attempts")
        await desk.rpc.call("anvil_dropTransaction", attempt.hash)
        await desk.register(desk.keys.add(f"{desk.name} new partner key"))
        await mine(desk)
        await desk.rpc.call("eth_sendRawTransaction", raw)
        await mine(desk)
        await desk.cycle(relayer)
        await mine(desk, 7)
        await desk.cycle(relayer, 3)
        await mine(desk, 7)
        await desk.cycle(relayer, 2)
    assert await states(desk) == ["superseded", "final"]
    assert await desk.balance(desk.member(0)) == 5


async def test_a_reorganisation_that_loses_the_block_ends_in_the_same_balances(slow_desk: Desk) -> None:
    desk = slow_desk
    clock = frozen(desk)
    await issue(desk, 5)
    async with desk.relayer(broadcast=QUICK) as relayer:
        await relayer.step()
        await mine(desk)
        await desk.follow()
        assert await states(desk) == ["mined"]
        await desk.rpc.call("anvil_reorg", 1, [])
        await mine(desk)
        await desk.follow()
        assert await states(desk) == ["submitted"]
        clock.advance(seconds(10))
        await relayer.step()
        await mine(desk, 7)
        await desk.cycle(relayer, 2)
    assert await states(desk) == ["final"]
    assert (await desk.read("totalSupply"))[0] == 5


async def test_a_batch_that_somebody_else_submits_is_ours_all_the_same(slow_desk: Desk) -> None:
    desk = slow_desk
    await issue(desk, 5)
    async with desk.relayer() as relayer:
        await relayer.step()
        (batch,) = await desk.batches()
        (attempt,) = await desk.rows("select hash from chain_attempts")
        raw = await raw_of(desk)
        await desk.rpc.call("anvil_dropTransaction", attempt.hash)
        await desk.send(desk.actors.admin, batch.call_data)
        await mine(desk)
        # Ours comes too late and reverts; its nonce is spent, so that later ones are not held up.
        await desk.rpc.call("eth_sendRawTransaction", raw)
        await mine(desk, 6)
        await desk.cycle(relayer, 2)
    assert await states(desk) == ["final"]
    assert await desk.balance(desk.member(0)) == 5
    (sent,) = await desk.rows("select state from chain_transactions")
    assert sent.state == "replaced"


async def test_an_admin_order_is_not_repeated_while_its_fate_is_open(slow_desk: Desk) -> None:
    desk = slow_desk
    now_s = int((await desk.rpc.call("eth_getBlockByNumber", "latest", False))["timestamp"], 16)
    call = contract.encode_publish_terms(keccak(b"terms"), "https://example.test/terms", now_s + 10_000)
    await desk.enqueue(desk.admin_order(call, desk.actors.admin))
    async with desk.relayer() as relayer:
        await relayer.step()
        await mine(desk)
        # The mirror has not told; the relayer must not conclude anything from that.
        for _ in range(3):
            assert (await relayer.step()).broadcasts == 0
        await mine(desk, 6)
        await desk.cycle(relayer, 2)
    assert (await desk.read("termsCount"))[0] == 1
    assert await states(desk) == ["final"]


async def test_an_admin_order_whose_nonce_a_stranger_spent_is_sent_once_more(slow_desk: Desk) -> None:
    desk = slow_desk
    now_s = int((await desk.rpc.call("eth_getBlockByNumber", "latest", False))["timestamp"], 16)
    call = contract.encode_publish_terms(keccak(b"terms"), "https://example.test/terms", now_s + 10_000)
    await desk.enqueue(desk.admin_order(call, desk.actors.admin))
    async with desk.relayer() as relayer:
        await relayer.step()
        (attempt,) = await desk.rows("select hash from chain_attempts")
        await desk.rpc.call("anvil_dropTransaction", attempt.hash)
        await desk.send(desk.actors.admin, b"", target=desk.actors.admin, gas=21_000)
        await mine(desk)
        await desk.follow()
        # A reorganisation could still give the nonce back to our transaction, and then there would be two.
        assert (await relayer.step()).broadcasts == 0
        await mine(desk, 6)
        await desk.follow()
        assert (await relayer.step()).broadcasts == 1
        await mine(desk, 7)
        await desk.cycle(relayer, 2)
    assert (await desk.read("termsCount"))[0] == 1
    assert await states(desk) == ["final"]


async def test_an_admin_order_that_reverts_in_its_block_is_rejected_when_that_is_final(slow_desk: Desk) -> None:
    desk = slow_desk
    now_s = int((await desk.rpc.call("eth_getBlockByNumber", "latest", False))["timestamp"], 16)
    call = contract.encode_publish_terms(keccak(b"terms"), "https://example.test/terms", now_s + 1_000)
    ids = await desk.enqueue(desk.admin_order(call, desk.actors.admin))
    async with desk.relayer() as relayer:
        await relayer.step()
        await desk.rpc.call("evm_increaseTime", 2_000)
        await mine(desk)
        await desk.cycle(relayer)
        assert desk.rejected == []
        await mine(desk, 6)
        await desk.cycle(relayer, 2)
    assert [one.id for one in desk.rejected] == ids
    assert await states(desk) == ["superseded"]
