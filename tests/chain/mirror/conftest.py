"""Tokens on the embedded node and on anvil, each with a mirror and an empty database."""

from collections.abc import AsyncIterator, Iterator

import pytest
from eth_account import Account
from sqlalchemy.ext.asyncio import AsyncEngine

from chain.mirror.kit import Token, deploy, root, wallet
from chain.mirror.proxy import Proxy
from chain.mirror.world import World, mirror_of
from fixtures.chain import ANVIL_KEY, ChainNode, running_anvil
from mereau.chain.finality import Finality
from mereau.chain.rpc import RpcClient


@pytest.fixture
async def rpc(chain_url: str) -> AsyncIterator[RpcClient]:
    async with RpcClient(chain_url) as client:
        yield client


@pytest.fixture
async def token(rpc: RpcClient, chain_node: ChainNode) -> Token:
    return await deploy(rpc, chain_node.accounts[0], chain_node.accounts[1])


@pytest.fixture
def world(engine: AsyncEngine, token: Token) -> World:
    return mirror_of(engine, token)


@pytest.fixture
async def proxy(chain_url: str) -> AsyncIterator[Proxy]:
    """A relay in front of the embedded node that a test may teach to lie."""
    async with Proxy(chain_url) as relay:
        yield relay


@pytest.fixture(scope="session")
def anvil_url() -> Iterator[str]:
    with running_anvil() as url:
        yield url


@pytest.fixture
async def anvil_rpc(anvil_url: str) -> AsyncIterator[RpcClient]:
    async with RpcClient(anvil_url) as client:
        yield client


@pytest.fixture
async def anvil_token(anvil_rpc: RpcClient) -> Token:
    return await deploy(anvil_rpc, Account.from_key(ANVIL_KEY), Account.from_key(b"\x07" * 32))


@pytest.fixture
def anvil_world(engine: AsyncEngine, anvil_token: Token) -> World:
    """Blocks are final ten below the head, so that there is room for reorganisations."""
    return mirror_of(engine, anvil_token, finality=Finality.by_depth(10))


@pytest.fixture
async def lying(engine: AsyncEngine, token: Token, proxy: Proxy) -> AsyncIterator[World]:
    """A mirror behind the proxy that has seen one credit; another credit waits on the chain."""
    async with RpcClient(proxy.url) as rpc:
        world = mirror_of(engine, token, rpc=rpc)
        await token.issue([(wallet(1), 5), (wallet(2), 6)], root("first"))
        await world.mirror.step()
        await token.issue([(wallet(1), 10), (wallet(2), 20)], root("second"))
        yield world
