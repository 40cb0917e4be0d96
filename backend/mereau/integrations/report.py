"""What an import did, in figures and in lines that somebody should look at."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Final, Literal

DETAILS_MAX: Final = 10_000
"""So many refused and so many unmatched lines are listed; beyond, they are counted only."""


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """How far an import is: bytes of the file while `reading`, documents while `posting`."""

    phase: Literal["reading", "posting"]
    done: int
    total: int
    lines: int


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line that was left out, or the first line of a document that was."""

    line_number: int
    reason: str


@dataclass(frozen=True, slots=True)
class UnmatchedReturn:
    """Units that came back and belong to no earlier sale; nothing was reversed for them."""

    line_number: int
    document: str
    sku: str
    quantity: int


@dataclass(slots=True)
class ImportReport:
    """Figures of one run. A second run of a file records nothing and counts everything as already recorded.

    `lines_unpriced` have a price of 0, `lines_adjustment` are neither sale nor return; both earn nothing.
    `tokens_credited`, `tokens_reversed` and the unmatched lines are those of this run: a return that was
    recorded in part is not looked at again. Return lines without a customer are counted among
    `lines_without_customer`, not as unmatched.
    """

    lines_read: int = 0
    lines_refused: int = 0
    lines_without_customer: int = 0
    lines_unpriced: int = 0
    lines_adjustment: int = 0
    sales: int = 0
    sales_recorded: int = 0
    sales_already_recorded: int = 0
    sales_refused: int = 0
    returns: int = 0
    returns_recorded: int = 0
    returns_already_recorded: int = 0
    returns_unmatched: int = 0
    returns_refused: int = 0
    lines_unmatched: int = 0
    units_unmatched: int = 0
    members: int = 0
    tokens_credited: int = 0
    tokens_due: int = 0
    tokens_reversed: int = 0
    refused: list[RefusedLine] = field(default_factory=list)
    unmatched: list[UnmatchedReturn] = field(default_factory=list)

    def refuse_line(self, line_number: int, reason: str) -> None:
        """Count and list a line that was left out."""
        self.lines_refused += 1
        self._list_refused(line_number, reason)

    def refuse_document(self, line_number: int, reason: str) -> None:
        """List a document that was left out; its lines are not refused one by one."""
        self._list_refused(line_number, reason)

    def note_unmatched(self, line: UnmatchedReturn) -> None:
        """Count and list units that found no sale."""
        self.lines_unmatched += 1
        self.units_unmatched += line.quantity
        if len(self.unmatched) < DETAILS_MAX:
            self.unmatched.append(line)

    def add(self, other: "ImportReport") -> None:
        """Add the figures and the listed lines of another part of the same run."""
        for name in FIGURES:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.refused += other.refused[: DETAILS_MAX - len(self.refused)]
        self.unmatched += other.unmatched[: DETAILS_MAX - len(self.unmatched)]

    def to_dict(self) -> Mapping[str, object]:
        """The report as JSON values."""
        return asdict(self)

    def _list_refused(self, line_number: int, reason: str) -> None:
        if len(self.refused) < DETAILS_MAX:
            self.refused.append(RefusedLine(line_number, reason))


FIGURES: Final = tuple(item.name for item in fields(ImportReport) if item.name not in {"refused", "unmatched"})
"""Names of the report's counts."""
