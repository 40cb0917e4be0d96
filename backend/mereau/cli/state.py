"""Who holds a data directory, and how to reach the stack that runs on it.

Only the standard library: the supervisor stays small by importing this and little else.
"""

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

from mereau.core.errors import ConfigurationError
from mereau.core.layout import Layout, write_private

_LINGER_S: Final = 20.0
_SURE_S: Final = 0.5
_POLL_S: Final = 0.02
_OWNER_ONLY: Final = 0o600


@dataclass(frozen=True, slots=True)
class RunState:
    """How to reach a running stack. `api_url` is None where it runs without the API."""

    pid: int
    database_url: str
    chain_url: str
    api_url: str | None


def write_run_state(layout: Layout, state: RunState) -> None:
    write_private(layout.run_file, json.dumps(asdict(state)))


def running(layout: Layout) -> RunState | None:
    """The stack that runs on this directory now; None where the file is missing or its writer is gone."""
    try:
        found = json.loads(layout.run_file.read_text())
        state = RunState(**{field.name: found[field.name] for field in fields(RunState)})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    descriptor = _try_lock(layout)
    if descriptor is None:
        return state
    os.close(descriptor)
    return None


def lock(layout: Layout) -> int:
    """Take the directory for this process and the children that inherit the descriptor; returns it.

    Children keep the lock alive, so that a successor of a killed supervisor waits until the last of them
    is gone. Raises ConfigurationError where a living supervisor holds it.
    """
    layout.root.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    while (descriptor := _try_lock(layout)) is None:
        waited_s = time.monotonic() - began
        holder = _holder(layout)
        # A holder that was just killed may look alive for a moment.
        if waited_s > _SURE_S and holder is not None and _alive(holder):
            state = running(layout)
            where = f", {state.api_url}" if state and state.api_url else ""
            raise ConfigurationError(
                f"Mereau already runs on {layout.root} (process {holder}{where}). "
                f"Stop it with: kill {holder}   Or name another directory with --data-dir."
            )
        if waited_s > _LINGER_S:
            raise ConfigurationError(
                f"Processes of a former run still hold {layout.root}. See: fuser {layout.lock_file}"
            )
        time.sleep(_POLL_S)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    layout.run_file.unlink(missing_ok=True)
    return descriptor


def _try_lock(layout: Layout) -> int | None:
    descriptor = os.open(layout.lock_file, os.O_RDWR | os.O_CREAT, _OWNER_ONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _holder(layout: Layout) -> int | None:
    text = layout.lock_file.read_text()
    return int(text) if text.isdecimal() else None


def _alive(pid: int) -> bool:
    """Whether a process runs; one that ended and waits to be reaped does not."""
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat")
        return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
    except PermissionError:
        return True
    except (ProcessLookupError, FileNotFoundError):
        return False
