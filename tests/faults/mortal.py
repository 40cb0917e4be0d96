"""Parts of the product as processes that die at a write: what `multiprocessing` runs in the child.

Only SIGKILL: no handler runs, no buffer is flushed, PostgreSQL and the node learn of it from a closed socket.
"""

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Literal

from sqlalchemy import event
from sqlalchemy.orm import Session

Moment = Literal["before", "after"]

# Loaded once and forked: starting a part then costs milliseconds instead of seconds.
_PRELOADED = (
    "pytest", "mereau.worker.__main__", "mereau.cli.serve_api", "mereau.app", "eth_keyfile.keyfile", "httpcore",
    "uvicorn.protocols.http.httptools_impl", "uvicorn.protocols.websockets.auto",
)  # fmt: skip


@dataclass(frozen=True)
class Point:
    """The `count`-th write of this name, right before its commit or right after it."""

    write: str
    moment: Moment
    count: int = 1

    def __str__(self) -> str:
        return f"{self.moment} {self.write} {self.count}"


def spawn(
    parts: Sequence[str], environment: Mapping[str, str], log: Path, point: Point | None = None
) -> ForkServerProcess:
    """`mereau PART...` as a process of its own, started; what it says goes to `log`."""
    context = get_context("forkserver")
    context.set_forkserver_preload([*_PRELOADED])
    process = context.Process(target=_live, args=(list(parts), dict(environment), log, point), daemon=True)
    process.start()
    return process


def _live(parts: list[str], environment: dict[str, str], log: Path, point: Point | None) -> None:
    with log.open("ab") as words:
        for stream in (1, 2):
            os.dup2(words.fileno(), stream)
    os.environ.update(environment)
    if point is not None:
        _arm(point)
    # Late: whoever only names a point need not load the product's processes.
    from mereau.cli import serve_api
    from mereau.worker import __main__ as worker

    if parts == ["api"]:
        serve_api.main()
    else:
        worker.main(parts)


def _arm(point: Point) -> None:
    left = point.count

    def die(session: Session) -> None:
        nonlocal left
        if session.info.get("name") == point.write:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Session, f"{point.moment}_commit", die)
