"""How fast a mirror reads a chain that is there already, every check included, and a web3.py loop beside it.

Two chains are built from real issue orders: many events in each block, and few. The mirror then starts from empty
tables, with the orders' batches in the database as an installation has them. Building is not timed.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import psycopg
import uvloop
from bench_cpu import cpu_s
from eth_account import Account
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from chain.mirror.kit import GAS, Token, deploy, root, wallet  # noqa: E402
from fixtures.chain import ANVIL_KEY, running_anvil  # noqa: E402
from mereau.chain.contract import topic  # noqa: E402
from mereau.chain.delta import MirrorDelta  # noqa: E402
from mereau.chain.finality import Finality  # noqa: E402
from mereau.chain.mirror import Mirror, StepOutcome  # noqa: E402
from mereau.chain.rpc import RpcClient  # noqa: E402
from mereau.core.clock import SystemClock  # noqa: E402
from mereau.core.db import WriteSession, create_engine, transaction  # noqa: E402
from mereau.core.migrate import migrate  # noqa: E402
from mereau.core.postgres import EmbeddedPostgres  # noqa: E402

Figures = dict[str, float | int]
_HOLDERS: Final = 5_000
_GAS_PRICE_WEI: Final = 10**10
_WEB3_RANGE_BLOCKS: Final = 50
_OPEN_BATCH: Final = text("""
    insert into chain_batches
        (id, kind, partner_number, sequence, trail_root, sender, call_data, order_count, tokens, gas_limit, state)
    values (:id, 'issue', 1, :sequence, :root, '', '', 1, 1, 1, 'submitted')
""")
_EMPTY: Final = text(
    "truncate chain_blocks, chain_transfers, chain_events, chain_balances, chain_mirror, chain_batches cascade"
)


@dataclass(frozen=True)
class Shape:
    """`events` in all, `per_block` of them in each block: one issue order of one credit less."""

    events: int
    per_block: int

    @property
    def blocks(self) -> int:
        return self.events // self.per_block


SHAPES: Final = (Shape(50_000, 200), Shape(20_000, 10))


@dataclass(frozen=True)
class Stage:
    """A chain with its token, and the database that the runs fill."""

    shape: Shape
    token: Token
    node_url: str
    database_url: str


@dataclass(frozen=True)
class Run:
    """One pass: events a second, and CPU microseconds per event by process."""

    events_per_s: float
    cpu_us: dict[str, float]


def mirror(options: argparse.Namespace) -> Figures:
    """Medians of at least 3 runs; `spread` is the largest less the smallest; `cpu` in microseconds per event."""
    repeat = max(3, options.repeat)
    figures: Figures = {"runs": repeat}
    with _database() as database_url:
        for shape in SHAPES:
            with running_anvil() as node_url:
                figures |= uvloop.run(_measure(shape, node_url, database_url, repeat))
    return figures


async def _measure(shape: Shape, node_url: str, database_url: str, repeat: int) -> Figures:
    async with RpcClient(node_url) as rpc:
        token = await build(rpc, shape, _any_holder)
        stage = Stage(shape, token, node_url, database_url)
        runs = [await _timed(stage, mirror_once) for _ in range(repeat)]
        figures = _summary(f"events_per_s_{shape.per_block}", runs)
        figures |= {
            f"{name}_cpu_us_{shape.per_block}": round(statistics.median(run.cpu_us[name] for run in runs), 1)
            for name in runs[0].cpu_us
        }
        if shape is SHAPES[0]:
            figures |= _summary("web3_events_per_s_200", [await _timed(stage, _web3_once) for _ in range(repeat)])
    return figures


def _summary(name: str, runs: Sequence[Run]) -> Figures:
    rates = [run.events_per_s for run in runs]
    return {name: round(statistics.median(rates)), f"{name}_spread": round(max(rates) - min(rates))}


def _any_holder(draw: random.Random) -> bytes:
    return wallet(draw.randrange(_HOLDERS))


async def build(rpc: RpcClient, shape: Shape, holder: Callable[[random.Random], bytes]) -> Token:
    """A chain of one issue order a block, crediting what `holder` draws."""
    draw = random.Random("mereau mirror")  # noqa: S311 - a benchmark needs repeatable draws, not secrets
    token = await deploy(rpc, Account.from_key(ANVIL_KEY), Account.from_key(b"\x07" * 32))
    await rpc.call("evm_setAutomine", False)
    nonce = int(await rpc.call("eth_getTransactionCount", token.admin.address, "latest"), 16)
    for number in range(shape.blocks):
        credited = [(holder(draw), draw.randrange(1, 100_000)) for _ in range(shape.per_block - 1)]
        call = token.issue_call(credited, root(f"issue {number + 1}"), number + 1)
        fields = {"to": token.address, "data": call, "nonce": nonce + number, "chainId": token.chain_id}
        signed = token.admin.sign_transaction({**fields, "gas": GAS, "gasPrice": _GAS_PRICE_WEI, "value": 0})
        await rpc.call("eth_sendRawTransaction", bytes(signed.raw_transaction))
        await rpc.call("evm_mine")
    return token


async def _timed(stage: Stage, once: Callable[[Stage], Awaitable[int]]) -> Run:
    await _prepare(stage)
    before, began = cpu_s(), time.perf_counter()
    events = await once(stage)
    took_s, after = time.perf_counter() - began, cpu_s()
    if events < stage.shape.events:
        raise SystemExit(f"{events} of {stage.shape.events} events were read")
    return Run(events / took_s, {name: 1e6 * (after[name] - before[name]) / events for name in before})


async def _prepare(stage: Stage) -> None:
    async with _engine(stage) as engine, transaction(engine) as session:
        await session.execute(_EMPTY)
        await open_batches(session, stage.shape)


async def open_batches(session: WriteSession, shape: Shape) -> None:
    """The chain's orders as an installation has them before it sees them mined."""
    rows = [{"id": f"bat_{n}", "sequence": n, "root": root(f"issue {n}")} for n in range(1, shape.blocks + 1)]
    await session.execute(_OPEN_BATCH, rows)


async def mirror_once(stage: Stage) -> int:
    """A new mirror and a new client, from the deployment to the head."""

    async def unheard(session: WriteSession, delta: MirrorDelta) -> None:
        """The ledger's share is measured where the ledger is."""

    async with _engine(stage) as engine, RpcClient(stage.node_url) as rpc:
        following = Mirror(
            engine, rpc, stage.token.deployment, SystemClock(), finality=Finality.by_tags(), on_progress=unheard
        )
        events = 0
        while (progress := await following.step()).outcome is StepOutcome.ADVANCED:
            events += progress.events
    return events


async def _web3_once(stage: Stage) -> int:
    """What a program without checks does with the common library: logs by range, decoded, into a plain table."""
    from web3 import Web3

    from mereau.chain.artifact import artifact

    w3 = Web3(Web3.HTTPProvider(stage.node_url))
    address = Web3.to_checksum_address(stage.token.address)
    contract = w3.eth.contract(address=address, abi=artifact()["abi"])
    events, head = 0, w3.eth.block_number
    with psycopg.connect(stage.database_url) as connection:
        connection.execute("drop table if exists web3_events")
        connection.execute("create table web3_events (block bigint, index int, name text, args jsonb)")
        for first in range(stage.token.deployment.block_number, head + 1, _WEB3_RANGE_BLOCKS):
            last = min(head, first + _WEB3_RANGE_BLOCKS - 1)
            rows = list(_decoded(contract, w3, first, last))
            with connection.cursor() as cursor:
                cursor.executemany("insert into web3_events values (%s, %s, %s, %s)", rows)
            connection.commit()
            events += len(rows)
    return events


def _decoded(contract: Any, w3: Any, first: int, last: int) -> Iterator[tuple[int, int, str, str]]:
    readers = {topic(name): contract.events[name]() for name in ("Transfer", "Issued")}
    for log in w3.eth.get_logs({"address": contract.address, "fromBlock": first, "toBlock": last}):
        reader = readers.get(bytes(log["topics"][0]))
        if reader is not None:
            found = reader.process_log(log)
            arguments = orjson.dumps(dict(found["args"]), default=str).decode()
            yield found["blockNumber"], found["logIndex"], found["event"], arguments


@contextmanager
def _database() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="mereau-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with EmbeddedPostgres(folder / "postgres", folder / "postgres.log") as server:
            migrate(server.url)
            yield server.url


@asynccontextmanager
async def _engine(stage: Stage) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(stage.database_url)
    try:
        yield engine
    finally:
        await engine.dispose()
