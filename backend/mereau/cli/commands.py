"""The words of the command line. Each body imports what it needs, so that `mereau --help` answers at once."""

import os
import sys
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from mereau.cli.output import emit_json, say

FAILED: Final = 1
MISUSED: Final = 2
INTERRUPTED: Final = 130

_EXIT_CODES: Final = (
    "Exit codes: 0 done and every check held; 1 a check failed or a part did not answer; 2 wrong usage or settings."
)

app = typer.Typer(
    help=f"Mereau: a loyalty ledger whose balances anyone can verify. {_EXIT_CODES}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
import_app = typer.Typer(help="Bring in what happened elsewhere.", no_args_is_help=True)
audit_app = typer.Typer(help="Check what was written down.", no_args_is_help=True)
trail_app = typer.Typer(help="Publish what auditors need.", no_args_is_help=True)
keys_app = typer.Typer(help="API keys: made, listed, revoked. A key is shown once.", no_args_is_help=True)
chain_app = typer.Typer(help="Run the embedded chain alone, or let a frozen mirror go on.", invoke_without_command=True)
app.add_typer(import_app, name="import")
app.add_typer(audit_app, name="audit")
app.add_typer(trail_app, name="trail")
app.add_typer(keys_app, name="keys")
app.add_typer(chain_app, name="chain")

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where the stack keeps its data (MEREAU_DATA_DIR; var/mereau)."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
Port = Annotated[int | None, typer.Option(help="Port of the API; 0 takes a free one (MEREAU_PORT; 8000).")]
ChainPort = Annotated[int, typer.Option(help="Port of the embedded chain; 0, or one in use: a free one.")]


@app.command()
def up(
    data_dir: DataDir = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on (MEREAU_HOST; 127.0.0.1).")] = None,
    port: Port = None,
    chain_port: ChainPort = 8545,
) -> None:
    """Run everything on this machine until Ctrl-C: PostgreSQL, chain, API, relayer, mirror and jobs."""
    from mereau.cli.stack import become_supervisor, plan_of, settings_of

    wanted = {"host": host, "port": port}
    settings = settings_of(data_dir).model_copy(update={k: v for k, v in wanted.items() if v is not None})
    become_supervisor(plan_of(settings, with_api=True, chain_port=chain_port))


@app.command()
def demo(
    data_dir: Annotated[Path, typer.Option(help="A directory of its own, made afresh.")] = Path("var/demo"),
    port: Port = None,
    chain_port: ChainPort = 8545,
    serve: Annotated[bool, typer.Option(help="Go on serving when the story is told.")] = True,
    as_json: AsJson = False,
) -> None:
    """Tell the whole story on fresh data: sales become tokens, are redeemed, exported and verified."""
    from mereau.cli.demo import run_demo

    run_demo(data_dir, port=port, chain_port=chain_port, serve=serve, as_json=as_json)


@import_app.command("sales")
def import_sales(
    file: Annotated[Path, typer.Argument(help="CSV, or CSV packed by gzip.", exists=True, dir_okay=False)],
    mapping: Annotated[str, typer.Option(help="How the file's columns are read, e.g. online-retail.")],
    partner: Annotated[str | None, typer.Option(help="External id of the partner that sold.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Post a file of sales and returns, and wait until every entry is mined, mirrored and reconciled.

    Running it again changes nothing; a run that was killed is taken up by the next one.
    """
    from mereau.cli.importing import run_import

    _exit(run_import(file, mapping=mapping, partner=partner, data_dir=data_dir, as_json=as_json))


@audit_app.command("verify")
def audit_verify(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Recompute the journal's chain: who did what, unchanged since it was written down."""
    from mereau.cli.checks import run_audit

    _exit(run_audit(data_dir, as_json=as_json))


@trail_app.command("export")
def trail_export(
    folder: Annotated[Path, typer.Argument(help="A new or empty directory.", file_okay=False)],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write the public trail; `mereau-verify` needs only that and a node."""
    from mereau.cli.checks import run_export

    _exit(run_export(folder, data_dir, as_json=as_json))


@app.command()
def reconcile(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Compare chain, mirror and ledger at one block, every balance; exit code 1 on any drift."""
    from mereau.cli.checks import run_reconcile

    _exit(run_reconcile(data_dir, as_json=as_json))


@app.command()
def status(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Say what runs, where, and how far the mirror is."""
    from mereau.cli.checks import run_status

    _exit(run_status(data_dir, as_json=as_json))


@app.command()
def migrate(data_dir: DataDir = None) -> None:
    """Bring the database to the newest schema (`up` does it by itself)."""
    from mereau.cli.checks import run_migrate

    _exit(run_migrate(data_dir))


@keys_app.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    role: Annotated[str, typer.Option(help="operator, partner, member or auditor.")] = "operator",
    partner: Annotated[str | None, typer.Option(help="External id, for role partner.")] = None,
    member: Annotated[str | None, typer.Option(help="External id, for role member.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key and print it, once."""
    from mereau.cli.keys import run_create

    _exit(run_create(name, role=role, partner=partner, member=member, data_dir=data_dir, as_json=as_json))


@keys_app.command("list")
def keys_list(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List keys by hint, role and state; never the keys."""
    from mereau.cli.keys import run_list

    _exit(run_list(data_dir, as_json=as_json))


@keys_app.command("revoke")
def keys_revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `keys list` shows it.")],
    data_dir: DataDir = None,
) -> None:
    """Revoke a key; it stops working within 5 seconds everywhere."""
    from mereau.cli.keys import run_revoke

    _exit(run_revoke(key_id, data_dir))


@app.command()
def init(data_dir: DataDir = None) -> None:
    """Make an installation on the servers that the settings name (`up` does it by itself).

    Draws the keystore, brings the schema up, creates the programme, puts the contract on the chain and writes
    the first operator key. Run it again after paying the gas that it asks for.
    """
    _become("mereau.worker.prepare", "keys", "install", data_dir=data_dir)


@app.command()
def api(data_dir: DataDir = None) -> None:
    """Run the API alone, against MEREAU_DATABASE_URL and MEREAU_CHAIN_URL."""
    _become("mereau.cli.serve_api", data_dir=data_dir)


@app.command()
def relayer(data_dir: DataDir = None) -> None:
    """Run the relayer alone; of several, one works and the others stand by."""
    _become("mereau.worker", "relayer", data_dir=data_dir)


@app.command()
def mirror(data_dir: DataDir = None) -> None:
    """Run the mirror alone; of several, one works and the others stand by."""
    _become("mereau.worker", "mirror", data_dir=data_dir)


@app.command()
def jobs(data_dir: DataDir = None) -> None:
    """Run the periodic jobs alone; of several, one works and the others stand by."""
    _become("mereau.worker", "jobs", data_dir=data_dir)


@chain_app.callback()
def chain(
    context: typer.Context,
    data_dir: DataDir = None,
    port: Annotated[int, typer.Option(help="Port of the node.")] = 8545,
) -> None:
    """Run the embedded chain alone; with a command, do that instead."""
    if context.invoked_subcommand is not None:
        return
    from mereau.cli.stack import EMBEDDED_CHAIN_ID, settings_of
    from mereau.core.errors import ConfigurationError
    from mereau.core.layout import Layout

    settings = settings_of(data_dir)
    if not Layout(settings.data_dir).funded.exists():
        raise ConfigurationError(f"{settings.data_dir} holds no installation yet. Run `mereau up` once.")
    chain_id = str(settings.chain_id or EMBEDDED_CHAIN_ID)
    _become("mereau.cli.serve_chain", str(settings.data_dir), str(port), chain_id, data_dir=data_dir)


@chain_app.command("unfreeze")
def chain_unfreeze(
    rewind_to: Annotated[
        int | None,
        typer.Option(min=0, help="Newest block that still counts as final; empty: the stored chain stands."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Let a frozen mirror, and redemptions, go on; only after you know which chain is right."""
    from mereau.cli.unfreezing import run_unfreeze

    _exit(run_unfreeze(data_dir, rewind_to=rewind_to, confirm=lambda question: yes or typer.confirm(question)))


def run() -> None:
    """Run the command line; refusals become one line and an exit code."""
    from mereau.core.errors import ConfigurationError, MereauError

    try:
        app()
    except MereauError as error:
        _refuse(error.detail, MISUSED if isinstance(error, ConfigurationError) else FAILED)
    except KeyboardInterrupt:
        _refuse("interrupted", INTERRUPTED)
    except Exception as error:
        if os.environ.get("MEREAU_LOG_LEVEL", "").upper() == "DEBUG":
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        _refuse(f"{reason} (MEREAU_LOG_LEVEL=DEBUG shows where)", FAILED)


def _refuse(reason: str, code: int) -> NoReturn:
    if "--json" in sys.argv:
        emit_json({"error": reason})
    say(f"error: {reason}")
    sys.exit(code)


def _exit(ok: bool) -> None:
    if not ok:
        raise typer.Exit(FAILED)


def _become(module: str, *arguments: str, data_dir: Path | None) -> NoReturn:
    """Run a part in this process's place: what stops the command stops the part."""
    if data_dir is not None:
        os.environ["MEREAU_DATA_DIR"] = str(data_dir.absolute())
    command = [sys.executable, "-m", module, *arguments]
    os.execv(command[0], command)  # noqa: S606 - our own interpreter and modules
