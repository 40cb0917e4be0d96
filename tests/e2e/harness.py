"""Runs the product as its users do: the command `mereau`, processes and signals, nothing from inside."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from mereau.core.postgres import EmbeddedPostgres

EXTRACT = Path(__file__).parents[2] / "backend/mereau/integrations/data/online_retail_france.csv.gz"
LIMIT_S = 120.0

# What must be the same however an import came about: nothing of it depends on keys or the clock.
_TOTALS = """
    select m.external_id, a.available, a.held, a.debt, count(e.id),
           coalesce(sum(e.tokens) filter (where e.kind = 'issue'), 0),
           coalesce(sum(e.tokens) filter (where e.kind = 'reverse'), 0)
    from members m join accounts a on a.member_id = m.id left join entries e on e.member_id = m.id
    group by m.external_id, a.available, a.held, a.debt order by m.external_id
"""
_COUNTS = """
    select (select count(*) from entries), (select count(*) from sales), (select count(*) from returns),
           (select sum(tokens) from chain_balances), (select supply from chain_mirror)
"""


def environment(**changes: str) -> dict[str, str]:
    """Only what the test says: settings of the machine must not leak in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEREAU_")}
    return {**kept, **changes}


def start(*arguments: str, words: Any = subprocess.DEVNULL, **changes: str) -> subprocess.Popen[str]:
    """A command in a process group of its own, as a shell would start it.

    What it says on standard error is nobody's by default: a pipe that is not read would fill and stop it.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "mereau.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=words,
        text=True,
        start_new_session=True,
        env=environment(**changes),
    )


def mereau(*arguments: str, expect: int = 0, **changes: str) -> str:
    """Run a command to its end; what it printed. Fails the test on another exit code."""
    with start(*arguments, words=subprocess.PIPE, **changes) as process:
        output, words = process.communicate(timeout=LIMIT_S)
    assert process.returncode == expect, f"{arguments} ended with {process.returncode}: {output}{words}"
    return output if expect == 0 else output + words


def mereau_json(*arguments: str, expect: int = 0, **changes: str) -> dict[str, Any]:
    """The last line of a command's output, which is its JSON object."""
    found: dict[str, Any] = json.loads(mereau(*arguments, "--json", expect=expect, **changes).splitlines()[0])
    return found


def ask(url: str, *, key: str | None = None) -> tuple[int, Any]:
    """GET a URL: status and JSON body; 0 where nobody answers."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read() or b"null")
    except OSError:
        return 0, None


def run_state(data_dir: Path) -> dict[str, Any] | None:
    try:
        state: dict[str, Any] = json.loads((data_dir / "run.json").read_text())
    except (FileNotFoundError, ValueError):
        return None
    return state


def wait_until(condition: Any, what: str, limit_s: float = LIMIT_S) -> Any:
    deadline = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come to be within {limit_s:.0f} s"
        time.sleep(0.05)
    return found


@contextmanager
def stack_on(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """`mereau up` on a directory: its process, and how to reach it."""
    process = start("up", "--data-dir", str(data_dir), "--port", "0", "--chain-port", "0")
    try:
        yield process, wait_for_stack(process, data_dir)
    finally:
        stop(process)


def wait_for_stack(process: subprocess.Popen[str], data_dir: Path) -> dict[str, Any]:
    def ready() -> dict[str, Any] | None:
        if process.poll() is not None:
            raise AssertionError(f"it ended with {process.returncode}; see {data_dir}/logs")
        state = run_state(data_dir)
        return state if state is not None and state["pid"] == process.pid else None

    found: dict[str, Any] = wait_until(ready, "the stack")
    return found


def stop(process: subprocess.Popen[str]) -> int:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    return process.returncode


def kill_group(process: subprocess.Popen[str]) -> None:
    """SIGKILL to every process of the group at once: nobody gets to say goodbye."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def members_of(data_dir: Path) -> set[int]:
    """Processes that hold the directory's lock: the whole family, wherever it went."""
    lock, found = str(data_dir / "lock"), set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(link.readlink()) == lock for link in (entry / "fd").iterdir()):
                found.add(int(entry.name))
        except OSError:
            continue
    return found


def totals(data_dir: Path) -> Mapping[str, Any]:
    """What the import came to, read from the tables while nothing else runs."""
    server = EmbeddedPostgres(data_dir / "postgres", data_dir / "logs" / "postgres.log")
    with server, psycopg.connect(server.url) as connection:
        counts = connection.execute(_COUNTS).fetchone()
        return {"members": connection.execute(_TOTALS).fetchall(), "counts": counts}
