"""Measures the running stack through its public doors: the command line and /readyz."""

import argparse
import csv
import gzip
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench_memory import Peak, Usage, of_family, total_mib

ROOT: Final = Path(__file__).resolve().parents[2]
FULL_SET: Final = ROOT.parent / "shared" / "data" / "online_retail_2010_2011.csv.gz"
EXTRACT: Final = ROOT / "backend" / "mereau" / "integrations" / "data" / "online_retail_france.csv.gz"
_LIMIT_S: Final = 900
_POLL_S: Final = 0.02


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="mereau-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def command(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A `mereau` command in a process group of its own, which ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mereau.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        cwd=ROOT,
        env=os.environ | environment,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def startup(options: argparse.Namespace) -> dict[str, float | int]:
    """Medians over `--repeat` runs; spread is the largest less the smallest."""
    first, again = [], []
    for _ in range(options.repeat):
        with scratch() as folder:
            first.append(_until_ready(folder))
            again.append(_until_ready(folder))
    return {
        "first_s": round(statistics.median(first), 2),
        "again_s": round(statistics.median(again), 2),
        "first_spread_s": round(max(first) - min(first), 2),
        "again_spread_s": round(max(again) - min(again), 2),
        "runs": options.repeat,
        "imports_s": round(_bare_imports_s(), 2),
    }


def memory(options: argparse.Namespace) -> dict[str, float | int]:
    """The stack after the demo, as it stands serving."""
    with scratch() as folder:
        port = free_port()
        with command("demo", "--data-dir", str(folder / "demo"), "--port", str(port)) as process:
            _await_demo(process, port)
            time.sleep(2)
            return _memory_figures(of_family(process.pid))


def import_sales(options: argparse.Namespace) -> dict[str, float | int | str]:
    """The file twice into one data directory: the first run posts everything, the second changes nothing."""
    file = options.file or (FULL_SET if FULL_SET.exists() else EXTRACT)
    with scratch() as folder:
        first_s, first, peak = _import_once(folder, file)
        again_s, again, _ = _import_once(folder, file)
    if (first["drift_tokens"], again["drift_tokens"], again["sales_recorded"]) != (0, 0, 0):
        raise SystemExit(f"the import is not sound: {first} then {again}")
    return {
        "file": file.name,
        "first_s": round(first_s, 1),
        "again_s": round(again_s, 1),
        **_memory_figures(peak.largest),
        "lines": int(first["lines_read"]),
        "supply_tokens": int(first["supply_tokens"]),
        "drift_tokens": int(first["drift_tokens"]),
        "reading_s": round(_reading_s(file), 2),
    }


def _until_ready(folder: Path) -> float:
    port = free_port()
    began = time.monotonic()
    with command("up", "--data-dir", str(folder), "--port", str(port), "--chain-port", "0") as process:
        until_ready(process, port, folder)
        return time.monotonic() - began


def until_ready(process: subprocess.Popen[str], port: int, folder: Path, page: str = "/readyz") -> None:
    """Wait until the API that was just started says that it is ready; /healthz: that it is there, without a chain."""
    began = time.monotonic()
    while not _is_ready(port, page):
        if process.poll() is not None or time.monotonic() - began > _LIMIT_S:
            raise SystemExit(f"the API did not come up; see {folder}/logs")
        time.sleep(_POLL_S)


def _await_demo(process: subprocess.Popen[str], port: int) -> None:
    """The demo prints its summary when the story is told, and goes on serving."""
    assert process.stdout is not None  # noqa: S101 - asked for when it was started
    for line in process.stdout:
        if f":{port}" in line:
            return
    raise SystemExit(f"the demo ended with code {process.wait()}")


def _import_once(folder: Path, file: Path) -> tuple[float, dict[str, Any], Peak]:
    began = time.monotonic()
    arguments = ("import", "sales", str(file), "--mapping", "online-retail", "--data-dir", str(folder), "--json")
    with command(*arguments) as process, Peak(process.pid) as peak:
        output, _ = process.communicate(timeout=_LIMIT_S)
        took_s = time.monotonic() - began
    if process.returncode:
        raise SystemExit(f"the import ended with code {process.returncode}: {output}; see {folder}/logs")
    return took_s, json.loads(output), peak


def _memory_figures(usages: list[Usage]) -> dict[str, float | int]:
    figures: dict[str, float | int] = {
        "rss_mib": round(total_mib(usages)),
        "rss_sum_mib": round(sum(item.rss_mib for item in usages)),
    }
    for item in usages:
        name = f"{item.name}_mib"
        figures[name] = round(figures.get(name, 0) + (item.rss_mib if item.pss_mib is None else item.pss_mib))
    return figures


def _is_ready(port: int, page: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=2) as answer:
            return bool(answer.status == 200)  # noqa: PLR2004
    except (OSError, urllib.error.URLError):
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _bare_imports_s() -> float:
    """The yardstick of start-up: what importing its two heaviest libraries costs one process."""
    began = time.monotonic()
    program = "import fastapi, sqlalchemy.ext.asyncio, psycopg"
    subprocess.run([sys.executable, "-c", program], check=True, env=dict(os.environ))
    return time.monotonic() - began


def _reading_s(file: Path) -> float:
    """The yardstick of the import: reading and splitting the same file, and nothing else."""
    began = time.monotonic()
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", newline="") as text:
        for _ in csv.reader(text):
            pass
    return time.monotonic() - began
