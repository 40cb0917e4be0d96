"""Child processes of the supervisor: started, awaited, restarted with growing pauses, stopped in order."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from mereau.core.errors import ConfigurationError
from mereau.core.postgres import launch_command

_POLL_S: Final = 0.02
_STOP_S: Final = 10.0
_BACKOFF_FIRST_S: Final = 0.5
_BACKOFF_LAST_S: Final = 30.0
_HEALTHY_S: Final = 60.0
_HEARING_S: Final = 0.05
_PROBE_S: Final = 5.0
_TAIL_LINES: Final = 3

Probe = Callable[[int], Awaitable[bool]]
"""Whether the child with this process id serves."""


@dataclass(frozen=True, slots=True)
class Child:
    """One part of the stack. `command` is asked for at every start; `before` clears what a run left.

    `niceness` above 0 lets the others have the processor first (nice(2)).
    """

    name: str
    command: Callable[[], Sequence[str]]
    probe: Probe
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[], None] | None = None
    stop_signal: int = signal.SIGTERM
    timeout_s: float = 60.0
    niceness: int = 0


def python_command(*arguments: str) -> Callable[[], list[str]]:
    """A child that runs a module of ours and is told to end (SIGTERM) when this process dies."""
    return lambda: launch_command([sys.executable, *arguments], stop_signal=signal.SIGTERM)


class Running:
    """A child kept running until `stop`. `started` returns once it serves, or raises ConfigurationError."""

    def __init__(self, child: Child, *, lock: int, say: Callable[[str], None]) -> None:
        self.child = child
        self._lock = lock
        self._say = say
        self._stopping = False
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None

    async def started(self) -> None:
        """Start it for the first time; a failure here is final, because nothing has ever worked."""
        began = time.monotonic()
        await self._spawn()
        try:
            await self._serving()
        except ConfigurationError:
            await self.stop()
            raise
        self._say(f"{self.child.name} ready after {time.monotonic() - began:.1f} s")
        self._watch = asyncio.create_task(self._keep())

    def stopping(self) -> None:
        """Do not start it again from here on."""
        self._stopping = True

    async def stop(self) -> None:
        """Ask it to end, and end it by force after a while."""
        self.stopping()
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(self.child.stop_signal)
            try:
                await asyncio.wait_for(process.wait(), _STOP_S)
            except TimeoutError:
                self._say(f"{self.child.name} does not end; killing it")
                process.kill()
                await process.wait()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)

    async def _spawn(self) -> None:
        if self.child.before is not None:
            await asyncio.to_thread(self.child.before)
        with self.child.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.child.command(),
                env={**os.environ, **self.child.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(self._lock,),
            )
        if self.child.niceness:
            # Before it has a second thread: on Linux each keeps what it began with. It may have ended already.
            with contextlib.suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, self._process.pid, self.child.niceness)

    async def _serving(self) -> None:
        process = self._process
        assert process is not None  # noqa: S101 - `_spawn` came before; mypy cannot know
        deadline = time.monotonic() + self.child.timeout_s
        while not await self.child.probe(process.pid):
            if process.returncode is not None:
                words = f"ended with code {process.returncode}: {self._tail()}"
                raise ConfigurationError(f"{self.child.name} {words}. See {self.child.log}")
            if time.monotonic() > deadline:
                raise ConfigurationError(f"{self.child.name} does not answer. See {self.child.log}")
            await asyncio.sleep(_POLL_S)

    async def _keep(self) -> None:
        """Start it again whenever it ends, with pauses that double until it stays up for a while."""
        pause_s = _BACKOFF_FIRST_S
        while True:
            process = self._process
            assert process is not None  # noqa: S101 - set by the first start
            began = time.monotonic()
            code = await process.wait()
            # A signal from the terminal reaches child and supervisor together: let the supervisor hear it first.
            await asyncio.sleep(_HEARING_S)
            if self._stopping:
                return
            if time.monotonic() - began > _HEALTHY_S:
                pause_s = _BACKOFF_FIRST_S
            self._say(f"{self.child.name} ended with code {code}; starting it again in {pause_s:g} s")
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _BACKOFF_LAST_S)
            try:
                await self._spawn()
            except (ConfigurationError, OSError) as error:
                self._say(f"{self.child.name}: {error}")

    def _tail(self) -> str:
        lines = self.child.log.read_text(errors="replace").splitlines()
        return " / ".join(line.strip() for line in lines[-_TAIL_LINES:]) or "no message"


async def run_once(name: str, command: Sequence[str], *, log: Path, environment: Mapping[str, str], lock: int) -> None:
    """Run a child to its end. Raises ConfigurationError with its last words where it fails."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=(lock,),
    )
    try:
        _, words = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    with log.open("ab") as file:
        file.write(words)
    if process.returncode:
        lines = [line for line in words.decode(errors="replace").splitlines() if line.strip()]
        raise ConfigurationError(lines[-1] if lines else f"{name} ended with code {process.returncode}")


def http_probe(url: str, *, body: bytes | None = None) -> Probe:
    """Serving means: this URL answers 200. Spoken by hand, because an HTTP client weighs 15 MiB."""
    parts = urlsplit(url)
    verb = "GET" if body is None else "POST"
    head = f"{verb} {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
    if body is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    request = f"{head}\r\n".encode() + (body or b"")

    async def probe(_: int) -> bool:
        try:
            async with asyncio.timeout(_PROBE_S):
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
                try:
                    writer.write(request)
                    return b" 200 " in await reader.readline()
                finally:
                    writer.close()
        except OSError:  # TimeoutError included
            return False

    return probe
