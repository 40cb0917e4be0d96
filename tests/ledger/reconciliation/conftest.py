"""A world on the embedded chain, with keys of its own: gas money and nonces are nobody else's."""

import secrets
from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.settled import SettledWorld, make_settled_world
from fixtures.chain import ChainNode
from mereau.chain.rpc import RpcClient
from mereau.core.clock import SystemClock
from mereau.wallets.keystore import Seed


@pytest.fixture
async def settled(engine: AsyncEngine, chain_node: ChainNode) -> AsyncIterator[SettledWorld]:
    async with RpcClient(chain_node.url) as rpc:
        seed = Seed(secrets.token_bytes(32))
        world = await make_settled_world(engine, rpc, chain_node.accounts[0], seed=seed, now=SystemClock().now())
        async with world.relayer:
            yield world
