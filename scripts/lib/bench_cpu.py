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
        try:
            head, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")
        except OSError:
            continue
        own = pid == os.getpid()
        ticks = rest.split()[_USER : _USER + (2 if own else 4)]
        spent["self" if own else head.partition("(")[2]] += sum(map(int, ticks)) / _TICKS_PER_S
    return dict(spent)
