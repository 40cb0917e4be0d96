"""The command `mereau-verify`: a trail folder and any node of the chain, nothing of the operator's."""

import argparse
import io
import json
import locale
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from mereau_verify.report import as_text, plain
from mereau_verify.rpc import Node, NodeError
from mereau_verify.trail import TrailError
from mereau_verify.verification import verify

EXIT_OK: Final = 0
EXIT_FINDINGS: Final = 1
EXIT_USAGE: Final = 2

PHASES: Final = {
    "chain": ("Lecture de la chaîne", "Reading the chain"),
    "trail": ("Contrôle de la piste", "Checking the trail"),
    "proofs": ("Preuves d'état", "State proofs"),
}


def _language() -> str:
    tongue = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "fr" if tongue.lower().startswith("fr") or (locale.getlocale()[0] or "").startswith("fr") else "en"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mereau-verify",
        description="Verifies an exported trail against the chain, sharing no code with the server. "
        "Vérifie une piste exportée contre la chaîne, sans rien partager avec le serveur.",
        epilog="Exit codes: 0 all holds, 1 at least one finding, 2 the verification could not be made.",
    )
    parser.add_argument("trail", type=Path, help="folder that `mereau trail export` wrote")
    parser.add_argument("--rpc", required=True, metavar="URL", help="JSON-RPC url of any node of the chain")
    parser.add_argument("--lang", choices=("fr", "en"), default=None, help="language of the report")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    return parser


class _Bars:
    """Progress bars on a terminal, nothing elsewhere."""

    def __init__(self, language: str, *, quiet: bool) -> None:
        console = Console(stderr=True)
        self._column = 0 if language == "fr" else 1
        self._tasks: dict[str, TaskID] = {}
        self.progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            console=console, disable=quiet or not console.is_terminal,
        )  # fmt: skip

    def __call__(self, phase: str, done: int, total: int) -> None:
        task = self._tasks.get(phase)
        if task is None:
            task = self._tasks[phase] = self.progress.add_task(PHASES[phase][self._column], total=total)
        self.progress.update(task, completed=done, total=total)


def run(arguments: Sequence[str] | None = None) -> int:
    """Verify and print; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a verdict is told in any encoding
    options = _parser().parse_args(arguments)
    language = options.lang or _language()
    bars = _Bars(language, quiet=options.json)
    node = Node(options.rpc)
    try:
        with bars.progress:
            report = verify(options.trail, node, bars)
    except (TrailError, NodeError) as error:
        print(
            json.dumps({"ok": False, "error": str(error)}) if options.json else f"mereau-verify: {plain(error)}",
            file=sys.stderr,
        )
        return EXIT_USAGE
    finally:
        node.close()
    print(json.dumps(report.to_dict()) if options.json else as_text(report, language))
    return EXIT_OK if report.ok else EXIT_FINDINGS


def main() -> None:
    """Entry point of the console command."""
    sys.exit(run())
