"""Counters of rules: what is counted under which key, and what a limit leaves. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from mereau.earning.domain import Limit, Period, RuleSpec
from mereau.programs.calendar.domain import period_start

EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class CounterKey:
    """One counter. `rule` is an external id, so that versions share it; empty texts stand for all of them."""

    rule: str
    member_id: str
    period: str
    starts_at: datetime


@dataclass(frozen=True, slots=True)
class Count:
    """How often a rule fired, the tokens that it gave, and the occasions that qualified for every n-th."""

    uses: int = 0
    tokens: int = 0
    seen: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.uses + other.uses, self.tokens + other.tokens, self.seen + other.seen)


_ONCE_A_DAY: Final = Limit(per="member", period="day", uses=1)
_ONCE: Final = Limit(per="member", period="ever", uses=1)
NOTHING: Final = Count()
Usage = Mapping[CounterKey, Count]
"""What counts so far; a key that is absent counts nothing."""


@dataclass(frozen=True, slots=True)
class Dry:
    """A budget that has nothing left for an award, or not enough."""

    key: CounterKey
    rule: str
    limit_tokens: int


def starts_at(occurred_at: datetime, period: Period, zone: ZoneInfo) -> datetime:
    """When the period of an occasion began, at midnight of the zone; weeks begin on Monday, `ever` never ends."""
    return EVER if period == "ever" else period_start(occurred_at, period, zone)


def limits_of(spec: RuleSpec) -> tuple[Limit, ...]:
    """The limits of a rule, with those that its award implies."""
    limits = list(spec.limits)
    if spec.fixed is not None and spec.fixed.per == "visit":
        limits.append(_ONCE_A_DAY)
    if spec.first_only:
        limits.append(_ONCE)
    return tuple(limits)


def key_of(external_id: str, limit: Limit, member_id: str, occurred_at: datetime, zone: ZoneInfo) -> CounterKey:
    """Where a limit's award is counted."""
    return CounterKey(
        "" if limit.per == "programme" else external_id,
        member_id if limit.per == "member" else "",
        limit.period,
        starts_at(occurred_at, limit.period, zone),
    )


def nth_key(external_id: str, period: Period, member_id: str, occurred_at: datetime, zone: ZoneInfo) -> CounterKey:
    """Where occasions are counted towards every n-th."""
    return CounterKey(external_id, member_id, period, starts_at(occurred_at, period, zone))


def keys_of(
    external_id: str, spec: RuleSpec, member_id: str, occurred_at: datetime, zone: ZoneInfo
) -> Iterator[CounterKey]:
    """Every counter that an award of this rule touches, perhaps one twice."""
    for limit in limits_of(spec):
        yield key_of(external_id, limit, member_id, occurred_at, zone)
    if spec.every_nth is not None:
        yield nth_key(external_id, spec.every_nth.period, member_id, occurred_at, zone)
