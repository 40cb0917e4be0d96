"""How often the API reads balances over 32 keep-alive connections, beside a bare route with the same SELECT.

The whole embedded stack runs; nothing is written meanwhile. One API process answers, as one does the bare route.
"""

import argparse
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench_accept import spread
from bench_load import Load, request_text
from bench_stack import ROOT, free_port
from bench_world import CONNECTIONS, World, open_world

_BARE: Final = Path(__file__).with_name("bench_bare.py")
_PER_S: Final = 5_000
_START_S: Final = 30


def read(options: argparse.Namespace) -> dict[str, float | int]:
    """Medians over `--repeat` runs of `--seconds`, the two in turn; spread is the largest less the smallest."""
    with open_world() as world, _bare(world) as port:
        runs: list[tuple[Load, Load]] = [
            (_read(world, world.ports[:1], options.seconds), _read(world, [port], options.seconds))
            for _ in range(options.repeat)
        ]
    return {
        "connections": CONNECTIONS,
        "runs": options.repeat,
        **spread("rps", [ours.rate for ours, _ in runs]),
        **spread("p99_ms", [ours.p99_ms for ours, _ in runs]),
        **spread("bare_rps", [bare.rate for _, bare in runs]),
        **spread("bare_p99_ms", [bare.p99_ms for _, bare in runs]),
        **spread("of_bare_percent", [100 * ours.rate / bare.rate for ours, bare in runs]),
    }


def _read(world: World, ports: Sequence[int], seconds: float) -> Load:
    members = [member_id for (member_id,) in world.rows("select id from members")]
    requests = [
        request_text("GET", f"/members/{world.draw.choice(members)}/balance", world.draw.choice(world.readers))
        for _ in range(int(_PER_S * seconds))
    ]
    return world.send(requests, connections=CONNECTIONS, seconds=seconds, status="200", ports=ports)


@contextmanager
def _bare(world: World) -> Iterator[int]:
    """The bare route as a process of its own; its port."""
    port = free_port()
    process = subprocess.Popen([sys.executable, str(_BARE), world.database_url, str(port)], cwd=ROOT)
    try:
        deadline = time.monotonic() + _START_S
        while process.poll() is None and time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()
