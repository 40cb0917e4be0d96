"""A desk on the embedded node and one on anvil, whose blocks come when the test says so."""

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
from eth_account import Account
from sqlalchemy.ext.asyncio import AsyncEngine

from chain.relayer.kit import Desk, open_desk
from chain.relayer.proxy import FaultProxy
from fixtures.chain import ANVIL_KEY, ChainNode, running_anvil
from mereau.chain.finality import Finality
from mereau.chain.rpc import RpcClient


@pytest.fixture
async def rpc(chain_url: str) -> AsyncIterator[RpcClient]:
    async with RpcClient(chain_url) as client:
        yield client


@pytest.fixture
async def desk(engine: AsyncEngine, rpc: RpcClient, chain_node: ChainNode) -> Desk:
    """A fresh token on the embedded chain, which mines at once and finalises every block."""
    return await open_desk(uuid.uuid4().hex, engine, rpc, chain_node.accounts[0], Finality.by_tags())


@pytest.fixture
def anvil_url() -> Iterator[str]:
    """A node of the test's own: its clock, its pool and its reorganisations disturb nobody."""
    with running_anvil() as url:
        yield url


@pytest.fixture
async def slow_desk(engine: AsyncEngine, anvil_url: str) -> AsyncIterator[Desk]:
    """A token on anvil; blocks come only by `evm_mine`, and are final five below the head."""
    async with RpcClient(anvil_url) as client:
        bank = Account.from_key(ANVIL_KEY)
        desk = await open_desk(uuid.uuid4().hex, engine, client, bank, Finality.by_depth(5))
        await client.call("evm_setAutomine", False)
        yield desk


@pytest.fixture
async def proxy(chain_url: str) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(chain_url) as relay:
        yield relay


@pytest.fixture
async def faulty_rpc(proxy: FaultProxy) -> AsyncIterator[RpcClient]:
    """The embedded node through the proxy."""
    async with RpcClient(proxy.url, timeout_s=5) as client:
        yield client
