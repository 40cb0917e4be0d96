"""Sends prepared HTTP requests over keep-alive connections, each of which asks anew once it is answered.

A process of its own (`python bench_load.py < job > result`), so that its cost is visible beside the server's.
It does next to nothing per request: the texts are made before, an answer is its status and its end.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Final

import uvloop

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length: "
_TIMEOUT_S: Final = 300


@dataclass(frozen=True, slots=True)
class Load:
    """What came back. `rate` counts answers per second of wall time; `cpu_s` is the load's own cost."""

    statuses: dict[str, int]
    rate: float
    p50_ms: float
    p99_ms: float
    cpu_s: float

    @property
    def answers(self) -> int:
        return sum(self.statuses.values())


def request_text(method: str, path: str, key: str, body: object = None, *, once: str | None = None) -> str:
    """One request as it goes over the wire; `once` is its Idempotency-Key."""
    head = f"{method} /api/v1{path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\n"
    if body is None:
        return f"{head}\r\n"
    content = json.dumps(body, separators=(",", ":"), ensure_ascii=True)
    named = "" if once is None else f"idempotency-key: {once}\r\n"
    return f"{head}{named}content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n{content}"


def drive(ports: Sequence[int], requests: Sequence[str], *, connections: int, seconds: float) -> Load:
    """Send `requests` in their order until they are used up or the time is over; what is under way is finished.

    The connections go to the ports in turn.
    """
    job = {"ports": ports, "requests": requests, "connections": connections, "seconds": seconds}
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=True,
    )
    return Load(**json.loads(done.stdout))


class _Run:
    """The requests still to send, and what was measured of those answered."""

    def __init__(self, requests: Sequence[str], seconds: float) -> None:
        self.requests: Iterator[bytes] = iter([text.encode() for text in requests])
        self.ends = time.perf_counter() + seconds
        self.statuses: Counter[str] = Counter()
        self.times_s: list[float] = []

    def next(self) -> bytes | None:
        return None if time.perf_counter() >= self.ends else next(self.requests, None)


class _Connection(asyncio.Protocol):
    """One request at a time; `done` ends with the last answer, or with the connection's failure."""

    def __init__(self, run: _Run, done: asyncio.Future[None]) -> None:
        self.run, self.done = run, done
        self.answer = b""
        self.sent_s = 0.0
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        request = self.run.next()
        if request is None:
            self.done.set_result(None)
            self.transport.close()
            return
        self.sent_s = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.answer += data
        head = self.answer.find(_HEAD_END)
        if head < 0:
            return
        at = self.answer.index(_LENGTH, 0, head + len(_HEAD_END)) + len(_LENGTH)
        if len(self.answer) < head + len(_HEAD_END) + int(self.answer[at : self.answer.index(b"\r", at)]):
            return
        self.run.times_s.append(time.perf_counter() - self.sent_s)
        self.run.statuses[self.answer[9:12].decode()] += 1
        self.answer = b""
        self.ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionResetError("the server closed the connection"))


async def _send_all(job: dict[str, Any]) -> dict[str, object]:
    loop = asyncio.get_running_loop()
    run = _Run(job["requests"], job["seconds"])
    began = time.perf_counter()
    waiting = [loop.create_future() for _ in range(job["connections"])]
    for done, port in zip(waiting, cycle(job["ports"]), strict=False):
        await loop.create_connection(lambda done=done: _Connection(run, done), "127.0.0.1", port)  # type: ignore[misc] # mypy cannot infer the lambda's default
    await asyncio.gather(*waiting)
    took_s = time.perf_counter() - began
    times_ms = sorted(1000 * seconds for seconds in run.times_s)
    return {
        "statuses": run.statuses,
        "rate": len(times_ms) / took_s,
        "p50_ms": times_ms[len(times_ms) // 2],
        "p99_ms": times_ms[len(times_ms) * 99 // 100],
        "cpu_s": time.process_time(),
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(_send_all(json.load(sys.stdin)))))
