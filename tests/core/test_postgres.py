"""The embedded server: started, killed, started again, and never anybody else's."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from mereau.core import postgres
from mereau.core.errors import ConfigurationError
from mereau.core.postgres import EmbeddedPostgres, launch_command


def server_in(folder: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(folder / "postgres", folder / "postgres.log")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A directory that was initialised once; each test starts it as it needs."""
    server = server_in(tmp_path_factory.mktemp("server"))
    with server:
        execute(server, "create table notes (words text)")
    yield server
    server.stop()


def execute(server: EmbeddedPostgres, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def running_pid(server: EmbeddedPostgres) -> int:
    assert server._process is not None
    return server._process.pid


def wait_until_gone(pid: int, limit_s: float = 10) -> None:
    deadline = time.monotonic() + limit_s
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, f"process {pid} stays"
        time.sleep(0.01)


def test_its_memory_is_what_it_was_given(made: EmbeddedPostgres) -> None:
    for memory_mib in (8, 64):
        with EmbeddedPostgres(made.directory, made.log, memory_mib=memory_mib) as server:
            assert execute(server, "show shared_buffers") == [(f"{memory_mib}MB",)]


def test_a_fresh_directory_becomes_a_tuned_server(made: EmbeddedPostgres) -> None:
    with made:
        settings = dict(
            execute(
                made,
                "select name, setting from pg_settings where name in "
                "('listen_addresses', 'fsync', 'synchronous_commit', 'jit', 'server_encoding')",
            )
        )
    assert settings == {
        "listen_addresses": "",
        "fsync": "on",
        "synchronous_commit": "on",
        "jit": "off",
        "server_encoding": "UTF8",
    }


def test_only_the_owner_reaches_the_socket(made: EmbeddedPostgres) -> None:
    with made:
        assert stat.S_IMODE(made.socket_dir.stat().st_mode) == 0o700
        assert stat.S_IMODE(made.directory.stat().st_mode) == 0o700
    assert not made.socket_dir.exists()


def test_a_killed_server_comes_back_with_every_committed_row(made: EmbeddedPostgres) -> None:
    made.start()
    execute(made, "insert into notes values ('kept')")
    with psycopg.connect(made.url) as open_transaction:
        open_transaction.execute("insert into notes values ('not committed')")
        process = made._process
        assert process is not None
        process.kill()
        process.wait()
        made.start()
        open_transaction.close()
    assert execute(made, "select words from notes") == [("kept",)]
    execute(made, "delete from notes")
    made.stop()


def test_a_stale_lock_that_names_a_living_stranger_is_forgotten(made: EmbeddedPostgres) -> None:
    """Process numbers are used again, above all in containers."""
    lines = [str(os.getpid()), str(made.directory), "0", "5432", str(made.socket_dir), "", "0 0", "ready"]
    (made.directory / "postmaster.pid").write_text("\n".join(lines))
    with made:
        assert execute(made, "select 1") == [(1,)]


def test_a_living_server_is_not_taken_over(made: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: a real server that will not go keeps its directory."""
    monkeypatch.setattr(postgres, "_LEFTOVER_GRACE_S", 0.2)
    with made:
        pid = running_pid(made)
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(ConfigurationError, match=f"process {pid}"):
                server_in(made.directory.parent).start()
        finally:
            os.kill(pid, signal.SIGCONT)


def test_an_orphan_is_told_to_quit(made: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_LEFTOVER_GRACE_S", 0.2)
    made.prepare()
    with made.log.open("ab") as log:
        orphan = subprocess.Popen(made.command, stdout=log, stderr=log)
    while not made.is_ready(orphan.pid):
        time.sleep(0.01)
    successor = server_in(made.directory.parent)
    reaper = subprocess.Popen([sys.executable, "-c", "pass"])
    reaper.wait()
    with successor:
        assert orphan.wait(timeout=10) is not None
        assert execute(successor, "select 1") == [(1,)]


def test_half_an_initialisation_is_thrown_away(tmp_path: Path) -> None:
    half = tmp_path / "postgres.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18")
    with server_in(tmp_path) as server:
        assert execute(server, "select 1") == [(1,)]
    assert not half.exists()


def test_a_directory_that_cannot_be_initialised_is_named(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "letter.txt").write_text("precious")
    with pytest.raises(OSError, match="not empty"):
        server_in(tmp_path).start()
    assert (tmp_path / "postgres" / "letter.txt").read_text() == "precious"


def test_a_failing_start_shows_the_servers_own_words(made: EmbeddedPostgres) -> None:
    version = made.directory / "PG_VERSION"
    version.write_text("9\n")
    try:
        with pytest.raises(ConfigurationError, match="database files are incompatible"):
            made.start()
    finally:
        version.write_text("18\n")


def test_a_long_path_does_not_matter(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 100) / ("b" * 100)
    folder.mkdir(parents=True)
    with server_in(folder) as server:
        assert len(str(server.socket_dir)) < 80
        assert execute(server, "select 1") == [(1,)]


def test_a_squatted_socket_folder_is_refused(made: EmbeddedPostgres) -> None:
    made.socket_dir.mkdir(mode=0o777)
    made.socket_dir.chmod(0o777)
    try:
        with pytest.raises(ConfigurationError, match="belongs to somebody else"):
            made.start()
    finally:
        made.socket_dir.rmdir()


def test_a_left_socket_is_cleared(made: EmbeddedPostgres) -> None:
    made.prepare()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(made.socket_dir / ".s.PGSQL.5432"))
    with made:
        assert execute(made, "select 1") == [(1,)]


def test_a_long_log_is_put_aside(made: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_LOG_BYTES_MAX", 10)
    with made:
        pass
    assert made.log.with_suffix(".1.log").stat().st_size > 10


def test_the_server_ends_with_its_parent(made: EmbeddedPostgres, tmp_path: Path) -> None:
    """The parent is killed, not asked: the kernel passes it on."""
    program = (
        "import sys, pathlib, time; from mereau.core.postgres import EmbeddedPostgres\n"
        "server = EmbeddedPostgres(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])); server.start()\n"
        "print(server._process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(made.directory), str(made.log)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    wait_until_gone(pid)


def test_nothing_is_launched_for_a_parent_that_is_gone(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    command = launch_command(["/usr/bin/touch", str(mark)], stop_signal=signal.SIGTERM)
    command[4] = "1"  # As if the parent had died and init had adopted the child.
    assert subprocess.run(command, check=False).returncode == 0
    assert not mark.exists()
    command[4] = str(os.getpid())
    assert subprocess.run(command, check=False).returncode == 0
    assert mark.exists()


def test_root_hands_the_server_to_an_account(made: EmbeddedPostgres) -> None:
    with made:
        owner = Path(f"/proc/{running_pid(made)}").stat().st_uid
    if os.geteuid() == 0:
        assert owner != 0
        assert owner == made.directory.stat().st_uid
    else:
        assert owner == os.geteuid()


def test_root_without_such_an_account_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr("pwd.getpwnam", unknown)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(ConfigurationError, match="ordinary user"):
        _ = server_in(tmp_path).command


def test_a_missing_wheel_says_what_to_install(made: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ConfigurationError, match="MEREAU_DATABASE_URL"):
        _ = made.command
