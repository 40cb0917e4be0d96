"""`scripts/simulate`: plays seeds side by side, tells of each violation with its history, and sums up.

Exit code 1 where a seed failed. Failing seeds are printed as lines for `tests/simulation/seeds.py`.
"""

import argparse
import asyncio
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvloop

from fixtures.chain import running_anvil
from fixtures.db import TEMPLATE, build_template, url_of
from mereau.core.postgres import EmbeddedPostgres
from simulation.arena import ANVIL_OPTIONS, opened_arena
from simulation.simulate import Outcome, run_seed

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

_PROGRESS_EVERY: Final = 100
_SEEDS_PER_ARENA: Final = 250


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first seed (default: 0)")
    parser.add_argument("--jobs", type=int, default=2, help="how many side by side (default: 2)")
    parser.add_argument("--verbose", action="store_true", help="print every seed's history")
    return parser.parse_args(arguments)


@contextmanager
def _database() -> Iterator[str]:
    """URL of a migrated database on a server of this process's own."""
    folder = Path(tempfile.mkdtemp(prefix="mereau-simulate-"))
    # The server runs as another user where this one is root.
    folder.chmod(0o755)
    try:
        with EmbeddedPostgres(folder / "postgres", folder / "postgres.log") as server:
            build_template(server.url)
            yield url_of(server.url, TEMPLATE)
    finally:
        shutil.rmtree(folder)


async def _play(seeds: list[int], outcomes: "Queue[Outcome]") -> None:
    # The node keeps every state that it ever had: a new one from time to time bounds its memory.
    for start in range(0, len(seeds), _SEEDS_PER_ARENA):
        with _database() as database_url, running_anvil(*ANVIL_OPTIONS) as node_url:
            async with opened_arena(database_url, node_url) as arena:
                for seed in seeds[start : start + _SEEDS_PER_ARENA]:
                    outcomes.put(await run_seed(arena, seed))


def _work(seeds: list[int], outcomes: "Queue[Outcome]") -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_play(seeds, outcomes))


def _tell(outcome: Outcome, *, verbose: bool) -> None:
    if verbose or outcome.violations:
        print(outcome.report())
        said = f"{outcome.operations} operations, calm in {outcome.calm_s} s"
        print(f"seed {outcome.seed} ({outcome.digest}): {said}", flush=True)


def run(options: argparse.Namespace) -> int:
    """Play the seeds; how many failed."""
    seeds = list(range(options.first, options.first + options.seeds))
    outcomes: Queue[Outcome] = multiprocessing.Queue()
    workers = [
        multiprocessing.Process(target=_work, args=(seeds[place :: options.jobs], outcomes))
        for place in range(options.jobs)
    ]
    began_s = time.monotonic()
    for worker in workers:
        worker.start()
    failed, operations, done = [], 0, 0
    while done < len(seeds):
        outcome = _next(outcomes, workers)
        done, operations = done + 1, operations + outcome.operations
        failed += [outcome] if outcome.violations else []
        _tell(outcome, verbose=options.verbose)
        if done % _PROGRESS_EVERY == 0:
            print(f"{done} of {len(seeds)} seeds, {len(failed)} failed, {time.monotonic() - began_s:.0f} s", flush=True)
    for worker in workers:
        worker.join()
    print(f"{done} seeds, {operations} operations, {len(failed)} failed, {time.monotonic() - began_s:.0f} s")
    for outcome in sorted(failed, key=lambda one: one.seed):
        print(f'    {outcome.seed}: "{outcome.violations[0]}",')
    return len(failed)


def _next(outcomes: "Queue[Outcome]", workers: list[multiprocessing.Process]) -> Outcome:
    """The next outcome; RuntimeError where a worker ended before its time."""
    while outcomes.empty():
        if any(worker.exitcode for worker in workers):
            raise RuntimeError("a worker ended before its time; what it said stands above")
        time.sleep(0.05)
    return outcomes.get()


if __name__ == "__main__":
    sys.exit(1 if run(parse(sys.argv[1:])) else 0)
