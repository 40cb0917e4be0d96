"""A running stack with a partner, its keys and many members: what the measurements of the API start from."""

import json
import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
from bench_load import Load, drive, request_text
from bench_memory import family
from bench_stack import command, free_port, scratch, until_ready

MEMBERS: Final = 1_000
CONNECTIONS: Final = 32
BATCH: Final = 500
POSTGRES_MEMORY_MIB: Final = 256
_KEYS: Final = 8
_SETTLE_S: Final = 300
_LINES_MAX: Final = 5
# Tokens count at once, so that every sale is also an order for the chain.
_PROGRAMME: Final = {"activation_delay_s": 0, "token_life_days": 365}

_UNSETTLED: Final = """
    select count(*) from chain_orders o left join chain_batches b on b.id = o.batch_id
    where o.state = 'queued' or b.state not in ('mined', 'final')
"""


@dataclass(frozen=True, slots=True)
class World:
    """The stack of one measurement; `folder` is its data directory, `pid` its supervisor.

    `ports` are those of its API processes, the supervised one first.
    """

    folder: Path
    pid: int
    ports: Sequence[int]
    operator_key: str
    partner_id: str
    tills: Sequence[str]
    readers: Sequence[str]
    draw: random.Random
    numbers: Iterator[int]

    @property
    def database_url(self) -> str:
        return str(json.loads((self.folder / "run.json").read_text())["database_url"])

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the database answers; nothing to a statement that has no rows."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else []

    def call(self, path: str, body: object) -> dict[str, Any]:
        """One write by the operator."""
        headers = {"authorization": f"Bearer {self.operator_key}"}
        answer = httpx.post(f"http://127.0.0.1:{self.ports[0]}/api/v1{path}", json=body, headers=headers, timeout=30)
        return dict(answer.raise_for_status().json())

    def sale(self) -> dict[str, object]:
        """A receipt nobody has seen, of one to five lines, for any member."""
        return {
            "external_id": f"receipt-{next(self.numbers)}",
            "member": {"external_id": f"card-{self.draw.randrange(MEMBERS)}"},
            "occurred_at": "2026-11-23T10:15:00+01:00",
            "currency": "EUR",
            "lines": [
                {
                    "sku": f"sku-{self.draw.randrange(500)}",
                    "category": "grocery",
                    "quantity": self.draw.randint(1, 4),
                    "unit_price_minor": self.draw.randint(100, 5_000),
                }
                for _ in range(self.draw.randint(1, _LINES_MAX))
            ],
        }

    def post(self, path: str, body: object) -> str:
        """A partner's write as text, under one of its keys and an Idempotency-Key of its own."""
        return request_text("POST", path, self.draw.choice(self.tills), body, once=f"once-{next(self.numbers)}")

    def send(
        self, requests: Sequence[str], *, connections: int, seconds: float, status: str, ports: Sequence[int] = ()
    ) -> Load:
        """Drive the API (or what listens on `ports`); every answer must have this status."""
        load = drive(ports or self.ports, requests, connections=connections, seconds=seconds)
        if set(load.statuses) != {status}:
            raise SystemExit(f"answers other than {status}: {load.statuses}; see {self.folder}/logs")
        return load

    def settle(self) -> None:
        """Wait until the chain has all that was ordered, so that no run pays for the one before it."""
        deadline = time.monotonic() + _SETTLE_S
        while self.rows(_UNSETTLED) != [(0,)]:
            if time.monotonic() > deadline:
                raise SystemExit(f"the chain did not catch up within {_SETTLE_S} s; see {self.folder}/logs")
            time.sleep(0.2)

    @contextmanager
    def chain_side_stopped(self) -> Iterator[None]:
        """Inside, worker and chain stand still: what runs is the API, PostgreSQL and the load."""
        stopped = [pid for pid in family(self.pid) if _runs(pid, b"mereau.worker") or _runs(pid, b"serve_chain")]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)


@contextmanager
def open_world() -> Iterator[World]:
    """`mereau up` on fresh data and one more `mereau api`, with every member enrolled and credited once.

    One Python process keeps one core busy: a machine of two has two of them, as behind any balancer. PostgreSQL has
    a cache of its own that a server would give it.
    """
    with scratch() as folder:
        (folder / "programme.json").write_text(json.dumps(_PROGRAMME))
        port = free_port()
        cache = {"MEREAU_POSTGRES_MEMORY_MIB": str(POSTGRES_MEMORY_MIB)}
        with command("up", "--data-dir", str(folder), "--port", str(port), "--chain-port", "0", **cache) as process:
            until_ready(process, port, folder)
            second = free_port()
            while not (folder / "run.json").exists():
                time.sleep(0.05)
            running = json.loads((folder / "run.json").read_text())
            settings = {
                "MEREAU_DATABASE_URL": running["database_url"],
                "MEREAU_CHAIN_URL": running["chain_url"],
                "MEREAU_DATA_DIR": str(folder),
                "MEREAU_PORT": str(second),
            }
            with command("api", **settings) as beside:
                until_ready(beside, second, folder)
                yield _furnished(folder, process.pid, [port, second])


def _furnished(folder: Path, pid: int, ports: Sequence[int]) -> World:
    operator_key = (folder / "operator.key").read_text().strip()
    draw = random.Random("mereau accept")  # noqa: S311 - a benchmark needs repeatable draws, not secrets.
    empty = World(folder, pid, ports, operator_key, "", (), (), draw, count(1))
    partner_id = empty.call("/partners", {"external_id": "till", "name": "Till"})["id"]
    tills = [empty.call(f"/partners/{partner_id}/api-keys", {"name": f"Till {n}"})["key"] for n in range(_KEYS)]
    readers = [empty.call("/api-keys", {"name": f"Reader {n}", "role": "auditor"})["key"] for n in range(_KEYS)]
    world = replace(empty, partner_id=partner_id, tills=tills, readers=readers)
    people = [world.post("/members", {"external_id": f"card-{number}"}) for number in range(MEMBERS)]
    world.send(people, connections=4, seconds=_SETTLE_S, status="201")
    first = [world.sale() | {"member": {"external_id": f"card-{number}"}} for number in range(MEMBERS)]
    batches = [world.post("/sales/batch", {"sales": first[at : at + BATCH]}) for at in range(0, MEMBERS, BATCH)]
    world.send(batches, connections=1, seconds=_SETTLE_S, status="200")
    world.settle()
    return world


def _runs(pid: int, module: bytes) -> bool:
    try:
        return module in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
