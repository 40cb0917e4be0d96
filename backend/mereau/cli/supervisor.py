"""Runs the whole stack as one process group: `python -m mereau.cli.supervisor PLAN`.

A process of its own that imports next to nothing: the command reads settings, writes the plan and becomes
this. Order: keys, PostgreSQL and chain together, preparation (schema, programme, contract), worker and API.
SIGINT and SIGTERM stop in the reverse order; should this process be killed, the kernel stops the children.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Self

from mereau.cli.children import Child, Running, http_probe, python_command, run_once
from mereau.cli.state import RunState, lock, write_run_state
from mereau.core.errors import ConfigurationError
from mereau.core.layout import Layout
from mereau.core.postgres import EmbeddedPostgres, launch_command

_CHAIN_ID_QUESTION: Final = b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}'
_LOOPBACK: Final = "127.0.0.1"
_MISCONFIGURED: Final = 2
# Where all parts share a machine, whoever waits for an answer comes first; the chain catches up afterwards.
_BACKGROUND_NICENESS: Final = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. A URL means that this part is elsewhere and is not started here.

    `chain_port` is the embedded chain's where it is free, else it takes another; 0 takes any.
    `password_file` is where the generated password of the keystore stands; None where the operator gave one.
    """

    data_dir: str
    database_url: str | None
    chain_url: str | None
    chain_id: int
    chain_port: int
    host: str
    port: int
    password_file: str | None
    postgres_memory_mib: int
    with_api: bool = True
    errand: Sequence[str] = ()
    serve: bool = True

    def telling(self, command: Sequence[str], *, serve: bool) -> Self:
        """The plan with an errand, run once everything is ready; a failing one ends the stack."""
        return replace(self, errand=tuple(command), serve=serve)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        plan = cls(**json.loads(text))
        return replace(plan, errand=tuple(plan.errand))


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def free_port(host: str) -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket(_family(host)) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def port_or_free(host: str, port: int) -> int:
    """`port` where nobody listens on it, else one that is free."""
    with socket.socket(_family(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return free_port(host)
        bound: int = probe.getsockname()[1]
        return bound


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Stack:
    """The children of one plan, in the order in which they depend on each other."""

    def __init__(self, plan: Plan, descriptor: int) -> None:
        self._plan = plan
        self._layout = Layout(Path(plan.data_dir))
        self._lock = descriptor
        self._children: list[Running] = []
        self._postgres = EmbeddedPostgres(
            self._layout.postgres, self._layout.log("postgres"), memory_mib=plan.postgres_memory_mib
        )
        self._database_url = plan.database_url or self._postgres.url
        self._chain_url = plan.chain_url or f"http://{_LOOPBACK}:{port_or_free(_LOOPBACK, plan.chain_port)}"
        host = f"[{plan.host}]" if ":" in plan.host else plan.host
        self._port = plan.port or free_port(plan.host)
        self._api_url = f"http://{host}:{self._port}" if plan.with_api else None

    async def start(self) -> RunState:
        """Bring everything up; raises ConfigurationError where a part cannot start."""
        self._layout.logs.mkdir(parents=True, exist_ok=True)
        await _together(self._start_database(), self._start_chain())
        await self._prepare("install")
        last = [self._run(self._worker())]
        if self._plan.with_api:
            last.append(self._run(self._api()))
        await _together(*last)
        state = RunState(os.getpid(), self._database_url, self._chain_url, self._api_url)
        write_run_state(self._layout, state)
        return state

    async def stop(self) -> None:
        self._layout.run_file.unlink(missing_ok=True)
        for child in self._children:
            child.stopping()
        for child in reversed(self._children):
            await child.stop()
        if self._plan.database_url is None:
            self._postgres.forget_socket()

    async def _start_database(self) -> None:
        if self._plan.database_url is None:
            await self._run(self._database())

    async def _start_chain(self) -> None:
        if not self._layout.funded.exists():
            await self._prepare("keys")
        if self._plan.chain_url is None:
            await self._run(self._chain())

    async def _run(self, child: Child) -> None:
        running = Running(child, lock=self._lock, say=_say)
        self._children.append(running)
        await running.started()

    async def _prepare(self, step: str) -> None:
        began = time.monotonic()
        command = python_command("-m", "mereau.worker.prepare", step)()
        log = self._layout.log("prepare")
        await run_once("preparation", command, log=log, environment=self._environment(), lock=self._lock)
        _say(f"preparation ({step}) done after {time.monotonic() - began:.1f} s")

    def _environment(self) -> dict[str, str]:
        environment = {
            "MEREAU_DATA_DIR": str(self._layout.root),
            "MEREAU_DATABASE_URL": self._database_url,
            "MEREAU_CHAIN_URL": self._chain_url,
            "MEREAU_HOST": self._plan.host,
            "MEREAU_PORT": str(self._port),
            # Freed memory goes back to the system instead of staying in one arena per thread.
            "MALLOC_ARENA_MAX": "2",
            "MALLOC_TRIM_THRESHOLD_": "262144",
        }
        if self._plan.password_file is not None:
            environment["MEREAU_KEYSTORE_PASSWORD_FILE"] = self._plan.password_file
        return environment

    def _database(self) -> Child:
        async def ready(pid: int) -> bool:
            return self._postgres.is_ready(pid)

        return Child(
            "postgres",
            lambda: self._postgres.command,
            ready,
            self._layout.log("postgres"),
            before=self._postgres.prepare,
            stop_signal=signal.SIGINT,
        )

    def _chain(self) -> Child:
        port = self._chain_url.rpartition(":")[2]
        chain_id = str(self._plan.chain_id)
        return Child(
            "chain",
            python_command("-m", "mereau.cli.serve_chain", str(self._layout.root), port, chain_id),
            http_probe(self._chain_url, body=_CHAIN_ID_QUESTION),
            self._layout.log("chain"),
            self._environment(),
            niceness=_BACKGROUND_NICENESS,
        )

    def _worker(self) -> Child:
        log = self._layout.log("worker")
        mark = self._layout.root / "worker.ready"

        async def ready(pid: int) -> bool:
            return mark.exists() and mark.read_text() == str(pid)

        return Child(
            "worker",
            python_command("-m", "mereau.worker", "relayer", "mirror", "jobs", "--ready-file", str(mark)),
            ready,
            log,
            self._environment(),
            niceness=_BACKGROUND_NICENESS,
        )

    def _api(self) -> Child:
        return Child(
            "api",
            python_command("-m", "mereau.cli.serve_api"),
            http_probe(f"{self._api_url}/readyz"),
            self._layout.log("api"),
            self._environment(),
        )


async def _together(*parts: Awaitable[None]) -> None:
    """Await all of them, and only then raise the first failure: `stop` must know every child."""
    for result in await asyncio.gather(*parts, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


async def supervise(plan: Plan) -> int:
    """Run the plan until a signal comes, or until an errand is done that was all there is to do; the exit code."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    descriptor = lock(Layout(Path(plan.data_dir)))
    stack = Stack(plan, descriptor)
    running = asyncio.create_task(_start_and_tell(stack, plan))
    waiting = asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        code = running.result() if running.done() else 0
        if plan.serve and code == 0:
            await waiting
        _say("stopping")
        return code
    finally:
        for task in (running, waiting):
            task.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)
        await stack.stop()


async def _start_and_tell(stack: Stack, plan: Plan) -> int:
    """Start everything, then run the errand, if there is one; its exit code."""
    state = await stack.start()
    _say(f"ready: {state.api_url or state.database_url}")
    if not plan.errand:
        return 0
    command = launch_command(list(plan.errand), stop_signal=signal.SIGTERM)
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL)
    try:
        return await process.wait()
    except asyncio.CancelledError:
        process.terminate()
        await process.wait()
        raise


def main() -> None:
    try:
        sys.exit(asyncio.run(supervise(Plan.from_json(sys.argv[1]))))
    except ConfigurationError as error:
        _say(f"error: {error.detail}")
        sys.exit(_MISCONFIGURED)
    except OSError as error:
        _say(f"error: {error}")
        sys.exit(_MISCONFIGURED)


if __name__ == "__main__":
    main()
