"""What a measurement ran on, with two yardsticks: figures of two machines compare by these."""

import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

_LOOP: Final = 2_000_000
_SYNCS: Final = 20


def machine() -> dict[str, str | int | float]:
    """Cores, memory, system; seconds of a fixed Python loop; milliseconds of one fsync (median)."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": memory_mib(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "loop_s": round(min(_loop_s() for _ in range(3)), 3),
        "fsync_ms": round(_fsync_ms(), 2),
        "load": round(os.getloadavg()[0], 2),
    }


def memory_mib() -> int:
    """All of the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _loop_s() -> float:
    began = time.perf_counter()
    total = 0
    for number in range(_LOOP):
        total += number & 7
    return time.perf_counter() - began


def _fsync_ms() -> float:
    times = []
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(_SYNCS):
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)
