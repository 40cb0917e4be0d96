"""CPU time by program, of this process and all that descends from it."""

import os
from collections import defaultdict
from pathlib import Path
from typing import Final

from bench_memory import family

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_USER: Final = 11
"""The index of utime after a process's name in /proc/PID/stat; stime and those of ended children follow."""


def cpu_s() -> dict[str, float]:
    """Seconds by program name, children that ended included; this process is `self`, without its children."""
    spent: defaultdict[str, float] = defaultdict(float)
    for pid in family(os.getpid()):
        own = pid == os.getpid()
        name, seconds = cpu_of(pid, children=not own)
        spent["self" if own else name] += seconds
    spent.pop("", None)
    return dict(spent)


def cpu_of(pid: int, *, children: bool = True) -> tuple[str, float]:
    """A process's name and its seconds, with those of children that ended; no name where it ended itself."""
    try:
        head, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")
    except OSError:
        return "", 0.0
    ticks = rest.split()[_USER : _USER + (4 if children else 2)]
    return head.partition("(")[2], sum(map(int, ticks)) / _TICKS_PER_S
