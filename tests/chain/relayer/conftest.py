"""A desk on the embedded node and one on anvil, whose blocks come when the test says so."""

import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from eth_account import Account
from sqlalchemy.ext.asyncio import AsyncEngine

from chain.relayer.kit import Desk, open_desk
from chain.relayer.proxy import FaultProxy
from fixtures.chain import ChainNode, free_port, wait_for_node
from mereau.chain.finality import Finality
from mereau.chain.rpc import RpcClient

CONTRACTS = Path(__file__).parents[3] / "contracts"
ANVIL = CONTRACTS / "node_modules" / "@foundry-rs" / "anvil-linux-amd64" / "bin" / "anvil"
ANVIL_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"


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
    port = free_port()
    process = subprocess.Popen([ANVIL, "--silent", "--port", str(port)])
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for_node(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


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
