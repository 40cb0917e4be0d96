"""Limits on pieces, per member or for all, for ever or per period. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from zoneinfo import ZoneInfo

from mereau.core.errors import FieldError
from mereau.programs.calendar.domain import Period, day_of, end_of, first_day

LIMITS_MAX: Final = 6
PIECES_MAX: Final = 10**9

Owner = Literal["member", "everybody"]


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many pieces of a reward for each member, or for all members together; no period is for ever."""

    per: Owner
    pieces: int
    period: Period | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """The counter that a redemption moves for one limit. `owner_id` is empty where all members share it."""

    owner_id: str
    period: str
    starts_on: str
    pieces_max: int
    ends_at: datetime | None

    @property
    def key(self) -> tuple[str, str, str]:
        return self.owner_id, self.period, self.starts_on


def findings(limits: Sequence[Limit]) -> Iterator[FieldError]:
    """What is wrong with the limits of one reward."""
    seen = set()
    for i, limit in enumerate(limits):
        if not 0 < limit.pieces <= PIECES_MAX:
            yield FieldError(f"/limits/{i}/pieces", "out_of_range", f"Must be between 1 and {PIECES_MAX}.")
        if (limit.per, limit.period) in seen:
            yield FieldError(f"/limits/{i}", "repeated", "There is a limit of this kind already.")
        seen.add((limit.per, limit.period))


def counts(limits: Iterable[Limit], member_id: str, at: datetime, tz: ZoneInfo) -> list[Count]:
    """The counters of a redemption by this member at this instant; periods are those of the programme's zone."""
    return [_count(limit, member_id, at, tz) for limit in limits]


def _count(limit: Limit, member_id: str, at: datetime, tz: ZoneInfo) -> Count:
    owner_id = member_id if limit.per == "member" else ""
    if limit.period is None:
        return Count(owner_id, "ever", "", limit.pieces, None)
    first = first_day(day_of(at, tz), limit.period)
    return Count(owner_id, limit.period, first.isoformat(), limit.pieces, end_of(at, limit.period, tz))
