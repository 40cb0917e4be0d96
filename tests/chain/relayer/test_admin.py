"""Role transactions whose fate is unclear: the last evidence counts, and none is no evidence."""

import pytest
from sqlalchemy import text

from chain.relayer.kit import Desk
from chain.relayer.proxy import Fault, FaultProxy, let_pass
from mereau.chain import contract
from mereau.chain.hashing import keccak
from mereau.chain.orders import OrderKind
from mereau.chain.rpc import RpcClient
from mereau.core.db import transaction

SWALLOWED = Fault(forward=False, result="0x" + "00" * 32)


async def terms_call(desk: Desk) -> bytes:
    head = await desk.rpc.call("eth_getBlockByNumber", "latest", False)
    return contract.encode_publish_terms(keccak(b"t"), "https://example.test", int(head["timestamp"], 16) + 9_000)


async def spend_nonce(desk: Desk, sender: bytes) -> None:
    await desk.send(sender, b"", target=sender, gas=21_000)


async def test_a_role_that_is_lost_before_the_second_try_rejects_the_order(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient
) -> None:
    call = contract.encode_set_partner(9, desk.actors.partner, allowance=1, period_cap=1, active=True)
    ids = await desk.enqueue(desk.admin_order(call, desk.actors.partner_admin))
    proxy.fail_once("eth_sendRawTransaction", SWALLOWED)
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        await relayer.step()
        await spend_nonce(desk, desk.actors.partner_admin)
        role = (await desk.read("PARTNER_ADMIN_ROLE"))[0]
        await desk.send(desk.actors.admin, contract.encode_call("revokeRole", role, desk.actors.partner_admin))
        await desk.follow()
        await relayer.step()
    assert [one.id for one in desk.rejected] == ids
    assert desk.rejected[0].reason.startswith("AccessControlUnauthorizedAccount")
    assert [batch.state for batch in await desk.batches()] == ["superseded"]


async def test_a_node_without_history_leaves_the_batch_to_an_operator(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient
) -> None:
    await desk.enqueue(desk.admin_order(await terms_call(desk), desk.actors.admin))
    proxy.fail_once("eth_sendRawTransaction", SWALLOWED)
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        await relayer.step()
        await spend_nonce(desk, desk.actors.admin)
        await desk.follow()
        pruned = Fault(error={"code": -32000, "message": "missing trie node 12"})
        proxy.rule = lambda method, params: (
            pruned if method == "eth_getTransactionCount" and isinstance(params[1], str) else None
        )
        await relayer.step()
    (batch,) = await desk.batches()
    assert (batch.state, "who spent nonce" in batch.detail) == ("stuck", True)
    assert (await desk.read("termsCount"))[0] == 0


async def test_a_pause_after_sealing_is_waited_out(desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient) -> None:
    await desk.enqueue(desk.order(OrderKind.ISSUE, desk.member(1), 5))
    proxy.fail_once("eth_sendRawTransaction", SWALLOWED)
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        await relayer.step()
        await spend_nonce(desk, desk.actors.relayer)
        await desk.send(desk.actors.pauser, contract.encode_call("pause"))
        assert (await desk.cycle(relayer)).broadcasts == 0
        await desk.send(desk.actors.admin, contract.encode_call("unpause"))
        await desk.cycle(relayer, 2)
    assert await desk.balance(desk.member(1)) == 5
    assert [batch.state for batch in await desk.batches()] == ["final"]


async def test_a_missing_key_for_a_void_blocks_one_line_and_no_other(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient
) -> None:
    """The partner rotates to a key that is not here while its batch is open."""
    await desk.enqueue(desk.order(OrderKind.ISSUE, desk.member(1), 5))
    proxy.fail_once("eth_sendRawTransaction", SWALLOWED)
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        await relayer.step()
        await spend_nonce(desk, desk.actors.relayer)
        stranger = desk.keys.add(f"{desk.name} stranger")
        await desk.register(stranger)
        desk.keys.drop(stranger)
        call = contract.encode_set_partner(9, desk.actors.partner, allowance=1, period_cap=1, active=True)
        await desk.enqueue(desk.admin_order(call, desk.actors.partner_admin))
        await desk.cycle(relayer, 2)
        assert [batch.state for batch in await desk.batches()] == ["sealed", "final"] or [
            batch.state for batch in await desk.batches()
        ] == ["submitted", "final"]
        desk.keys.add(f"{desk.name} stranger")
        await desk.cycle(relayer, 4)
    assert await desk.balance(desk.member(1)) == 5


async def test_a_batch_that_the_mirror_matched_is_left_alone(desk: Desk) -> None:
    """Even when its state is read before the mirror commits, its own event is no foreign one."""
    await desk.enqueue(desk.order(OrderKind.ISSUE, desk.member(1), 5))
    async with desk.relayer() as relayer:
        await desk.cycle(relayer)
        async with transaction(desk.engine) as session:
            await session.execute(text("update chain_batches set state = 'submitted'"))
        progress = await relayer.step()
    assert (progress.requeued, progress.broadcasts) == (0, 0)
    assert set((await desk.states()).values()) == {"sealed"}


@pytest.mark.parametrize("repeatable", [True, False])
async def test_a_revert_in_a_block_is_told_as_well_as_it_can_be(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient, repeatable: bool
) -> None:
    """The simulation passed; the block did not. Running it again on the block before may name the reason."""
    call = contract.encode_set_partner(9, bytes(20), allowance=1, period_cap=1, active=True)
    ids = await desk.enqueue(desk.admin_order(call, desk.actors.partner_admin))
    proxy.fail_always("eth_estimateGas", Fault(forward=False, result=hex(200_000)))
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        await relayer.step()
        await desk.follow()
        block = int(await desk.rpc.call("eth_blockNumber"), 16)
        proxy.rule = lambda method, params: (
            Fault(result="0x") if method == "eth_call" and isinstance(params[1], str) and not repeatable else None
        )
        await relayer.step()
    assert [one.id for one in desk.rejected] == ids
    reason = desk.rejected[0].reason
    assert (reason == f"reverted in block {block}") != repeatable
    assert reason.startswith("Loyalty") == repeatable
    assert [batch.state for batch in await desk.batches()] == ["superseded"]


async def test_a_block_that_does_not_show_the_spender_decides_nothing(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient
) -> None:
    """The account's nonce is spent, yet the node shows no transaction that spent it: no second nonce is given out."""
    await desk.enqueue(desk.admin_order(await terms_call(desk), desk.actors.admin))
    proxy.fail_once("eth_sendRawTransaction", SWALLOWED)
    stranger = {"from": "0x" + "77" * 20, "nonce": "0x0", "hash": "0x" + "88" * 32}
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        await relayer.step()
        await spend_nonce(desk, desk.actors.admin)
        await desk.follow()
        for shown in ([], [stranger]):
            full = Fault(result={"transactions": shown})
            proxy.rule = lambda method, params, full=full: (
                full if method == "eth_getBlockByNumber" and params[1] is True else None
            )
            assert (await relayer.step()).broadcasts == 0
        assert [batch.state for batch in await desk.batches()] in (["sealed"], ["submitted"])
        proxy.rule = let_pass
        await desk.cycle(relayer, 2)
    assert (await desk.read("termsCount"))[0] == 1
    assert desk.rejected == []


async def test_a_void_that_is_refused_too_waits_for_better_days(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient
) -> None:
    await desk.enqueue(desk.order(OrderKind.ISSUE, desk.member(1), 5))
    proxy.fail_once("eth_sendRawTransaction", SWALLOWED)
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        await relayer.step()
        await spend_nonce(desk, desk.actors.relayer)
        await desk.follow()
        proxy.fail_always("eth_estimateGas", Fault(error={"code": 3, "message": "execution reverted", "data": "0x"}))
        assert (await relayer.step()).broadcasts == 0
        proxy.rule = let_pass
        await desk.cycle(relayer, 2)
    assert await desk.balance(desk.member(1)) == 5
    assert [batch.state for batch in await desk.batches()] == ["final"]


async def test_redemptions_wait_while_the_token_is_paused(desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient) -> None:
    member = desk.member(1)
    await desk.issue_directly([(member, 10)], bytes(32))
    await desk.enqueue(desk.order(OrderKind.REDEEM, member, 4))
    proxy.fail_once("eth_sendRawTransaction", SWALLOWED)
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        await relayer.step()
        await spend_nonce(desk, desk.actors.relayer)
        await desk.send(desk.actors.pauser, contract.encode_call("pause"))
        assert (await desk.cycle(relayer)).broadcasts == 0
        assert desk.rejected == []
        await desk.send(desk.actors.admin, contract.encode_call("unpause"))
        await desk.cycle(relayer, 2)
    assert await desk.balance(member) == 6
    assert (await desk.batches())[-1].state == "final"
