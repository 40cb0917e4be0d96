"""Random reorganisations by the dozen; MEREAU_REORGS=1000 plays the long storm, MEREAU_REORG_SEED another one."""

import os
from collections import Counter

import pytest
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from chain.mirror.storm import reorg_storm
from chain.mirror.test_histories import clean
from chain.mirror.test_reorgs import same_as_fresh
from fixtures.chain import running_anvil
from mereau.chain.rpc import RpcClient

pytestmark = pytest.mark.node
REORGS = int(os.environ.get("MEREAU_REORGS", "16"))
SEED = int(os.environ.get("MEREAU_REORG_SEED", "1"))
REORGS_PER_CHAIN = 100
"""Beyond some 200 of them anvil was seen to forget the state of the block to which it goes back."""


@pytest.mark.timeout(max(300, 2 * REORGS))
async def test_after_any_reorganisation_the_mirror_is_the_chain(engine: AsyncEngine) -> None:
    total: Counter[str] = Counter()
    for done in range(0, REORGS, REORGS_PER_CHAIN):
        await clean(engine)
        with running_anvil() as url:
            async with RpcClient(url) as rpc:
                storm = await reorg_storm(engine, rpc, SEED + done, min(REORGS_PER_CHAIN, REORGS - done))
                await same_as_fresh(storm.world)
        total += Counter(storm.tally)
    structlog.get_logger().info("reorg_storm", seed=SEED, **total)
    assert total["reorgs"] == REORGS
    assert total["frozen"] > 0
    assert total["returned"] > total["reorgs"]
