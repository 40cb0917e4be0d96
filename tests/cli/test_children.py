"""Child processes: started, awaited, started again, stopped. The children here are real, only small."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mereau.cli import children
from mereau.cli.children import Child, Running, http_probe, python_command, run_once
from mereau.core.errors import ConfigurationError

SERVE = (
    "import sys, pathlib, os, time; mark = pathlib.Path(sys.argv[1])\n"
    "new = mark.with_suffix('.new'); new.write_text(str(os.getpid())); new.replace(mark)\n"
    "print('serving', os.environ.get('MEREAU_TEST'), flush=True); time.sleep(60)"
)
STUBBORN = (
    "import sys, pathlib, os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(60)"
)


class Bench:
    """One child under test with everything that it said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = folder / "mark"
        self.said: list[str] = []
        self.lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)

    async def serves(self, pid: int) -> bool:
        return self.mark.exists() and self.mark.read_text() == str(pid)

    def running(
        self, program: str, *, before: Callable[[], None] | None = None, timeout_s: float = 20, niceness: int = 0
    ) -> Running:
        child = Child(
            "part",
            python_command("-c", program, str(self.mark)),
            self.serves,
            self.folder / "part.log",
            {"MEREAU_TEST": "given"},
            before=before,
            timeout_s=timeout_s,
            niceness=niceness,
        )
        return Running(child, lock=self.lock, say=self.said.append)

    def pid(self) -> int:
        return int(self.mark.read_text())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def until(condition: Callable[[], bool], limit_s: float = 10) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        await asyncio.sleep(0.01)


def open_files(pid: int) -> set[str]:
    return {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


async def test_a_child_gets_its_environment_and_log(bench: Bench) -> None:
    running = bench.running(SERVE)
    await running.started()
    await running.stop()
    assert (bench.folder / "part.log").read_text() == "serving given\n"
    assert bench.said[0].startswith("part ready after ")
    assert is_gone(bench.pid())


@pytest.mark.parametrize("niceness", [0, 3])
async def test_a_child_stands_back_as_far_as_it_is_told(bench: Bench, niceness: int) -> None:
    threads = "import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    running = bench.running(threads + SERVE, niceness=niceness)
    await running.started()
    own = os.getpriority(os.PRIO_PROCESS, 0)
    tasks = [int(task.name) for task in Path(f"/proc/{bench.pid()}/task").iterdir()]
    assert [os.getpriority(os.PRIO_PROCESS, task) for task in tasks] == [own + niceness] * 2
    await running.stop()


async def test_a_child_that_dies_is_started_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "_BACKOFF_FIRST_S", 0.01)
    prepared: list[int] = []
    running = bench.running(SERVE, before=lambda: prepared.append(1))
    await running.started()
    first = bench.pid()
    os.kill(first, signal.SIGKILL)
    await until(lambda: bench.pid() != first and not is_gone(bench.pid()))
    assert bench.said[-1] == "part ended with code -9; starting it again in 0.01 s"
    assert len(prepared) == 2
    await running.stop()
    assert is_gone(bench.pid())


async def test_pauses_double_up_to_a_limit(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "_BACKOFF_FIRST_S", 0.01)
    monkeypatch.setattr(children, "_BACKOFF_LAST_S", 0.04)
    running = bench.running("import sys, time, pathlib, os\n" + SERVE.replace("time.sleep(60)", "time.sleep(0.05)"))
    await running.started()
    await until(lambda: sum("again" in line for line in bench.said) >= 4)
    await running.stop()
    pauses = [line.rpartition(" in ")[2] for line in bench.said if "again" in line]
    assert pauses[:4] == ["0.01 s", "0.02 s", "0.04 s", "0.04 s"]


async def test_a_child_that_stayed_up_gets_a_short_pause_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "_BACKOFF_FIRST_S", 0.01)
    monkeypatch.setattr(children, "_HEALTHY_S", 0.0)
    running = bench.running(SERVE.replace("time.sleep(60)", "time.sleep(0.05)"))
    await running.started()
    await until(lambda: sum("again" in line for line in bench.said) >= 3)
    await running.stop()
    assert {line.rpartition(" in ")[2] for line in bench.said if "again" in line} == {"0.01 s"}


async def test_a_preparation_that_fails_is_said_and_tried_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "_BACKOFF_FIRST_S", 0.01)
    calls: list[int] = []

    def before() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise ConfigurationError("somebody is in the way")

    running = bench.running(SERVE, before=before)
    await running.started()
    first = bench.pid()
    os.kill(first, signal.SIGKILL)
    await until(lambda: bench.pid() != first)
    await running.stop()
    assert "part: somebody is in the way" in bench.said


async def test_a_first_start_that_fails_is_final_and_says_why(bench: Bench) -> None:
    running = bench.running("import sys; print('the port is taken'); sys.exit(3)")
    with pytest.raises(ConfigurationError, match=r"part ended with code 3: the port is taken\. See .*part.log"):
        await running.started()


async def test_a_silent_failure_is_still_told(bench: Bench) -> None:
    with pytest.raises(ConfigurationError, match="no message"):
        await bench.running("import sys; sys.exit(3)").started()


async def test_a_child_that_never_serves_is_given_up(bench: Bench) -> None:
    running = bench.running("import time; time.sleep(60)", timeout_s=0.3)
    with pytest.raises(ConfigurationError, match="does not answer"):
        await running.started()
    process = running._process
    assert process is not None
    assert process.returncode == -signal.SIGTERM


async def test_a_child_that_will_not_end_is_killed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "_STOP_S", 0.2)
    running = bench.running(STUBBORN)
    await running.started()
    await running.stop()
    assert bench.said[-1] == "part does not end; killing it"
    assert is_gone(bench.pid())


async def test_stopping_what_never_started_is_harmless(bench: Bench) -> None:
    await bench.running(SERVE).stop()
    assert bench.said == []


async def test_a_child_keeps_the_lock(bench: Bench) -> None:
    running = bench.running(SERVE)
    await running.started()
    assert str(bench.folder / "lock") in open_files(bench.pid())
    await running.stop()


async def test_an_errand_runs_to_its_end(bench: Bench) -> None:
    command = [sys.executable, "-c", "import os, sys; print(os.environ['MEREAU_TEST'], file=sys.stderr)"]
    log = bench.folder / "errand.log"
    await run_once("errand", command, log=log, environment={"MEREAU_TEST": "here"}, lock=bench.lock)
    assert log.read_text() == "here\n"


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import sys; print('first\\nthe reason\\n\\n', file=sys.stderr); sys.exit(1)", "the reason"),
        ("import sys; sys.exit(4)", "errand ended with code 4"),
    ],
)
async def test_a_failing_errand_says_its_last_words(bench: Bench, program: str, words: str) -> None:
    command = [sys.executable, "-c", program]
    with pytest.raises(ConfigurationError, match=words):
        await run_once("errand", command, log=bench.folder / "e.log", environment={}, lock=bench.lock)


async def test_a_cancelled_errand_is_killed(bench: Bench) -> None:
    command = python_command("-c", SERVE, str(bench.mark))()
    errand = asyncio.create_task(
        run_once("errand", command, log=bench.folder / "e.log", environment={}, lock=bench.lock)
    )
    await until(bench.mark.exists)
    await until(lambda: bench.mark.read_text() != "")
    errand.cancel()
    with pytest.raises(asyncio.CancelledError):
        await errand
    assert is_gone(bench.pid())


async def answering(status: str) -> tuple[asyncio.Server, str, list[bytes]]:
    """A server that answers every request with one status line."""
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        if b"Content-Length: " in heard[-1]:
            length = int(heard[-1].partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
            heard[-1] += await reader.readexactly(length)
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    return server, f"http://127.0.0.1:{port}", heard


@pytest.mark.parametrize(("status", "serves"), [("200 OK", True), ("503 Service Unavailable", False)])
async def test_a_probe_asks_for_200(status: str, serves: bool) -> None:
    server, url, heard = await answering(status)
    assert await http_probe(f"{url}/readyz")(0) is serves
    server.close()
    assert heard[0].startswith(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:")


async def test_a_probe_with_a_body_posts_it() -> None:
    server, url, heard = await answering("200 OK")
    assert await http_probe(url, body=b'{"id":1}')(0)
    server.close()
    assert heard[0].startswith(b"POST / HTTP/1.1\r\n")
    assert heard[0].endswith(b'{"id":1}')


async def test_a_probe_of_nobody_is_no() -> None:
    server, url, _ = await answering("200 OK")
    server.close()
    await server.wait_closed()
    assert not await http_probe(url)(0)


async def test_a_probe_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "_PROBE_S", 0.05)

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silence, "127.0.0.1", 0)
    assert not await http_probe(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")(0)
    server.close()
