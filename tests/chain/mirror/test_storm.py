"""Random reorganisations by the dozen; MEREAU_REORGS=1000 plays the long storm, MEREAU_REORG_SEED another one."""

import os

import pytest
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from chain.mirror.storm import reorg_storm
from chain.mirror.test_reorgs import same_as_fresh
from fixtures.chain import running_anvil
from mereau.chain.rpc import RpcClient

pytestmark = pytest.mark.node
REORGS = int(os.environ.get("MEREAU_REORGS", "16"))
SEED = int(os.environ.get("MEREAU_REORG_SEED", "1"))


@pytest.mark.timeout(max(300, 2 * REORGS))
async def test_after_any_reorganisation_the_mirror_is_the_chain(engine: AsyncEngine) -> None:
    with running_anvil() as url:
        async with RpcClient(url) as rpc:
            storm = await reorg_storm(engine, rpc, SEED, REORGS)
            await same_as_fresh(storm.world)
    tally = storm.tally
    structlog.get_logger().info("reorg_storm", seed=SEED, tally=tally)
    assert tally.reorgs == REORGS
    assert tally.returned > 0
    assert tally.frozen > 0
    assert len(tally.depths) > min(REORGS, 64) // 2
