"""The command line itself: words, exit codes, and answers at once."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mereau.cli.checks import _without_password

COMMANDS = {
    "up", "demo", "init", "import", "audit", "trail", "reconcile", "status", "keys", "migrate", "api", "relayer",
    "mirror", "jobs", "chain",
}  # fmt: skip


def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEREAU_")}
    return subprocess.run(
        [sys.executable, "-m", "mereau.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**kept, "COLUMNS": "120", "NO_COLOR": "1", **changes},
    )


def test_help_names_every_command_and_the_exit_codes() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert set(re.findall(r"^│ ([a-z]+) ", done.stdout, re.MULTILINE)) == COMMANDS
    assert "Exit codes" in done.stdout


def test_help_comes_at_once() -> None:
    """Nothing heavy is loaded for it; the limit is wide because other tests run beside it."""
    began = time.process_time()
    program = (
        "import sys; sys.argv = ['mereau', '--help']; from mereau.cli import main\n"
        "try: main()\nexcept SystemExit: print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert not {"sqlalchemy", "pydantic", "psycopg", "fastapi", "httpx"} & set(loaded.split())
    assert time.process_time() - began < 1


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert "Usage: mereau" in done.stdout.replace("python -m mereau.cli", "mereau")


@pytest.mark.parametrize(
    "arguments",
    [("dance",), ("import", "sales", "missing.csv", "--mapping", "x"), ("import", "sales"), ("up", "--port", "x")],
)
def test_wrong_usage_is_code_2(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "Usage: " in done.stderr


def test_a_refusal_is_one_line_and_an_object(tmp_path: Path) -> None:
    """Not a traceback, and the way out in the same line."""
    (tmp_path / "postgres").write_text("not a directory")
    done = run("reconcile", "--data-dir", str(tmp_path), "--json")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ")
    assert json.loads(done.stdout)["error"] == done.stderr.removeprefix("error: ").strip()


def test_a_wrong_setting_is_said_in_one_line() -> None:
    done = run("status", MEREAU_PORT="eleven")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "port" in done.stderr
    assert "DEBUG" in done.stderr


def test_the_trace_is_there_for_who_asks(tmp_path: Path) -> None:
    done = run("status", MEREAU_PORT="eleven", MEREAU_LOG_LEVEL="DEBUG")
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://mereau:secret@db/x", "postgresql://mereau@db/x"),
        ("postgresql://mereau@/postgres?host=/tmp/x", "postgresql://mereau@/postgres?host=/tmp/x"),
        ("postgresql://db/x", "postgresql://db/x"),
        ("postgresql://m:a@b:c@db/x", "postgresql://m@db/x"),
    ],
)
def test_a_shown_url_has_no_password(url: str, shown: str) -> None:
    assert _without_password(url) == shown
