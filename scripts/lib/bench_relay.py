"""How fast accepted credits reach the chain, with relayer and mirror running as an installation runs them.

The clock covers one SQL transaction's worth of credits: it starts when the commit makes their orders visible to the
relayer, and stops when the mirror has seen the last of them mined. Accepting them (the ledger's door, at its own pace)
is over by then, and every member holds tokens already. The node is anvil, which mines each transaction as it comes.

The yardstick is what a program does without batches: one `issue` of one credit per transaction, built and signed by
web3.py, sent one after the other with a nonce of its own counting. Its orders are signed by the partner beforehand.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench_cpu import cpu_of, cpu_s
from bench_stack import ROOT, scratch
from eth_account import Account
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

sys.path.insert(0, str(ROOT / "tests"))

from chain.mirror.kit import PARTNER, Token, deploy, root, wallet
from fixtures.chain import ANVIL_KEY, running_anvil
from mereau.chain.contract import decode_call
from mereau.chain.rpc import RpcClient, quantity
from mereau.core.clock import SystemClock
from mereau.core.config import Settings
from mereau.core.db import create_engine, snapshot, transaction
from mereau.core.ids import new_id
from mereau.core.layout import Layout
from mereau.core.postgres import EmbeddedPostgres
from mereau.ledger import service as ledger
from mereau.ledger.registry import service as registry
from mereau.ledger.service import Credit
from mereau.members import service as members
from mereau.members.service import MemberDraft
from mereau.partners import service as partners
from mereau.partners.models import Partner
from mereau.partners.service import PartnerDraft
from mereau.worker.prepare import install
from mereau.worker.secrets import draw_keys

Figures = dict[str, float | int]
CREDITS: Final = 100_000
_MEMBERS: Final = 10_000
_PARTNERS: Final = 10
_ONE_BY_ONE: Final = 1_000
_POST_MAX: Final = 5_000
_FUNDS_WEI: Final = 10**24
_GAS: Final = 200_000
_LIMIT_S: Final = 900
_POLL_S: Final = 0.05
_CLOCK: Final = SystemClock()
_OPEN: Final = text("""
    select exists (select 1 from chain_orders where state = 'queued')
        or exists (select 1 from chain_batches where state in ('sealed', 'submitted'))
""")
_MINED: Final = text("""
    select count(*), count(distinct batch.id), count(distinct batch.transaction_hash)
    from chain_orders as orders join chain_batches as batch on batch.id = orders.batch_id
    where batch.state in ('mined', 'final') and orders.seq > :after
""")
_LAST: Final = text("select coalesce(max(seq), 0) from chain_orders")


@dataclass(frozen=True)
class Run:
    """One run: the rate, and CPU microseconds per credit by program."""

    credits_per_s: float
    cpu_us: dict[str, float]
    batches: int
    transactions: int


@dataclass(frozen=True)
class Stage:
    """An installation with its parts at work; `workers` are their processes by name."""

    engine: AsyncEngine
    member_ids: Sequence[str]
    partners: Sequence[Partner]
    workers: dict[str, int]

    def cpu_s(self) -> dict[str, float]:
        """Seconds by program, the workers' apart."""
        spent = cpu_s()
        return {name: spent[name] for name in ("anvil", "postgres")} | {
            name: cpu_of(pid)[1] for name, pid in self.workers.items()
        }


def relay(options: argparse.Namespace) -> Figures:
    """Medians of at least 3 runs of each; `spread` is the largest less the smallest."""
    repeat = max(3, options.repeat)
    with scratch() as folder, running_anvil() as node_url:
        runs = asyncio.run(_relayed(folder, node_url, repeat))
    with running_anvil() as node_url:
        single = asyncio.run(_one_by_one(node_url, repeat))
    rates = [run.credits_per_s for run in runs]
    names = runs[0].cpu_us
    return {
        "credits_per_s": round(statistics.median(rates)),
        "credits_per_s_spread": round(max(rates) - min(rates)),
        "one_by_one_per_s": round(statistics.median(single), 1),
        "one_by_one_per_s_spread": round(max(single) - min(single), 1),
        "ratio": round(statistics.median(rates) / statistics.median(single), 1),
        "runs": repeat,
        "credits": CREDITS,
        "batches": runs[-1].batches,
        "transactions": runs[-1].transactions,
        **{f"{name}_cpu_us": round(statistics.median(run.cpu_us[name] for run in runs), 1) for name in names},
    }


async def _relayed(folder: Path, node_url: str, repeat: int) -> list[Run]:
    draw = random.Random("mereau relay")  # noqa: S311 - a benchmark needs repeatable draws, not secrets
    async with _stage(folder, node_url) as stage:
        # Nobody's first credit is in the figures: it costs three times the gas, once in a member's life.
        await _run(stage, range(_MEMBERS))
        return [await _run(stage, [draw.randrange(_MEMBERS) for _ in range(CREDITS)]) for _ in range(repeat)]


async def _run(stage: Stage, places: Sequence[int]) -> Run:
    """Accept one credit for each member named by its place, and time what becomes of them from the commit on."""
    async with transaction(stage.engine) as session:
        last = await session.scalar(_LAST)
        for start in range(0, len(places), _POST_MAX):
            chunk = places[start : start + _POST_MAX]
            await ledger.credit(session, [_credit(stage, place) for place in chunk], _CLOCK.now())
    before, began = stage.cpu_s(), time.perf_counter()
    await _until_mined(stage.engine)
    took_s, after = time.perf_counter() - began, stage.cpu_s()
    async with snapshot(stage.engine) as session:
        mined, batches, transactions = (await session.execute(_MINED, {"after": last})).one()
    if mined != len(places):
        raise SystemExit(f"{mined} of {len(places)} credits were mined")
    cpu_us = {name: 1e6 * (after[name] - before[name]) / mined for name in before}
    return Run(mined / took_s, cpu_us, batches, transactions)


def _credit(stage: Stage, place: int) -> Credit:
    now = _CLOCK.now()
    return Credit(
        entry_id=new_id("ent", now),
        member_id=stage.member_ids[place],
        partner_id=stage.partners[place % len(stage.partners)].id,
        staff_id=None,
        tokens=1 + place % 1_000,
        source_id=new_id("sal", now),
        source_reference=f"receipt {place}",
        rule="standard:1",
        reason_code="sale",
        occurred_at=now,
        activates_at=now,
        expires_at=None,
    )


async def _until_mined(engine: AsyncEngine) -> None:
    deadline = time.monotonic() + _LIMIT_S
    while time.monotonic() < deadline:
        async with snapshot(engine) as session:
            if not await session.scalar(_OPEN):
                return
        await asyncio.sleep(_POLL_S)
    raise SystemExit(f"orders are still open after {_LIMIT_S} s")


@asynccontextmanager
async def _stage(folder: Path, node_url: str) -> AsyncIterator[Stage]:
    """An installation as `mereau init` makes it, with partners on chain, members, a relayer and a mirror."""
    with EmbeddedPostgres(folder / "postgres", folder / "postgres.log") as server:
        settings = Settings(
            data_dir=folder,
            database_url=server.url,
            chain_url=node_url,
            keystore_password_file=folder / "keystore.password",
        )
        draw_keys(settings)
        async with RpcClient(node_url) as rpc:
            for address in json.loads(Layout(folder).funded.read_text()):
                await rpc.call("anvil_setBalance", address, quantity(_FUNDS_WEI))
        await install(settings)
        engine = create_engine(server.url)
        try:
            with _worker("relayer", settings) as relayer, _worker("mirror", settings) as mirror:
                member_ids, shops = await _people(engine)
                await _until_mined(engine)
                yield Stage(engine, member_ids, shops, {"relayer": relayer, "mirror": mirror})
        finally:
            await engine.dispose()


async def _people(engine: AsyncEngine) -> tuple[list[str], list[Partner]]:
    now = _CLOCK.now()
    drafts = [MemberDraft(f"M{number}") for number in range(_MEMBERS)]
    async with transaction(engine) as session:
        member_ids = [member.id for member in await members.enrol(session, drafts, now)]
        shops = [await partners.create(session, PartnerDraft(f"P{n}", f"Shop {n}"), now) for n in range(_PARTNERS)]
        for shop in shops:
            await registry.register_partner(session, shop, now)
    return member_ids, shops


@contextmanager
def _worker(part: str, settings: Settings) -> Iterator[int]:
    """`mereau relayer` or `mereau mirror`, ready; its process id."""
    ready = settings.data_dir / f"{part}.ready"
    environment = {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "MEREAU_DATA_DIR": str(settings.data_dir),
        "MEREAU_DATABASE_URL": str(settings.database_url),
        "MEREAU_CHAIN_URL": str(settings.chain_url),
        "MEREAU_KEYSTORE_PASSWORD_FILE": str(settings.keystore_password_file),
    }
    command = [sys.executable, "-m", "mereau.worker", part, "--ready-file", str(ready)]
    with (settings.data_dir / f"{part}.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        while not ready.exists():
            if process.poll() is not None:
                raise SystemExit((settings.data_dir / f"{part}.log").read_text())
            time.sleep(_POLL_S)
        yield process.pid
    finally:
        process.terminate()
        process.wait(timeout=60)


async def _one_by_one(node_url: str, repeat: int) -> list[float]:
    """The first round credits new members and is not counted, as above."""
    async with RpcClient(node_url) as rpc:
        token = await deploy(rpc, Account.from_key(ANVIL_KEY), Account.from_key(b"\x07" * 32))
    return [_send_singly(node_url, token, 1 + number * _ONE_BY_ONE) for number in range(repeat + 1)][1:]


def _send_singly(node_url: str, token: Token, first: int) -> float:
    """Transactions a second, from the first one built until the last one is mined."""
    from web3 import Web3

    from mereau.chain.artifact import artifact

    w3 = Web3(Web3.HTTPProvider(node_url))
    contract = w3.eth.contract(address=Web3.to_checksum_address(token.address), abi=artifact()["abi"])
    orders = [_order(token, number) for number in range(first, first + _ONE_BY_ONE)]
    fields = {"chainId": token.chain_id, "gas": _GAS, "maxFeePerGas": 10**10, "maxPriorityFeePerGas": 10**9}
    began = time.perf_counter()
    nonce = w3.eth.get_transaction_count(token.admin.address)
    for place, order in enumerate(orders):
        built = contract.functions.issue(*order).build_transaction({**fields, "nonce": nonce + place})
        sent = w3.eth.send_raw_transaction(token.admin.sign_transaction(built).raw_transaction)
    w3.eth.wait_for_transaction_receipt(sent, poll_latency=_POLL_S)
    took_s = time.perf_counter() - began
    issued = contract.functions.partnerSequence(PARTNER).call()
    if issued != first + _ONE_BY_ONE - 1:
        raise SystemExit(f"{issued} single credits were mined")
    return _ONE_BY_ONE / took_s


def _order(token: Token, number: int) -> tuple[Any, ...]:
    """The arguments of one signed order of one credit."""
    call = decode_call(token.issue_call([(wallet(number % _ONE_BY_ONE), 5)], root(f"issue {number}"), number))
    return () if call is None else tuple(call[1].values())
