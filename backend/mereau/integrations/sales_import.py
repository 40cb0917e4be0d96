"""Imports the sales and returns of a file: streaming, idempotent, resumable."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from psycopg.errors import DeadlockDetected
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.clock import Clock
from mereau.core.db import snapshot, transaction
from mereau.earning import service as earning
from mereau.integrations.errors import RefusedLineError
from mereau.integrations.lines import ImportLine, Kind
from mereau.integrations.mappings import mapping_named
from mereau.integrations.posting import Poster
from mereau.integrations.reading import RecordReader
from mereau.integrations.report import ImportProgress, ImportReport
from mereau.integrations.spool import Document, DocumentSpool
from mereau.partners import service as partners
from mereau.programs import service as programs

CHUNK_SIZE: Final = 500
"""Documents per transaction: large enough that statements do not count, small enough to lose little."""

_CHUNK_LINES_MAX: Final = 6_000
_LINES_PER_REPORT: Final = 5_000
_ATTEMPTS_MAX: Final = 5


def _unheard(_: ImportProgress) -> None:
    """For callers that do not watch."""


async def import_sales(
    engine: AsyncEngine,
    path: Path,
    *,
    mapping: str,
    partner_id: str,
    clock: Clock,
    on_progress: Callable[[ImportProgress], None] = _unheard,
    chunk_size: int = CHUNK_SIZE,
) -> ImportReport:
    """Import a CSV file (plain or gzip) as sales and returns of one partner; what was done comes back.

    The whole file is read, and put in order, before anything is written: a file that cannot be read raises
    UnreadableFileError and changes nothing. Then each chunk of documents is one transaction. Documents that
    are recorded already are left as they are, so a second run changes nothing, and a run after a kill ends
    in the state of an undisturbed one. Members are enrolled on first sight, by the partner.
    UnknownMappingError, NoActiveRuleError, ConfigurationError and NotFoundError (partner) come first of all.
    """
    record_mapping = mapping_named(mapping)
    async with snapshot(engine) as session:
        program = await programs.current(session)
        await partners.get(session, partner_id)
        await earning.sale_rules(session)
    report = ImportReport()
    with DocumentSpool() as spool:
        await _read(RecordReader(path, record_mapping), spool, report, on_progress)
        done = lines = 0
        for chunk in spool.chunks(chunk_size, _CHUNK_LINES_MAX):
            poster = Poster(partner_id, program.currency, spool.position)
            report.add(await _post(engine, poster, chunk, clock))
            done += len(chunk)
            lines += sum(len(document.lines) for document in chunk)
            on_progress(ImportProgress("posting", done, len(spool), lines))
    return report


async def _post(engine: AsyncEngine, poster: Poster, chunk: Sequence[Document], clock: Clock) -> ImportReport:
    """Post a chunk in a transaction of its own, again where PostgreSQL chose it to end a deadlock."""
    attempt = 1
    while True:
        try:
            async with transaction(engine) as session:
                return await poster.post(session, chunk, clock.now())
        except DBAPIError as error:
            if attempt == _ATTEMPTS_MAX or not isinstance(error.orig, DeadlockDetected):
                raise
            attempt += 1


async def _read(
    reader: RecordReader,
    spool: DocumentSpool,
    report: ImportReport,
    on_progress: Callable[[ImportProgress], None],
) -> None:
    members: set[str] = set()
    for number, line in reader:
        report.lines_read += 1
        if isinstance(line, RefusedLineError):
            report.refuse_line(number, line.detail)
        else:
            _count(report, line)
            members.add(line.member)
            if line.kind is not Kind.ADJUSTMENT:
                spool.add(number, line)
        if report.lines_read % _LINES_PER_REPORT == 0:
            on_progress(ImportProgress("reading", reader.bytes_done, reader.bytes_total, report.lines_read))
            await asyncio.sleep(0)  # Whatever shares the event loop gets its turn.
    report.members = len(members - {""})
    spool.seal()


def _count(report: ImportReport, line: ImportLine) -> None:
    if not line.member:
        report.lines_without_customer += 1
    if line.unit_price_micro <= 0:
        report.lines_unpriced += 1
    if line.kind is Kind.ADJUSTMENT:
        report.lines_adjustment += 1
