"""Commands that look and compare: audit, reconciliation, trail, status, and the schema."""

from collections.abc import Sequence
from pathlib import Path

from mereau.chain.status import ChainStatus, chain_status
from mereau.cli.output import emit, progress, say
from mereau.cli.queries import ChainWork, chain_work
from mereau.cli.session import Desk, desk_on, work
from mereau.cli.stack import settings_of
from mereau.cli.state import RunState, lock, running
from mereau.core.activity import active_parts
from mereau.core.db import snapshot
from mereau.core.errors import ConfigurationError
from mereau.core.layout import Layout
from mereau.core.migrate import migrate
from mereau.core.postgres import EmbeddedPostgres
from mereau.journal import service as journal
from mereau.ledger.reconciliation.service import Report, reconcile
from mereau.ledger.replay.service import find_differences
from mereau.ledger.trail.service import ExportReport, export_trail

Rows = Sequence[tuple[str, object]]


def run_audit(data_dir: Path | None, *, as_json: bool) -> bool:
    """Recompute journal and lots; false and one line per finding where something was changed."""

    async def audit(desk: Desk) -> tuple[list[str], bytes]:
        async with snapshot(desk.engine) as session:
            acts, head = await journal.verify(session), await journal.head(session)
        return acts + [str(found) async for found in find_differences(desk.engine)], head

    findings, head = work(data_dir, audit)
    emit("Journal", [("head", head.hex()), ("findings", len(findings))], as_json=as_json)
    for finding in findings:
        say(finding)
    return not findings


def run_export(folder: Path, data_dir: Path | None, *, as_json: bool) -> bool:
    """Write the public trail to `folder`, complete or not at all."""
    folder = folder.absolute()

    async def export(desk: Desk) -> tuple[ExportReport, str]:
        with progress(quiet=as_json) as report:
            done = await export_trail(desk.engine, folder, on_progress=lambda count: report("exported", count, None))
        return done, desk.stack.chain_url

    done, chain_url = work(data_dir, export)
    emit("Trail", export_rows(done), as_json=as_json)
    if not as_json:
        say(f"verify it with: mereau-verify {done.folder} --rpc {chain_url}")
    return True


def run_reconcile(data_dir: Path | None, *, as_json: bool) -> bool:
    """Compare chain, mirror and ledger at one block; false where they differ."""

    async def compare(desk: Desk) -> Report:
        return await reconcile(desk.engine, desk.rpc)

    report = work(data_dir, compare)
    emit("Reconciliation", comparison_rows(report), as_json=as_json)
    for difference in report.differences:
        say(str(difference))
    return report.drift_tokens == 0


def run_status(data_dir: Path | None, *, as_json: bool) -> bool:
    """Say what runs; never starts anything. False where nothing runs or the mirror is not current."""
    import asyncio

    settings = settings_of(data_dir)
    stack = running(Layout(settings.data_dir))
    if stack is None and settings.database_url and settings.chain_url:
        stack = RunState(0, settings.database_url, settings.chain_url, None)
    if stack is None:
        emit("Mereau", [("running", False), ("data directory", settings.data_dir)], as_json=as_json)
        return False

    async def look(stack: RunState) -> tuple[ChainStatus | None, ChainWork, dict[str, str | None]]:
        async with desk_on(settings, stack) as desk, snapshot(desk.engine) as session:
            return await chain_status(session, desk.rpc), await chain_work(session), await active_parts(session)

    status, open_work, active = asyncio.run(look(stack))
    places: list[tuple[str, object]] = [
        ("running", True),
        ("data directory", settings.data_dir),
        ("api", stack.api_url or "not here"),
        ("chain", stack.chain_url),
        ("database", _without_password(stack.database_url)),
        *((f"{part} active", process or "none") for part, process in active.items()),
    ]
    emit("Mereau", [*places, *_chain_rows(status), *_work_rows(open_work)], as_json=as_json)
    return status is not None and status.is_current


def run_migrate(data_dir: Path | None) -> bool:
    """Bring the database to the newest schema: the named server's, the running stack's, or the files'."""
    settings = settings_of(data_dir)
    layout = Layout(settings.data_dir)
    state = running(layout)
    url = settings.database_url or (state.database_url if state else None)
    if url is not None:
        migrate(url)
    elif layout.postgres.exists():
        lock(layout)
        with EmbeddedPostgres(layout.postgres, layout.log("postgres")) as server:
            migrate(server.url)
    else:
        raise ConfigurationError(
            f"{settings.data_dir} holds no database yet. Run `mereau up`, or set MEREAU_DATABASE_URL."
        )
    say("the schema is up to date")
    return True


def comparison_rows(report: Report) -> Rows:
    return [
        ("block number", report.block_number),
        ("block hash", "0x" + report.block_hash.hex()),
        ("supply chain", report.supply_chain),
        ("supply mirror", report.supply_mirror),
        ("accounts checked", report.accounts_checked),
        ("drift tokens", report.drift_tokens),
    ]


def export_rows(done: ExportReport) -> Rows:
    return [
        ("folder", done.folder),
        ("block number", done.head_number),
        ("batches", done.batches),
        ("operations", done.operations),
        ("balances", done.balances),
    ]


def _chain_rows(status: ChainStatus | None) -> Rows:
    if status is None:
        return [("contract", "not deployed")]
    return [
        ("chain id", status.chain_id),
        ("contract", "0x" + status.contract.hex()),
        ("mirror block", "none" if status.head_number is None else status.head_number),
        ("blocks behind", "unknown" if status.lag_blocks is None else status.lag_blocks),
        ("node answers", bool(status.node_answers)),
        ("mirror current", status.is_current),
        ("frozen", status.frozen_reason or False),
        ("alarms", "; ".join(f"{alarm.name}: {alarm.detail}" for alarm in status.alarms) or "none"),
    ]


def _work_rows(open_work: ChainWork) -> Rows:
    return [
        ("orders queued", open_work.queued),
        ("orders under way", open_work.under_way),
        ("orders mined", open_work.mined),
        ("orders stuck", open_work.stuck),
    ]


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    scheme, slashes, user = head.partition("://")
    return f"{scheme}{slashes}{user.partition(':')[0]}{at}{tail}"
