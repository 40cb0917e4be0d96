"""The measuring tools: what they count, what they print, what they refuse."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

LIB = Path(__file__).parents[2] / "scripts" / "lib"
ALLOCATE = "import sys, time; block = b'x' * int(sys.argv[1]); print('there', flush=True); time.sleep(60)"
PARENT = (
    "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', sys.argv[1], sys.argv[2]]); child.wait()"
)
MIB = 2**20


def load(name: str) -> ModuleType:
    """A module of scripts/lib, which is no package."""
    spec = importlib.util.spec_from_file_location(name, LIB / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def memory() -> ModuleType:
    return load("bench_memory")


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(LIB / "bench_main.py"), *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("arguments", [(), ("speed",), ("speed", "--json")])
def test_an_unknown_measurement_lists_the_known(arguments: tuple[str, ...]) -> None:
    done = bench(*arguments)
    assert done.returncode == 2
    for name in ("gas", "startup", "memory", "import"):
        assert f"  {name}" in done.stderr
    assert done.stdout == ""


def test_a_machine_is_described_with_yardsticks() -> None:
    described = load("bench_machine").machine()
    assert described["cores"] == len(os.sched_getaffinity(0))
    assert 0 < described["loop_s"] < 60
    assert described["fsync_ms"] >= 0
    assert json.loads(json.dumps(described)) == described


def test_memory_of_a_process_grows_with_what_it_holds(memory: ModuleType) -> None:
    small, large = (holding(size) for size in (0, 64 * MIB))
    try:
        difference = memory.usage(large.pid).rss_mib - memory.usage(small.pid).rss_mib
        assert 60 < difference < 70
    finally:
        for process in (small, large):
            process.kill()
            process.communicate()


def holding(size: int) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", ALLOCATE, str(size)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "there\n"
    return process


def test_a_family_is_the_process_and_its_descendants(memory: ModuleType) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, ALLOCATE, str(32 * MIB)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    parent.stdout.readline()
    family = memory.family(parent.pid)
    try:
        assert len(family) == 2
        assert family[0] == parent.pid
        usages = memory.of_family(parent.pid)
        assert memory.total_mib(usages) > 32
        # Pages that both map count once, so the sum by PSS is never the larger one.
        assert memory.total_mib(usages) <= sum(item.rss_mib for item in usages)
    finally:
        os.kill(family[-1], 9)
        parent.communicate()


def test_a_process_that_ended_uses_nothing(memory: ModuleType) -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    assert memory.usage(process.pid) is None
    assert memory.of_family(process.pid) == []


def test_without_pss_the_sum_is_by_rss(memory: ModuleType) -> None:
    usages = [memory.Usage(1, "a", 10.0, None), memory.Usage(2, "b", 20.0, 5.0)]
    assert memory.total_mib(usages) == 15.0


def test_a_peak_is_remembered(memory: ModuleType) -> None:
    before = memory.total_mib(memory.of_family(os.getpid()))
    with memory.Peak(os.getpid()) as peak:
        process = holding(48 * MIB)
        deadline = time.monotonic() + 30
        while peak.mib < before + 40:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.kill()
        process.communicate()
    assert peak.mib >= before + 40


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["-c", "import time; time.sleep(60)"], Path(sys.executable).name),
        (["-c", "import time; time.sleep(60)", "mereau.cli.serve_api"], "serve_api"),
        (["-c", "import time; time.sleep(60)", "mereau.worker"], "worker"),
    ],
)
def test_a_part_is_named_by_its_module(memory: ModuleType, command: list[str], name: str) -> None:
    process = subprocess.Popen([sys.executable, *command])
    try:
        deadline = time.monotonic() + 10
        while memory.usage(process.pid).name != name:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
