"""One installation per worker, on real servers; each test has a copy of its database and its chain as they were."""

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from eth_account import Account
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.ledger import LedgerWorld, make_world
from factories.settled import EPOCH_S
from faults.gate import Gate
from faults.stage import Stage, ending
from fixtures.chain import ANVIL_KEY, fund, running_anvil
from fixtures.db import TEMPLATE, url_of
from mereau.chain import contract, deployment
from mereau.chain.models import Deployment
from mereau.chain.rpc import RpcClient
from mereau.core.db import create_engine, transaction
from mereau.core.layout import Layout, write_private
from mereau.ledger.registry import service as registry
from mereau.partners import service as partners
from mereau.partners.service import PartnerDraft
from mereau.wallets import service as wallets
from mereau.wallets.keystore import Seed, create_keystore
from mereau.wallets.signing import KeystoreSigner

KIOSK_ALLOWANCE = 10
_PASSWORD = "correct horse"


@dataclass
class Installation:
    """What the copies are made from: partners are known to the contract, the first member has 100 final tokens."""

    database: str
    rpc: RpcClient
    ledger: LedgerWorld
    deployment: Deployment
    home: Path
    snapshot: str


@contextmanager
def copied(server_url: str, template: str) -> Iterator[str]:
    """A database like `template` for the length of the block; its name."""
    name = f"f_{uuid.uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"create database {name} template {template} strategy file_copy")
        yield name
        connection.execute(f"drop database {name} with (force)")


@asynccontextmanager
async def engine_on(url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(url, connections_max=4)
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
async def installation(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    home = tmp_path_factory.mktemp("installation")
    seed = create_keystore(Layout(home).keystore, _PASSWORD)
    write_private(Layout(home).keystore_password, _PASSWORD)
    write_private(Layout(home).voucher_secret, "5e" * 32)
    with copied(postgres_url, TEMPLATE) as name, running_anvil() as node_url:
        url = url_of(postgres_url, name)
        async with RpcClient(node_url) as rpc:
            async with engine_on(url) as engine, Gate(node_url) as gate:
                ledger, deployed = await _installed(engine, rpc, seed)
                async with ending(Stage(ledger, rpc, gate, deployed, home, home / "parts.log", url)) as stage:
                    await ledger.credit(100)
                    await stage.finished()
            yield Installation(name, rpc, ledger, deployed, home, await rpc.call("evm_snapshot"))


async def _installed(engine: AsyncEngine, rpc: RpcClient, seed: Seed) -> tuple[LedgerWorld, Deployment]:
    """Programme, partners, members and the contract. The third partner is the kiosk, with a small allowance."""
    now = datetime.now(UTC)
    world = await make_world(engine, member_count=4, now=now, seed=seed)
    kiosk = PartnerDraft("kiosk", "kiosk", allowance_tokens=KIOSK_ALLOWANCE)
    async with transaction(engine) as session:
        world.partners.append(await partners.create(session, kiosk, now))
        roles = await wallets.ensure_role_wallets(session)
        for partner in world.partners:
            await registry.register_partner(session, partner, now)
    await fund(rpc, Account.from_key(ANVIL_KEY), [roles["relayer"], roles["partner_admin"]])
    config = contract.Config(
        "Points", "PTS", "", 0, roles["admin"], 0, roles["partner_admin"], roles["expirer"], roles["pauser"], 60,
        EPOCH_S, 86_400, transfers_open=False,
    )  # fmt: skip
    deployed = await deployment.deploy(rpc, KeystoreSigner(seed, engine), roles["relayer"], config)
    async with transaction(engine) as session:
        await deployment.save(session, deployed)
        return world, await deployment.load(session)


@pytest.fixture
async def stage(installation: Installation, postgres_url: str, tmp_path: Path) -> AsyncIterator[Stage]:
    """A copy of the installation; nothing of it runs yet."""
    rpc = installation.rpc
    assert await rpc.call("evm_revert", installation.snapshot)
    installation.snapshot = await rpc.call("evm_snapshot")
    await rpc.call("evm_setAutomine", True)
    head = await rpc.call("eth_getBlockByNumber", "latest", False)
    # What a test said of the next block outlives the revert.
    await rpc.call("anvil_setNextBlockBaseFeePerGas", head["baseFeePerGas"])
    with copied(postgres_url, installation.database) as name:
        url = url_of(postgres_url, name)
        async with engine_on(url) as engine, Gate(rpc.url) as gate:
            ledger = replace(installation.ledger, engine=engine)
            made = Stage(ledger, rpc, gate, installation.deployment, installation.home, tmp_path / "parts.log", url)
            async with ending(made):
                yield made
