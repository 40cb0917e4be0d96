"""What seeds share: one PostgreSQL database, one anvil, one deployed token; each seed begins at the same point."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from eth_account import Account
from psycopg import sql
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.ledger import SEED, START, LedgerWorld
from factories.settled import SettledWorld, make_settled_world
from fixtures.chain import ANVIL_KEY
from fixtures.hostile import HostileProxy
from mereau.chain.finality import Finality
from mereau.chain.models import Deployment
from mereau.chain.rpc import RpcClient, quantity
from mereau.core.clock import ManualClock
from mereau.core.db import create_engine, transaction
from mereau.ledger.registry import service as registry
from mereau.partners import service as partners
from mereau.partners.service import PartnerDraft
from mereau.wallets import service as wallets
from mereau.wallets.signing import KeystoreSigner

BLOCK_S = 3
FINALITY_DEPTH = 4
MEMBERS = 4
ALLOWANCE = 200
GWEI = 10**9
# Left to itself anvil forgets older states, and with them those of blocks that come again after a restore.
ANVIL_OPTIONS = ("--timestamp", str(int(START.timestamp())), "--prune-history", "1000000")

_TABLES = "select tablename from pg_tables where schemaname = 'public' and tablename <> 'alembic_version'"
_SEQUENCES = "select sequencename, last_value from pg_sequences where schemaname = 'public'"


@dataclass
class Arena:
    """Partners 0 and 1 issue without limit, partner 2 within an allowance of `ALLOWANCE` tokens.

    `rpc` speaks to the node itself, `wire` through `proxy`.
    """

    database_url: str
    engine: AsyncEngine
    rpc: RpcClient
    proxy: HostileProxy
    wire: RpcClient
    world: LedgerWorld
    deployment: Deployment
    signer: KeystoreSigner
    roles: dict[str, bytes]
    wallets: Sequence[bytes]
    tables: "Baseline"
    _snapshot: str = ""

    async def restore(self) -> int:
        """Database and chain as they were before the first seed; the number of the chain's head."""
        self.proxy.calm()
        self.tables.restore(self.database_url)
        if self._snapshot:
            await self.rpc.call("anvil_dropAllTransactions")
            await self.rpc.call("evm_revert", self._snapshot)
        self._snapshot = await self.rpc.call("evm_snapshot")
        await self.rpc.call("anvil_setNextBlockBaseFeePerGas", quantity(GWEI))
        return int(await self.rpc.call("eth_blockNumber"), 16)


class Baseline:
    """The rows that every seed begins with."""

    def __init__(self, database_url: str) -> None:
        with psycopg.connect(database_url) as connection:
            names = sorted(name for (name,) in connection.execute(_TABLES).fetchall())
            self._rows = {name: rows for name in names if (rows := _copy_out(connection, name))}
            sequences = connection.execute(_SEQUENCES).fetchall()
        # Deleting some rows is much quicker than truncating; triggers and foreign keys look away meanwhile.
        self._empty = "; ".join(["set local session_replication_role = replica", *(f"delete from {n}" for n in names)])
        self._sequences = "; ".join(
            f"select setval('{name}', {value or 1}, {str(value is not None).lower()})" for name, value in sequences
        )

    def restore(self, database_url: str) -> None:
        with psycopg.connect(database_url) as connection:
            connection.execute(self._empty.encode())
            for name, rows in self._rows.items():
                statement = sql.SQL("copy {} from stdin").format(sql.Identifier(name))
                with connection.cursor() as cursor, cursor.copy(statement) as copy:
                    copy.write(rows)
            connection.execute(self._sequences.encode())


def _copy_out(connection: psycopg.Connection[Any], name: str) -> bytes:
    statement = sql.SQL("copy {} to stdout").format(sql.Identifier(name))
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        return b"".join(bytes(part) for part in copy)


@asynccontextmanager
async def opened_arena(database_url: str, node_url: str) -> AsyncIterator[Arena]:
    """Deploy and register once. The database is freshly migrated, the node a new anvil of `ANVIL_OPTIONS`."""
    engine = create_engine(database_url, connections_max=10)
    try:
        async with RpcClient(node_url) as rpc, HostileProxy(node_url) as proxy, RpcClient(proxy.url) as wire:
            settled = await _settled(engine, rpc)
            yield await _built(database_url, engine, settled, proxy, wire)
    finally:
        await engine.dispose()


async def _settled(engine: AsyncEngine, rpc: RpcClient) -> SettledWorld:
    settled = await make_settled_world(
        engine,
        rpc,
        Account.from_key(ANVIL_KEY),
        now=START,
        member_count=MEMBERS,
        clock=ManualClock(START),
        finality=Finality.by_depth(0),
    )
    await _add_limited_partner(settled)
    await settled.relayer.close()
    await rpc.call("evm_setAutomine", False)
    await rpc.call("anvil_setBlockTimestampInterval", BLOCK_S)
    return settled


async def _built(
    database_url: str, engine: AsyncEngine, settled: SettledWorld, proxy: HostileProxy, wire: RpcClient
) -> Arena:
    async with transaction(engine) as session:
        addresses = await wallets.ensure_member_wallets(session, settled.ledger.members, START)
        roles = await wallets.ensure_role_wallets(session)
    return Arena(
        database_url,
        engine,
        settled.rpc,
        proxy,
        wire,
        settled.ledger,
        settled.deployment,
        KeystoreSigner(SEED, engine),
        roles,
        [addresses[member] for member in settled.ledger.members],
        Baseline(database_url),
    )


async def _add_limited_partner(settled: SettledWorld) -> None:
    async with transaction(settled.ledger.engine) as session:
        draft = PartnerDraft("kiosk", "kiosk", allowance_tokens=ALLOWANCE)
        kiosk = await partners.create(session, draft, START)
        await registry.register_partner(session, kiosk, START)
    settled.ledger.partners.append(kiosk)
    await settled.settle()
