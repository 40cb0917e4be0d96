"""Resident memory of a process and all its descendants.

PSS divides each shared page among the processes that map it, so its sum counts every page once; RSS counts
PostgreSQL's shared buffers once per back end. Where the kernel keeps PSS to itself, the sum of RSS stands in.
"""

import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_MIB: Final = 1024
_EVERY_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Usage:
    """Memory of one process, in MiB. `pss_mib` is None where the kernel does not tell it."""

    pid: int
    name: str
    rss_mib: float
    pss_mib: float | None


def children_of() -> dict[int, list[int]]:
    tree: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        tree.setdefault(parent, []).append(int(entry.name))
    return tree


def family(root: int) -> list[int]:
    """The process and all that descend from it."""
    tree, found = children_of(), [root]
    for pid in found:
        found += tree.get(pid, [])
    return found


def usage(pid: int) -> Usage | None:
    """None for a process that ended meanwhile."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        figures = {line.split()[0]: int(line.split()[1]) for line in lines[1:]}
        rss_kib, pss_kib = figures["Rss:"], figures.get("Pss:")
    except (OSError, KeyError, IndexError):
        try:
            status = Path(f"/proc/{pid}/status").read_text().splitlines()
            rss_kib, pss_kib = next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")), None
        except (OSError, StopIteration):
            return None
    return Usage(pid, _name(pid), rss_kib / _MIB, None if pss_kib is None else pss_kib / _MIB)


def of_family(root: int) -> list[Usage]:
    return [found for pid in family(root) if (found := usage(pid)) is not None]


def total_mib(usages: list[Usage]) -> float:
    """The sum by PSS where known, by RSS elsewhere."""
    return sum(item.rss_mib if item.pss_mib is None else item.pss_mib for item in usages)


def _name(pid: int) -> str:
    """The part that a process is: its module, or PostgreSQL's own title."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").split()
    except OSError:
        return "?"
    for word in words:
        if word.startswith("mereau."):
            return word.removeprefix("mereau.").removeprefix("cli.")
    if any("postgres" in word for word in words[:1]):
        return "postgres"
    return Path(words[0]).name if words else "?"


class Peak:
    """Samples a family while something runs and keeps the largest sample."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.largest: list[Usage] = []

    @property
    def mib(self) -> float:
        return total_mib(self.largest)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(_EVERY_S):
            now = of_family(self._root)
            if total_mib(now) > self.mib:
                self.largest = now
