"""One refused order, batch or key holds up nothing but itself."""

from dataclasses import replace
from typing import Any

from chain.relayer.kit import Desk, frozen, register, seconds
from chain.relayer.proxy import Fault, FaultProxy
from mereau.chain import contract
from mereau.chain.broadcasting import BroadcastPolicy
from mereau.chain.errors import ExecutionRevertedError
from mereau.chain.orders import OrderKind
from mereau.chain.rpc import RpcClient
from mereau.chain.sealing import Limits

BROKEN = Fault(error={"code": -32603, "message": "Internal error"})


def estimates_of(partner: int) -> Any:
    """A rule that breaks the node for every estimate of this partner's issues."""
    marker = contract.encode_call("issue", partner, 1, bytes(32), b"", b"").hex()[: 8 + 64]

    def rule(method: str, params: list[Any]) -> Fault | None:
        broken = method == "eth_estimateGas" and marker in params[0]["data"]
        return BROKEN if broken else None

    return rule


async def test_a_group_that_the_node_cannot_digest_waits_alone(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient
) -> None:
    await register(desk, 2)
    await desk.enqueue(
        desk.order(OrderKind.ISSUE, desk.member(1), 1),
        replace(desk.order(OrderKind.ISSUE, desk.member(2), 2), partner_number=2),
    )
    proxy.rule = estimates_of(1)
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        assert (await desk.cycle(relayer)).orders == 1
        assert await desk.balance(desk.member(2)) == 2
        proxy.rule = lambda method, params: None  # noqa: ARG005 - the node is well again
        assert (await desk.cycle(relayer)).orders == 1
    assert await desk.balance(desk.member(1)) == 1


async def test_too_much_gas_is_split_until_it_fits(desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient) -> None:
    """The node says that more than two credits are too many."""
    refusal = Fault(error={"code": -32000, "message": "gas required exceeds allowance (1)"})
    two_credits = len(contract.encode_call("issue", 1, 1, bytes(32), bytes(64), bytes(65))) * 2 + 2
    proxy.rule = lambda method, params: (
        refusal if method == "eth_estimateGas" and len(params[0]["data"]) > two_credits else None
    )
    await desk.enqueue(*(desk.order(OrderKind.ISSUE, desk.member(number), 1) for number in range(5)))
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        await desk.cycle(relayer, 4)
    assert sum(batch.order_count for batch in await desk.batches()) == 5
    assert max(batch.order_count for batch in await desk.batches()) == 2
    assert (await desk.read("totalSupply"))[0] == 5


async def test_an_order_too_large_for_any_transaction_is_rejected(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient
) -> None:
    refusal = Fault(error={"code": -32000, "message": "gas required exceeds allowance (1)"})
    proxy.fail_always("eth_estimateGas", refusal)
    await desk.enqueue(desk.order(OrderKind.ISSUE, desk.member(1), 1))
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        await desk.cycle(relayer)
    assert [one.reason.partition("(")[0] for one in desk.rejected] == ["GasExceeded"]


async def test_an_admin_order_whose_key_is_missing_waits_for_it(desk: Desk) -> None:
    call = contract.encode_set_partner(3, desk.actors.partner, allowance=1, period_cap=1, active=True)
    await desk.enqueue(
        desk.admin_order(call, desk.actors.partner_admin), desk.order(OrderKind.ISSUE, desk.member(1), 1)
    )
    desk.keys.drop(desk.actors.partner_admin)
    async with desk.relayer() as relayer:
        await desk.cycle(relayer, 2)
        assert await desk.balance(desk.member(1)) == 1
        assert [batch.state for batch in await desk.batches()] == ["sealed", "final"]
        desk.keys.add(f"{desk.name} partner_admin")
        await desk.cycle(relayer, 2)
    assert (await desk.read("partnerOf", 3))[3] == 1
    assert [batch.state for batch in await desk.batches()] == ["final", "final"]


async def test_a_bump_without_the_key_leaves_the_first_attempt_in_place(slow_desk: Desk) -> None:
    desk = slow_desk
    clock = frozen(desk)
    await desk.enqueue(desk.order(OrderKind.ISSUE, desk.member(1), 1))
    async with desk.relayer(broadcast=BroadcastPolicy(10, 60)) as relayer:
        await relayer.step()
        desk.keys.drop(desk.actors.relayer)
        clock.advance(seconds(61))
        assert (await relayer.step()).broadcasts == 0
        await desk.rpc.call("anvil_mine", "0x7")
        await desk.cycle(relayer, 2)
    assert [batch.state for batch in await desk.batches()] == ["final"]


async def test_sealing_does_not_run_far_ahead_of_the_mirror(desk: Desk) -> None:
    await desk.enqueue(*(desk.order(OrderKind.ISSUE, desk.member(number), 1) for number in range(5)))
    async with desk.relayer(limits=Limits(orders_max=1), open_batches_max=2) as relayer:
        assert (await relayer.step()).batches == 2
        assert (await relayer.step()).batches == 0
        await desk.follow()
        assert (await relayer.step()).batches == 2


async def test_a_batch_that_no_transaction_executes_is_left_to_an_operator(desk: Desk) -> None:
    """The node takes each transaction and each one is gone afterwards, its nonce spent by somebody else."""
    await desk.enqueue(desk.order(OrderKind.ISSUE, desk.member(1), 1))
    async with FaultProxy(desk.rpc.url) as swallowing, RpcClient(swallowing.url) as client:
        swallowing.fail_always("eth_sendRawTransaction", Fault(forward=False, result="0x" + "00" * 32))
        async with desk.relayer(rpc=client) as relayer:
            for _ in range(9):
                await relayer.step()
                await desk.send(desk.actors.relayer, b"", target=desk.actors.relayer, gas=21_000)
            await relayer.step()
            (batch,) = await desk.batches()
            assert batch.state == "stuck"
            assert "8 transactions" in batch.detail
            assert (await relayer.step()).broadcasts == 0
    assert await desk.sequence() == 0


async def test_the_token_itself_refuses_a_second_execution(desk: Desk) -> None:
    """What exactly-once rests on: any number of signed variants of one order, one effect."""
    await desk.enqueue(desk.order(OrderKind.ISSUE, desk.member(1), 5))
    async with desk.relayer() as relayer:
        await desk.cycle(relayer)
    (batch,) = await desk.batches()
    call = {"from": desk.actors.admin, "to": desk.deployment.contract, "data": batch.call_data}
    try:
        await desk.rpc.call("eth_estimateGas", call, "latest")
    except ExecutionRevertedError as error:
        revert = contract.decode_revert(error.data)
    assert (revert.name, revert.args) == ("LoyaltySequence", {"expected": 2, "given": 1})
    assert await desk.balance(desk.member(1)) == 5
