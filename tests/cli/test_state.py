"""One stack per data directory: who holds it, and how others find it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mereau.cli import state
from mereau.cli.state import RunState, lock, running, write_run_state
from mereau.core.errors import ConfigurationError
from mereau.core.layout import Layout

HOLDER = (
    "import sys, time, pathlib; from mereau.cli.state import *; from mereau.core.layout import Layout\n"
    "layout = Layout(pathlib.Path(sys.argv[1])); lock(layout)\n"
    "write_run_state(layout, RunState(1, 'postgresql://d', 'http://c', 'http://a'))\n"
    "print('held', flush=True); time.sleep(60)"
)
# The child inherits the lock as the parts of the stack do, and outlives its parent for a moment.
PARENT_WITH_CHILD = (
    "import subprocess, sys, time, pathlib; from mereau.cli.state import *\n"
    "from mereau.core.layout import Layout\n"
    "held = lock(Layout(pathlib.Path(sys.argv[1])))\n"
    "child = subprocess.Popen([sys.executable, '-c', f'import time; time.sleep({sys.argv[2]})'], pass_fds=[held])\n"
    "print(child.pid, flush=True); time.sleep(60)"
)


def other_process(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True)


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_second_holder_learns_how_to_find_the_first(tmp_path: Path) -> None:
    first = other_process(HOLDER, str(tmp_path))
    try:
        assert first_line(first) == "held"
        with pytest.raises(ConfigurationError, match=rf"process {first.pid}, http://a") as refusal:
            lock(Layout(tmp_path))
        assert f"kill {first.pid}" in refusal.value.detail
        assert "--data-dir" in refusal.value.detail
    finally:
        end(first)


def test_a_dead_holder_does_not_matter(tmp_path: Path) -> None:
    first = other_process(HOLDER, str(tmp_path))
    assert first_line(first) == "held"
    end(first)
    descriptor = lock(Layout(tmp_path))
    assert (tmp_path / "lock").read_text() == str(os.getpid())
    assert not (tmp_path / "run.json").exists()
    os.close(descriptor)


def test_children_of_a_killed_holder_are_waited_for(tmp_path: Path) -> None:
    parent = other_process(PARENT_WITH_CHILD, str(tmp_path), "0.6")
    first_line(parent)
    parent.kill()
    parent.wait()
    began = time.monotonic()
    os.close(lock(Layout(tmp_path)))
    assert 0.2 < time.monotonic() - began < 10
    parent.communicate()


def test_children_that_stay_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: nobody waits for ever, and the way out is said."""
    monkeypatch.setattr(state, "_LINGER_S", 0.1)
    parent = other_process(PARENT_WITH_CHILD, str(tmp_path), "60")
    child = int(first_line(parent))
    parent.kill()
    parent.wait()
    try:
        with pytest.raises(ConfigurationError, match="fuser"):
            lock(Layout(tmp_path))
    finally:
        os.kill(child, signal.SIGKILL)
        parent.communicate()


def test_a_holder_that_ended_and_was_not_reaped_is_dead(tmp_path: Path) -> None:
    """A supervisor killed under a test harness or an init that sleeps stays as a zombie."""
    parent = other_process(PARENT_WITH_CHILD, str(tmp_path), "0.3")
    first_line(parent)
    parent.kill()
    os.close(lock(Layout(tmp_path)))
    parent.communicate()


def test_a_running_stack_is_found(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    descriptor = lock(layout)
    written = RunState(os.getpid(), "postgresql://d", "http://c", None)
    write_run_state(layout, written)
    assert running(layout) == written
    os.close(descriptor)
    assert running(layout) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', '"text"'])
def test_a_broken_run_file_means_that_nothing_runs(tmp_path: Path, content: str) -> None:
    layout = Layout(tmp_path)
    descriptor = lock(layout)
    layout.run_file.write_text(content)
    assert running(layout) is None
    os.close(descriptor)


def test_an_empty_directory_has_nothing_running(tmp_path: Path) -> None:
    assert running(Layout(tmp_path / "nowhere")) is None
    assert not (tmp_path / "nowhere").exists()


def test_a_lock_file_with_other_words_is_no_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "_LINGER_S", 0.1)
    layout = Layout(tmp_path)
    descriptor = lock(layout)
    layout.lock_file.write_text("somebody")
    with pytest.raises(ConfigurationError, match="fuser"):
        lock(layout)
    os.close(descriptor)
