"""Children that end with their parent, and give up root where they are told to."""

import os
import pwd
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mereau.core.postgres import Account, launch_command

WHO = (
    "import os, pathlib; status = pathlib.Path('/proc/self/status').read_text().splitlines()\n"
    "print(os.geteuid(), os.getegid(), os.getgroups(), *[l.split()[1] for l in status if l.startswith('CapEff')])"
)
PARENT = (
    "import signal, sys, subprocess, time; from mereau.core.postgres import launch_command\n"
    "if int(sys.argv[3]): signal.signal(int(sys.argv[2]), signal.SIG_IGN)\n"
    "command = [sys.executable, '-c', sys.argv[1]]\n"
    "child = subprocess.Popen(launch_command(command, stop_signal=int(sys.argv[2])))\n"
    "print(child.pid, flush=True); time.sleep(60)"
)


def output_of(*command: str, account: Account | None = None) -> str:
    launched = launch_command(list(command), stop_signal=signal.SIGTERM, account=account)
    return subprocess.run(launched, capture_output=True, text=True, check=True).stdout.strip()


def test_the_program_takes_the_launchers_place() -> None:
    command = launch_command([sys.executable, "-c", "import os; print(os.getpid())"], stop_signal=signal.SIGTERM)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        output, _ = process.communicate()
    assert int(output) == process.pid


def test_arguments_arrive_as_they_are() -> None:
    words = ["", "a b", "--", "-x", "é", "$HOME"]
    assert output_of(sys.executable, "-c", "import sys; print(sys.argv[1:])", *words) == str(words)


def test_the_exit_code_is_the_programs() -> None:
    command = launch_command([sys.executable, "-c", "import sys; sys.exit(7)"], stop_signal=signal.SIGTERM)
    assert subprocess.run(command, check=False).returncode == 7


@pytest.mark.parametrize(
    ("number", "ignored"),
    [(signal.SIGTERM, 0), (signal.SIGKILL, 0), (signal.SIGINT, 0), (signal.SIGINT, 1), (signal.SIGTERM, 1)],
)
def test_the_child_gets_the_signal_when_its_parent_is_killed(number: signal.Signals, ignored: int) -> None:
    """Even where the parent ignores it, as shells let what they start in the background."""
    # Until it runs its own code, an interpreter may swallow an interrupt.
    program = "import time; print('running', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, program, str(int(number)), str(ignored)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert parent.stdout.readline() == "running\n"
        parent.kill()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{child}").exists():
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.01)


def test_without_an_account_nobody_changes() -> None:
    uid, gid, *_ = output_of(sys.executable, "-c", WHO).split()
    assert (int(uid), int(gid)) == (os.geteuid(), os.getegid())


def is_refused(account: Account) -> bool:
    """Only root can become somebody else; anybody else gets an error, and the program does not run."""
    command = launch_command([sys.executable, "-c", "print('ran')"], stop_signal=signal.SIGTERM, account=account)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode != 0 and "PermissionError" in done.stderr and "ran" not in done.stdout


def test_root_becomes_the_account_and_keeps_one_right() -> None:
    """CAP_DAC_OVERRIDE is bit 1: files behind closed folders stay within reach, and nothing else does."""
    nobody = pwd.getpwnam("nobody")
    account = Account(nobody.pw_uid, nobody.pw_gid)
    if os.geteuid() != 0:
        assert is_refused(account)
        return
    uid, gid, groups, rights = output_of(sys.executable, "-c", WHO, account=account).split()
    assert (int(uid), int(gid), groups) == (nobody.pw_uid, nobody.pw_gid, "[]")
    assert int(rights, 16) in {0b10, 0}


def test_the_account_cannot_go_back() -> None:
    nobody = pwd.getpwnam("nobody")
    account = Account(nobody.pw_uid, nobody.pw_gid) if os.geteuid() == 0 else None
    program = "import os\ntry: os.setuid(0)\nexcept PermissionError: print('kept')"
    assert output_of(sys.executable, "-c", program, account=account) == "kept"
