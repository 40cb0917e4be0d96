"""A chain without a base fee: legacy transactions at the node's gas price, bound to their chain (EIP-155)."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from eth_account import Account
from sqlalchemy.ext.asyncio import AsyncEngine

from chain.relayer.kit import Keys
from fixtures.chain import ANVIL_KEY, running_anvil
from mereau.chain import relayer_queries as queries
from mereau.chain.broadcasting import Broadcaster, BroadcastPolicy, Call
from mereau.chain.fees import GWEI, FeePolicy, market
from mereau.chain.lease import Lease
from mereau.chain.rpc import RpcClient, quantity
from mereau.core.clock import ManualClock, SystemClock
from mereau.core.db import snapshot

CHAIN_ID = 31_337
FUNDS_WEI = 10**18


@pytest.fixture
async def berlin() -> AsyncIterator[RpcClient]:
    """The last fork before EIP-1559; blocks come by `evm_mine`."""
    with running_anvil("--hardfork", "berlin", "--no-mining", "--gas-price", str(2 * GWEI)) as url:
        async with RpcClient(url) as rpc:
            yield rpc


class Sender:
    """An account with a broadcaster of its own."""

    def __init__(self, engine: AsyncEngine, rpc: RpcClient) -> None:
        self.engine = engine
        self.rpc = rpc
        self.clock = ManualClock(SystemClock().now())
        self.lease = Lease(engine, "relayer")
        self.keys = Keys()
        self.address = self.keys.add("legacy sender")
        policy = BroadcastPolicy(10, 60, FeePolicy(fee_max_wei=100 * GWEI))
        self.broadcaster = Broadcaster(engine, self.lease, rpc, self.keys, self.clock, chain_id=CHAIN_ID, policy=policy)

    async def send(self) -> None:
        await self.broadcaster.send(Call(self.address, self.address, b"", 21_000), floor_nonce=0)

    async def tend(self) -> int:
        self.broadcaster.begin_step()
        async with snapshot(self.engine) as session:
            waiting = await queries.open_transactions(session)
        return await self.broadcaster.tend(waiting, {self.address: 0})

    async def newest(self) -> dict[str, str]:
        async with snapshot(self.engine) as session:
            (one,) = await queries.open_transactions(session)
        found: dict[str, str] = await self.rpc.call("eth_getTransactionByHash", one.hash)
        return found


@pytest.fixture
async def sender(engine: AsyncEngine, berlin: RpcClient) -> AsyncIterator[Sender]:
    made = Sender(engine, berlin)
    await berlin.call("anvil_setBalance", made.address, quantity(FUNDS_WEI))
    await made.lease.acquire()
    yield made
    await made.lease.close()


async def test_the_chain_decides_on_legacy_transactions(berlin: RpcClient) -> None:
    found = await market(berlin, FeePolicy())
    assert found.fees.legacy
    assert found.price_wei == found.fees.max_fee_per_gas_wei == found.fees.max_priority_fee_per_gas_wei == 2 * GWEI


async def test_a_legacy_transaction_is_bound_to_its_chain_and_mined(sender: Sender) -> None:
    await sender.send()
    sent = await sender.newest()
    assert (int(sent["type"], 16), int(sent["gasPrice"], 16)) == (0, 2 * GWEI)
    assert int(sent["v"], 16) in {2 * CHAIN_ID + 35, 2 * CHAIN_ID + 36}
    await sender.rpc.call("evm_mine")
    receipt = await sender.rpc.call("eth_getTransactionReceipt", sent["hash"])
    assert receipt["status"] == "0x1"


async def test_a_legacy_transaction_that_waits_is_replaced_at_an_eighth_more(sender: Sender) -> None:
    await sender.send()
    first = await sender.newest()
    sender.clock.advance(timedelta(seconds=61))
    assert await sender.tend() == 1
    second = await sender.newest()
    assert int(second["type"], 16) == 0
    assert int(second["gasPrice"], 16) == int(first["gasPrice"], 16) * 9 // 8
    await sender.rpc.call("evm_mine")
    assert await sender.rpc.call("eth_getTransactionReceipt", first["hash"]) is None
    assert (await sender.rpc.call("eth_getTransactionReceipt", second["hash"]))["status"] == "0x1"


async def test_filling_a_gap_costs_what_the_chain_says(sender: Sender) -> None:
    await sender.broadcaster.send(Call(sender.address, sender.address, b"", 30_000), floor_nonce=1)
    async with snapshot(sender.engine) as session:
        (waiting,) = await queries.open_transactions(session)
    assert await sender.broadcaster.tend([waiting], {sender.address: 0}) == 1
    await sender.rpc.call("evm_mine")
    used = await sender.rpc.call("eth_getTransactionCount", sender.address, "latest")
    assert int(used, 16) == 2
    bank = Account.from_key(ANVIL_KEY).address
    plain = await sender.rpc.call("eth_estimateGas", {"from": bank, "to": sender.address}, "latest")
    async with snapshot(sender.engine) as session:
        filler, _ = await queries.open_transactions(session)
    found = await sender.rpc.call("eth_getTransactionByHash", filler.hash)
    assert (found["gas"], filler.batch_ids) == (plain, [])
