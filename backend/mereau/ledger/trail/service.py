"""Writes the public trail at one instant of the database: the mirror's head, and all that led to it."""

import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TextIO

from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.chain import queries_trail as chain
from mereau.chain.queries_trail import ExecutedBatch, TrailHead
from mereau.core.db import ReadSession, snapshot
from mereau.core.errors import ConflictError
from mereau.ledger.trail import domain, repository

LINES: Final = "trail.jsonl"
MANIFEST: Final = "manifest.json"


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written, and at which block."""

    folder: Path
    head_number: int
    batches: int
    operations: int
    balances: int


@dataclass(slots=True)
class _LineWriter:
    """Writes canonical lines and keeps their digest and counts as it goes."""

    stream: TextIO
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    counts: dict[str, int] = field(default_factory=lambda: {"batches": 0, "operations": 0, "balances": 0})

    def write(self, counter: str, line: dict[str, object]) -> None:
        text = domain.canonical(line) + "\n"
        self.stream.write(text)
        self.digest.update(text.encode())
        self.counts[counter] += 1


async def export_trail(engine: AsyncEngine, folder: Path, *, on_progress: Callable[[int], None]) -> ExportReport:
    """Write `trail.jsonl` and `manifest.json` into `folder`, which must be new or hold an earlier trail.

    The folder appears complete or not at all. `on_progress` gets the number of operations written so far.
    Raises ConflictError where the folder holds something else.
    """
    _require_trail_or_nothing(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".trail-", dir=folder.parent) as name:
        draft = Path(name) / "trail"
        draft.mkdir()
        async with snapshot(engine) as session:
            head = await chain.trail_head(session)
            with (draft / LINES).open("w", encoding="ascii", newline="\n") as stream:
                writer = _LineWriter(stream)
                await _write_lines(session, writer, on_progress)
            totals = await chain.executed_totals(session)
        content = domain.manifest(head, totals=totals, counts=writer.counts, lines_sha256=writer.digest.hexdigest())
        (draft / MANIFEST).write_text(domain.canonical(content) + "\n", encoding="ascii")
        _replace(folder, draft)
    return _report(folder, head, writer)


def _require_trail_or_nothing(folder: Path) -> None:
    if folder.exists() and any(item.name not in {LINES, MANIFEST} for item in folder.iterdir()):
        raise ConflictError(f"{folder} holds other files; name a new folder for the trail.")


def _replace(folder: Path, draft: Path) -> None:
    if folder.exists():
        for name in (MANIFEST, LINES):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
    draft.rename(folder)


def _report(folder: Path, head: TrailHead, writer: _LineWriter) -> ExportReport:
    counts = writer.counts
    return ExportReport(folder, head.number, counts["batches"], counts["operations"], counts["balances"])


async def _all_batches(session: ReadSession) -> AsyncIterator[list[ExecutedBatch]]:
    async for page in chain.executed_batches(session):
        yield page
    yield await chain.executed_redemptions(session)


async def _write_lines(session: ReadSession, writer: _LineWriter, on_progress: Callable[[int], None]) -> None:
    async for page in _all_batches(session):
        ids = [order.id for batch in page for order in batch.orders]
        records = await repository.disclosed_records(session, ids)
        for batch in page:
            writer.write("batches", domain.batch_line(batch))
            for order in batch.orders:
                writer.write("operations", domain.operation_line(order, records.get(order.id, domain.ERASED)))
        on_progress(writer.counts["operations"])
    mirrored = await chain.mirrored_balances(session)
    open_tokens = await chain.open_tokens(session)
    for line in domain.merge_wallets(await repository.wallet_figures(session), mirrored, open_tokens):
        writer.write("balances", line)
