"""Nodes that are behind, that disagree, that are another chain, and chains that take back their blocks."""

from dataclasses import replace

import pytest

from faults.gate import SEND
from faults.scenes import batch_is, sell
from faults.stage import DEPTH, Stage
from fixtures.chain import running_anvil
from fixtures.hostile import FAULTS, HostileProxy

pytestmark = pytest.mark.node

SPOILT = ["reset_before", "lost_reply", "bad_gateway", "cut_short", "reset_after", "bad_gateway_after", "sent_twice"]


async def test_a_flapping_balancer_takes_nothing_back(stage: Stage) -> None:
    """Of two nodes behind one address, one is some blocks short: every other answer is of the past."""
    heads = []
    async with HostileProxy(stage.rpc.url, seed=5) as node:
        stage.gate.turn(node.url)
        node.storm({"older_head": 0.5})
        async with stage.working():
            for _ in range(3):
                await sell(stage)
                await stage.settled()
                heads += [row.head_number for row in await stage.ledger.rows("select head_number from chain_mirror")]
            node.calm()
            await stage.caught_up()
    assert "older_head" in node.suffered
    assert heads == sorted(heads)
    await stage.assert_exact()


async def test_a_network_that_spoils_replies_loses_nothing(stage: Stage) -> None:
    """One broadcast after the other meets another way in which its reply can go wrong."""
    await sell(stage)
    async with HostileProxy(stage.rpc.url, seed=11) as node:
        for fault in SPOILT:
            node.plan(replace(FAULTS[fault], methods=frozenset({SEND})))
        async with stage.working(MEREAU_CHAIN_URL=node.url):
            while node.suffered != SPOILT:
                await stage.settled()
                await sell(stage)
            await stage.settled()
            await stage.caught_up()
    stage.gate.sent += node.sent
    await stage.assert_exact()


async def test_another_chain_is_refused_at_the_start(stage: Stage) -> None:
    await sell(stage)
    before = await stage.ledger.rows("select * from chain_mirror")
    with running_anvil("--chain-id", "1") as other:
        stage.gate.turn(other)
        for part in ("relayer", "mirror"):
            process = stage.start(part)
            await stage.ended(process)
            assert process.exitcode == 2
        stage.gate.turn(stage.rpc.url)
    assert "another chain" in stage.words()
    assert await stage.ledger.rows("select * from chain_mirror") == before
    await stage.finished()
    await stage.assert_exact()


async def test_a_chain_that_was_reset_is_refused_while_parts_run(stage: Stage) -> None:
    """The same chain id and no history: the node's disk was lost. Nothing is indexed or sent anew."""
    async with stage.working():
        await stage.caught_up()
    before = await stage.ledger.rows("select head_hash, supply from chain_mirror")
    worker = stage.start()
    await stage.caught_up()
    with running_anvil() as fresh:
        stage.gate.turn(fresh)
        await sell(stage)
        await stage.ended(worker)
        assert worker.exitcode != 0
        stage.gate.turn(stage.rpc.url)
    assert await stage.ledger.rows("select head_hash, supply from chain_mirror") == before
    assert stage.gate.sent == []
    await stage.finished()
    await stage.assert_exact()


@pytest.mark.parametrize("depth", [1, DEPTH - 1])
async def test_transactions_that_move_to_other_blocks_count_once(stage: Stage, depth: int) -> None:
    """A fork in which they all stand in its last block."""
    await sell(stage)
    async with stage.working():
        await batch_is(stage, "mined")
        await stage.mine(depth - 1)
        await stage.caught_up()
    (row,) = await stage.ledger.rows("select min(block_number) as number from chain_batches where state = 'mined'")
    blocks = int(await stage.rpc.call("eth_blockNumber"), 16) - row.number + 1
    await stage.rpc.call("anvil_reorg", blocks, [["0x" + raw.hex(), blocks - 1] for raw in stage.gate.sent])
    await stage.finished()
    await stage.assert_exact()
