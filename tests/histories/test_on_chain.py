"""The same histories with relayer, contract and mirror: whatever happened, the chain and an auditor say the same."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.settled import EPOCH_S, SettledWorld, make_settled_world
from fixtures.chain import ChainNode
from histories import laws
from histories.bazaar import History, begin, end, open_bazaar
from mereau.chain.rpc import RpcClient
from mereau.core.clock import SystemClock
from mereau.ledger.replay.service import find_differences
from mereau.ledger.tasks import chain_reader
from mereau.ledger.trail.service import export_trail
from mereau.wallets.keystore import Seed
from mereau_verify.rpc import Node
from mereau_verify.verification import verify

HISTORIES = int(os.environ.get("MEREAU_CHAIN_HISTORIES", "3"))
STEPS = 20

STEPS_KNOWN = (
    ("sell",) * 4 + ("bring_back",) * 3 + ("redeem",) * 3 + ("settle",) * 4
    + ("cancel", "refund", "refund", "use", "event", "expire", "expire", "extend", "change_rule", "activate_early")
    + ("adjust", "adjust", "wait", "walk", "storm")
)  # fmt: skip


@pytest.fixture
async def settled(engine: AsyncEngine, chain_node: ChainNode) -> AsyncIterator[SettledWorld]:
    """No members yet, and keys of its own."""
    async with RpcClient(chain_node.url) as rpc:
        seed, now = Seed(os.urandom(32)), SystemClock().now()
        world = await make_settled_world(engine, rpc, chain_node.accounts[0], seed=seed, now=now, member_count=0)
        async with world.relayer:
            yield world


async def play(settled: SettledWorld, history: History) -> None:
    for _ in range(STEPS):
        name = history.chance.choice(STEPS_KNOWN)
        if name == "settle":
            await settled.settle()
            await history.act("listen")
        elif name == "storm":
            await history.storm()
        else:
            await history.act(name)
        await laws.check(history)
    await settled.settle()
    await history.act("listen")
    await history.act("walk")
    await laws.check(history)
    await laws.check_tiers(history)


async def audited(settled: SettledWorld, folder: Path) -> list[str]:
    """What somebody with the trail and a node finds."""

    def ignore(*progress: object) -> None:
        """Nobody watches."""

    await export_trail(settled.ledger.engine, folder, on_progress=ignore)
    node = Node(settled.rpc.url)
    try:
        report = await asyncio.to_thread(verify, folder, node, ignore)
    finally:
        node.close()
    return [str(finding) for finding in report.findings]


async def test_the_contract_holds_what_the_ledger_says(settled: SettledWorld, tmp_path: Path) -> None:
    bazaar = await open_bazaar(settled.ledger)
    contract_lets = chain_reader(settled.rpc, settled.deployment.contract)

    async def expirable(wallets: Sequence[bytes]) -> Mapping[bytes, int]:
        """What the contract lets expire once the life that it guarantees is over."""
        await settled.rpc.call("evm_increaseTime", 2 * EPOCH_S)
        await settled.rpc.call("evm_mine")
        return await contract_lets(wallets)

    everybody: list[str] = []
    for seed in range(HISTORIES):
        history = await begin(bazaar, seed, expirable, policy=["clamp", "debt"][seed % 2])
        everybody += bazaar.members
        await play(settled, history)
        supply = 0
        for row in await bazaar.rows(laws.FIGURES, ids=everybody):
            (wallet,) = await bazaar.rows("select address from wallets where owner_id = :id", id=row.member_id)
            tokens = row.issued - row.reversed - row.redeemed - row.expired
            assert await settled.read("balanceOf", wallet.address) == (tokens,), "\n".join(history.story)
            supply += tokens
        assert await settled.read("totalSupply") == (supply,)
        assert [str(found) async for found in find_differences(bazaar.engine)] == []
        await end(history)
    assert await audited(settled, tmp_path / "trail") == []
