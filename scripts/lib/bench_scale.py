"""What ten thousand, a hundred thousand, one million and ten million members do to reading, mirroring and size.

The embedded PostgreSQL with half of the machine's memory, as an installation of millions is advised to give it, at
every size alike; the API is the one process beside it. Tables grow from one size to the next.
"""

import argparse
import asyncio
import json
import random
import statistics
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import bench_members
import psycopg
from bench_accept import spread
from bench_load import drive, request_text
from bench_machine import memory_mib as machine_memory_mib
from bench_mirror import Shape, Stage, build, mirror_once, open_batches
from bench_stack import command, free_port, scratch, until_ready
from bench_world import CONNECTIONS
from sqlalchemy import text

from fixtures.chain import running_anvil
from mereau.auth import service as auth
from mereau.auth.domain import Role
from mereau.chain import mirror_store
from mereau.chain.rpc import RpcClient
from mereau.core.db import create_engine, transaction
from mereau.core.layout import Layout, write_private
from mereau.core.migrate import migrate
from mereau.core.postgres import EmbeddedPostgres

Figures = dict[str, float | int]

_CHAIN: Final = Shape(20_000, 200)
_READERS: Final = 8
_READS_PER_S: Final = 5_000
_CHECKED: Final = 20
_SELECTS: Final = 5_000
_SELECTS_WARM: Final = 1_000
_FORGET: Final = text("truncate chain_mirror, chain_batches, chain_blocks, chain_transfers, chain_events cascade")
_SELECT: Final = """
    select a.available, a.pending, a.held, a.debt, b.tokens, l.remaining, l.expires_at
    from members m
    join accounts a on a.member_id = m.id
    join wallets w on w.owner_kind = 'member' and w.owner_id = m.id
    join chain_balances b on b.wallet = w.address
    join lots l on l.member_id = m.id and l.remaining > 0
    where m.id = %s
"""


@dataclass(frozen=True)
class Size:
    """How many members there are; `name` ends the names of the figures."""

    name: str
    members: int


SIZES: Final = (Size("10k", 10_000), Size("100k", 100_000), Size("1m", 1_000_000), Size("10m", 10_000_000))


@dataclass(frozen=True)
class Site:
    """A database that grows, and the API's keys for reading it."""

    url: str
    folder: Path
    keys: Sequence[str]
    draw: random.Random


def scale(options: argparse.Namespace) -> Figures:
    """Medians over `--repeat` runs at each size up to `--members`; spread is the largest less the smallest."""
    draw = random.Random("mereau scale")  # noqa: S311 - a benchmark needs repeatable draws, not secrets
    memory_mib = machine_memory_mib() // 2
    figures: Figures = {"connections": CONNECTIONS, "runs": options.repeat, "postgres_memory_mib": memory_mib}
    with scratch() as folder:
        folder.chmod(0o755)
        write_private(Layout(folder).voucher_secret, bytes(32).hex())
        with EmbeddedPostgres(folder / "postgres", folder / "postgres.log", memory_mib=memory_mib) as server:
            migrate(server.url)
            site = Site(server.url, folder, asyncio.run(_keys(server.url)), draw)
            there = 0
            for size in SIZES:
                if size.members <= (options.members or SIZES[-1].members):
                    figures |= _grown(site, there, size)
                    figures |= _backfills(site, size, options.repeat)
                    figures |= _reads(site, size, options)
                    figures |= _selects(site, size, options.repeat)
                    there = size.members
    return figures


def _grown(site: Site, there: int, size: Size) -> Figures:
    """More members, how long they took, and what they weigh."""
    began = time.monotonic()
    bench_members.grow(site.url, there + 1, size.members)
    took_s = time.monotonic() - began
    sizes = bench_members.table_mib(site.url)
    return {
        f"seed_s_{size.name}": round(took_s, 1),
        f"table_mib_{size.name}": round(sum(sizes.values())),
        **{f"{table}_mib_{size.name}": round(mib, 1) for table, mib in sizes.items()},
    }


async def _keys(url: str) -> list[str]:
    """One caller's rate would end before the API's does."""
    engine = create_engine(url)
    try:
        async with transaction(engine) as session:
            drafts = [auth.KeyDraft(Role.OPERATOR, f"reader {number}") for number in range(_READERS)]
            made = [await auth.create_api_key(session, draft, datetime.now(UTC)) for draft in drafts]
    finally:
        await engine.dispose()
    return [key for _, key in made]


def _reads(site: Site, size: Size, options: argparse.Namespace) -> Figures:
    """GET balance of any member, over connections kept alive.

    The first run finds what writing left in memory, and is told apart; before the others all has been read once.
    """
    port = free_port()
    settings = {"MEREAU_DATABASE_URL": site.url, "MEREAU_DATA_DIR": str(site.folder), "MEREAU_PORT": str(port)}
    with command("api", **settings) as process:
        until_ready(process, port, site.folder, "/healthz")
        _check(site, size, port)
        loads = []
        for run in range(1 + options.repeat):
            if run == 1:
                bench_members.read_all(site.url)
            requests = [_request(site, size) for _ in range(int(_READS_PER_S * options.seconds))]
            load = drive([port], requests, connections=CONNECTIONS, seconds=options.seconds)
            if set(load.statuses) != {"200"}:
                raise SystemExit(f"answers other than 200: {load.statuses}")
            loads.append(load)
    return {
        f"read_first_p99_ms_{size.name}": round(loads[0].p99_ms, 1),
        **spread(f"read_p99_ms_{size.name}", [load.p99_ms for load in loads[1:]]),
        **spread(f"read_rps_{size.name}", [load.rate for load in loads[1:]]),
    }


def _request(site: Site, size: Size) -> str:
    member = bench_members.member_id(site.draw.randint(1, size.members))
    return request_text("GET", f"/members/{member}/balance", site.draw.choice(site.keys))


def _check(site: Site, size: Size, port: int) -> None:
    """What is fast must be right: ledger, lots and chain of some members, to the token."""
    for number in [1, size.members, *(site.draw.randint(1, size.members) for _ in range(_CHECKED))]:
        path = f"/api/v1/members/{bench_members.member_id(number)}/balance"
        headers = {"authorization": f"Bearer {site.keys[0]}"}
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own
            found = json.load(answer)
        wanted = bench_members.tokens(number)
        if (found["available"], int(found["on_chain"]["tokens"]), found["expiring_next"]["tokens"]) != (
            wanted,
            wanted,
            wanted,
        ):
            raise SystemExit(f"member {number} should have {wanted} tokens: {found}")


def _selects(site: Site, size: Size, repeat: int) -> Figures:
    """The yardstick: one plain SELECT of the same rows, prepared, on one connection, one after another."""
    with psycopg.connect(site.url, autocommit=True) as connection:
        runs = [_select_p99_ms(connection, site, size) for _ in range(repeat)]
    return spread(f"select_p99_ms_{size.name}", runs)


def _select_p99_ms(connection: psycopg.Connection[Any], site: Site, size: Size) -> float:
    times_ms = []
    for _ in range(_SELECTS):
        member = bench_members.member_id(site.draw.randint(1, size.members))
        began = time.perf_counter()
        connection.execute(_SELECT, [member], prepare=True).fetchone()
        times_ms.append(1000 * (time.perf_counter() - began))
    return statistics.quantiles(times_ms[_SELECTS_WARM:], n=100)[-1]


def _backfills(site: Site, size: Size, repeat: int) -> Figures:
    """A mirror reads a chain whose holders are any of the members; the tables are as before afterwards."""
    with running_anvil() as node_url:
        return asyncio.run(_measure_backfills(site, size, repeat, node_url))


async def _measure_backfills(site: Site, size: Size, repeat: int, node_url: str) -> Figures:
    async with RpcClient(node_url) as rpc:
        token = await build(rpc, _CHAIN, lambda draw: bench_members.wallet(draw.randint(1, size.members)))
    stage = Stage(_CHAIN, token, node_url, site.url)
    rates = [await _backfill(stage) for _ in range(repeat)]
    return spread(f"backfill_events_per_s_{size.name}", rates)


async def _backfill(stage: Stage) -> float:
    engine = create_engine(stage.database_url)
    try:
        async with transaction(engine) as session:
            await open_batches(session, stage.shape)
        began = time.perf_counter()
        events = await mirror_once(stage)
        took_s = time.perf_counter() - began
        if events < stage.shape.events:
            raise SystemExit(f"{events} of {stage.shape.events} events were read")
        async with transaction(engine) as session:
            await mirror_store.undo(session, stage.token.deployment.block_number - 1)
            await session.execute(_FORGET)
    finally:
        await engine.dispose()
    return events / took_s
