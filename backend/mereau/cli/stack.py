"""The stack that a command works on: the one that runs, servers named in the settings, or one of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mereau.cli.state import RunState, running
from mereau.cli.supervisor import Plan
from mereau.core.config import Settings
from mereau.core.errors import ConfigurationError
from mereau.core.layout import Layout
from mereau.core.postgres import launch_command

EMBEDDED_CHAIN_ID: Final = 20826
_POLL_S: Final = 0.02
_START_S: Final = 120.0


def settings_of(data_dir: Path | None) -> Settings:
    """The settings of the environment, with the directory that the command line named."""
    settings = Settings() if data_dir is None else Settings(data_dir=data_dir)
    return settings.model_copy(update={"data_dir": settings.data_dir.absolute()})


def plan_of(settings: Settings, *, with_api: bool, chain_port: int = 0) -> Plan:
    """What a supervisor has to run for these settings."""
    given = settings.keystore_password is not None or settings.keystore_password_file is not None
    return Plan(
        data_dir=str(settings.data_dir),
        database_url=settings.database_url,
        chain_url=settings.chain_url,
        chain_id=settings.chain_id or EMBEDDED_CHAIN_ID,
        chain_port=chain_port,
        host=settings.host,
        port=settings.port,
        password_file=None if given else str(Layout(settings.data_dir).keystore_password),
        postgres_memory_mib=settings.postgres_memory_mib,
        with_api=with_api,
    )


def supervisor_command(plan: Plan) -> list[str]:
    return [sys.executable, "-m", "mereau.cli.supervisor", plan.to_json()]


def become_supervisor(plan: Plan) -> None:
    """Turn this process into the supervisor, which is a fifth of its size. Does not return."""
    sys.stdout.flush()
    command = supervisor_command(plan)
    os.execv(command[0], command)  # noqa: S606 - our own interpreter and module


@contextmanager
def open_stack(settings: Settings, *, with_api: bool = False) -> Iterator[RunState]:
    """A stack to work on; one that had to be started here is stopped at the end.

    Where the settings name both servers nothing is started: the parts run elsewhere.
    """
    layout = Layout(settings.data_dir)
    if settings.database_url and settings.chain_url:
        yield RunState(os.getpid(), settings.database_url, settings.chain_url, None)
        return
    if (state := running(layout)) is not None:
        yield state
        return
    with _own_stack(layout, plan_of(settings, with_api=with_api)) as started:
        yield started


@contextmanager
def _own_stack(layout: Layout, plan: Plan) -> Iterator[RunState]:
    layout.logs.mkdir(parents=True, exist_ok=True)
    log = layout.log("supervisor")
    with log.open("wb") as words:
        process = subprocess.Popen(
            launch_command(supervisor_command(plan), stop_signal=signal.SIGTERM),
            stdin=subprocess.DEVNULL,
            stderr=words,
        )
    try:
        deadline = time.monotonic() + _START_S
        while (state := running(layout)) is None or state.pid != process.pid:
            if process.poll() is not None or time.monotonic() > deadline:
                lines = log.read_text(errors="replace").splitlines()
                reason = lines[-1].removeprefix("error: ") if lines else "no message"
                raise ConfigurationError(reason)
            time.sleep(_POLL_S)
        yield state
    finally:
        process.terminate()
        process.wait()
