"""From backfill to the head while the chain grows and forks under way: no block is missed, none counts twice."""

import asyncio
import itertools

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from chain.mirror.storm import Storm, begun
from chain.mirror.test_loop import until
from chain.mirror.test_reorgs import same_as_fresh
from fixtures.chain import running_anvil
from mereau.chain.models import Block, MirrorState
from mereau.chain.pace import Pace
from mereau.chain.rpc import RpcClient

pytestmark = pytest.mark.node
HISTORY = 60


async def at_head(storm: Storm) -> bool:
    """Whether the mirror's head is the node's."""
    head = await storm.token.rpc.call("eth_getBlockByNumber", "latest", False)
    states = await storm.world.rows(MirrorState)
    return any("0x" + state.head_hash.hex() == head["hash"] for state in states)


async def disturb(storm: Storm, rounds: int) -> None:
    """Grow and fork; every other time once the mirror is there, else wherever it just happens to read."""
    for number in range(rounds):
        await storm.grow(storm.draw.randint(1, 4))
        if number % 2:
            await until(lambda: at_head(storm))
        await storm.reorganise(storm.draw.randint(1, 30))
    await storm.grow(31)
    await until(lambda: at_head(storm))


@pytest.mark.parametrize("seed", [1, 2])
async def test_backfill_becomes_following_without_gap_or_duplicate(engine: AsyncEngine, seed: int) -> None:
    """Ranges are short, so that the head moves on, and forks fall below what is being read, all the way."""
    with running_anvil() as url:
        async with RpcClient(url) as rpc:
            storm = await begun(engine, rpc, seed, Pace(blocks=3, blocks_max=3))
            await storm.grow(HISTORY)
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                group.create_task(storm.world.mirror.run(stop, poll_s=0.01))
                await disturb(storm, 6)
                stop.set()
            await storm.expect_truth()
            stored = sorted(row.number for row in await storm.world.rows(Block))
            assert stored == list(range(storm.token.deployment.block_number, await storm.token.head() + 1))
            heads = [delta.head_number for delta in storm.world.deltas]
            assert sum(later < earlier for earlier, later in itertools.pairwise(heads)) >= 3
            await same_as_fresh(storm.world)
