"""A ledger on a chain of its own contract, with a little history."""

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.settled import SettledWorld, make_settled_world
from fixtures.chain import ChainNode
from mereau.chain.rpc import RpcClient
from mereau.core.clock import SystemClock
from mereau.wallets.keystore import Seed


@pytest.fixture
async def world(engine: AsyncEngine, chain_node: ChainNode) -> AsyncIterator[SettledWorld]:
    """Credits, a return, a pending credit and a burn, all settled; a second redemption waits."""
    async with RpcClient(chain_node.url) as rpc:
        seed = Seed(os.urandom(32))
        world = await make_settled_world(engine, rpc, chain_node.accounts[0], seed=seed, now=SystemClock().now())
        book = world.ledger
        async with world.relayer:
            first = await book.credit(500)
            await book.credit(70, member=1, life=timedelta(days=400))
            await book.credit(9, member=1, delay=timedelta(days=30))
            await book.reverse(first, 120)
            await world.settle()
            await book.hold(30)
            await world.settle()
            yield world


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "trail"
