"""`mereau import sales`: post, wait for the chain, compare everything, and only then say that it is done."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mereau.cli.output import Reporter, emit_json, emit_table, progress, say
from mereau.cli.queries import ChainWork, chain_work
from mereau.cli.session import Desk, work
from mereau.core.db import snapshot, transaction
from mereau.core.errors import NotFoundError, UnavailableError
from mereau.integrations.report import ImportProgress, ImportReport
from mereau.integrations.sales_import import import_sales
from mereau.ledger.reconciliation.service import Report, reconcile
from mereau.ledger.registry import service as registry
from mereau.partners import service as partners
from mereau.partners.models import Partner
from mereau.partners.service import PartnerDraft

_POLL_S: Final = 0.25
_STANDSTILL_S: Final = 120.0
_SHOWN_MAX: Final = 5
_SHOP: Final = PartnerDraft("online-shop", "Boutique en ligne")

_PHASES: Final = {"reading": "read", "posting": "posted"}


@dataclass(frozen=True, slots=True)
class Imported:
    """An import that reached the chain: what the file held, and what the comparison found."""

    report: ImportReport
    comparison: Report
    duration_s: float

    @property
    def ok(self) -> bool:
        return self.comparison.drift_tokens == 0


def run_import(file: Path, *, mapping: str, partner: str | None, data_dir: Path | None, as_json: bool) -> bool:
    """Import `file` for the partner; true where chain, mirror and ledger agree afterwards."""

    async def run(desk: Desk) -> Imported:
        seller = await _seller(desk, partner)
        with progress(quiet=as_json) as report:
            return await import_file(desk, file, mapping=mapping, partner_id=seller.id, report=report)

    done = work(data_dir, run)
    if as_json:
        emit_json({**done.report.to_dict(), **_comparison(done)})
    else:
        _show(file, done)
    return done.ok


async def import_file(desk: Desk, file: Path, *, mapping: str, partner_id: str, report: Reporter) -> Imported:
    """Post the file while the chain follows, wait for the last entry, compare every balance.

    Raises what the importer raises; UnavailableError where the chain stops making progress.
    """
    began = time.monotonic()

    def posted(now: ImportProgress) -> None:
        report(_PHASES[now.phase], now.done, now.total)

    async with _watched(desk, report):
        imported = await import_sales(
            desk.engine, file, mapping=mapping, partner_id=partner_id, clock=desk.clock, on_progress=posted
        )
    await drain(desk, report)
    report("reconciled", 0, 1)
    comparison = await reconcile(desk.engine, desk.rpc)
    report("reconciled", 1, 1)
    return Imported(imported, comparison, time.monotonic() - began)


async def drain(desk: Desk, report: Reporter) -> ChainWork:
    """Wait until no order is open: all is mined and the mirror has seen it. UnavailableError at a standstill."""
    last_change, before = time.monotonic(), None
    while True:
        now = await _work(desk)
        report("mined", now.mined, now.total)
        if now.open == 0 and now.stuck == 0:
            return now
        if now != before:
            last_change, before = time.monotonic(), now
        elif time.monotonic() - last_change > _STANDSTILL_S:
            raise UnavailableError(
                f"The chain makes no progress: {now.open:,} orders are open, {now.stuck:,} stuck. "
                "See `mereau status`, and worker.log and chain.log in the logs of the data directory; "
                "running the import again goes on from here."
            )
        await asyncio.sleep(_POLL_S)


@asynccontextmanager
async def _watched(desk: Desk, report: Reporter) -> AsyncIterator[None]:
    """Report the chain's progress while something else is going on."""

    async def watch() -> None:
        while True:
            now = await _work(desk)
            report("mined", now.mined, None)
            await asyncio.sleep(2 * _POLL_S)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _work(desk: Desk) -> ChainWork:
    async with snapshot(desk.engine) as session:
        return await chain_work(session)


async def _seller(desk: Desk, external_id: str | None) -> Partner:
    """The partner named; else the only one there is; else, on a fresh installation, a first one."""
    async with transaction(desk.engine) as session:
        known = await partners.list_partners(session)
        if external_id is not None:
            for partner in known:
                if partner.external_id == external_id:
                    return partner
            names = ", ".join(partner.external_id for partner in known) or "none yet"
            raise NotFoundError(f"There is no partner {external_id}. Known: {names}.")
        if len(known) > 1:
            names = ", ".join(partner.external_id for partner in known)
            raise NotFoundError(f"Name the partner that sold with --partner. Known: {names}.")
        if known:
            return known[0]
        now = desk.clock.now()
        partner = await partners.create(session, _SHOP, now)
        await registry.register_partner(session, partner, now)
        return partner


def _comparison(done: Imported) -> dict[str, object]:
    return {
        "supply_tokens": done.comparison.supply_chain,
        "accounts_checked": done.comparison.accounts_checked,
        "drift_tokens": done.comparison.drift_tokens,
        "block_number": done.comparison.block_number,
        "duration_s": round(done.duration_s, 2),
    }


def _show(file: Path, done: Imported) -> None:
    figures = done.report.to_dict()
    counts = {name: value for name, value in figures.items() if isinstance(value, int)}
    rows = [(name.replace("_", " "), value) for name, value in {**counts, **_comparison(done)}.items()]
    emit_table(f"Import of {file.name}", rows)
    for refused in done.report.refused[:_SHOWN_MAX]:
        say(f"line {refused.line_number} refused: {refused.reason}")
    if len(done.report.refused) > _SHOWN_MAX:
        say(f"... and {len(done.report.refused) - _SHOWN_MAX:,} more; --json lists them")
