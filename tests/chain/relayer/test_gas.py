"""How much gas a transaction gets: estimated, confirmed at what was learned, estimated again when that falls short."""

import pytest

from chain.relayer.kit import NOW, Desk
from chain.relayer.proxy import Fault, FaultProxy
from mereau.chain.orders import OrderKind
from mereau.chain.rpc import RpcClient
from mereau.chain.sealing import Limits
from mereau.chain.simulation import GasPolicy
from mereau.chain.transactions import decode_transaction

LARGE = 100


async def credit(desk: Desk, *numbers: int) -> None:
    await desk.enqueue(*(desk.order(OrderKind.ISSUE, desk.member(number), 1) for number in numbers))


async def test_an_estimate_that_was_learned_is_confirmed_and_replaced_when_it_falls_short(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient
) -> None:
    async with desk.relayer() as relayer:
        await credit(desk, *range(LARGE))
        await desk.cycle(relayer)
    asked = []
    # Holders already, the same once more, then new ones, who cost three times as much.
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        for first in (0, 0, LARGE):
            proxy.methods.clear()
            await credit(desk, *range(first, first + LARGE))
            assert (await desk.cycle(relayer)).orders == LARGE
            asked.append("eth_estimateGas" in proxy.methods)
    assert asked == [True, False, True]
    assert [await desk.balance(desk.member(number)) for number in (0, LARGE - 1, LARGE)] == [3, 3, 1]
    assert {batch.state for batch in await desk.batches()} == {"final"}


async def test_a_confirmation_never_hides_an_order_that_fails(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient
) -> None:
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        await credit(desk, *range(LARGE))
        await desk.cycle(relayer)
        await credit(desk, *range(LARGE))
        (poison,) = await desk.enqueue(desk.order(OrderKind.ISSUE, bytes(20), 1))
        await desk.cycle(relayer, 2)
    assert [one.id for one in desk.rejected] == [poison]
    assert (await desk.read("totalSupply"))[0] == 2 * LARGE


@pytest.mark.parametrize(
    ("policy", "block_gas_limit", "gas_max"),
    [
        (GasPolicy(), 60_000_000, 16_777_216),
        (GasPolicy(), 30_000_000, 15_000_000),
        (GasPolicy(transaction_gas_max=2**40, block_percent_max=10), 1_000_000_000, 100_000_000),
    ],
)
def test_the_chains_cap_or_the_share_of_a_block_binds(policy: GasPolicy, block_gas_limit: int, gas_max: int) -> None:
    assert policy.gas_max(block_gas_limit) == gas_max


async def test_no_transaction_asks_for_more_than_its_share_of_a_block(desk: Desk) -> None:
    """What does not fit is split; later windows are cut to size at once."""
    head = await desk.rpc.call("eth_getBlockByNumber", "latest", False)
    percent = 1
    share = int(head["gasLimit"], 16) * percent // 100
    await credit(desk, *range(60))
    async with desk.relayer(NOW, gas=GasPolicy(block_percent_max=percent), limits=Limits(orders_max=40)) as relayer:
        await desk.cycle(relayer, 4)
    limits = [decode_transaction(row.raw).gas_limit for row in await desk.rows("select raw from chain_attempts")]
    assert len(limits) > 2
    assert max(limits) <= share
    assert sum(batch.order_count for batch in await desk.batches()) == 60
    assert (await desk.read("totalSupply"))[0] == 60


async def test_a_node_that_fails_the_confirmation_is_asked_for_an_estimate(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient
) -> None:
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        await credit(desk, *range(LARGE))
        await desk.cycle(relayer)
        await credit(desk, *range(LARGE))
        refusal = Fault(forward=False, error={"code": -32603, "message": "Internal error"})
        proxy.rule = lambda method, params: refusal if method == "eth_call" and params[1] == "pending" else None
        assert (await desk.cycle(relayer)).orders == LARGE
    assert (await desk.read("totalSupply"))[0] == 2 * LARGE
