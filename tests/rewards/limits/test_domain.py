"""Limits and the counters that they need."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from mereau.rewards.limits.domain import Limit, counts, findings

PARIS = ZoneInfo("Europe/Paris")
# Half past eleven at night in London is the next day in Paris, and the next month.
LATE = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)


def test_a_counter_is_the_members_or_everybodys() -> None:
    mine, all_ = counts([Limit("member", 2), Limit("everybody", 9)], "mem_1", LATE, PARIS)
    assert (mine.key, mine.pieces_max, mine.ends_at) == (("mem_1", "ever", ""), 2, None)
    assert (all_.key, all_.pieces_max, all_.ends_at) == (("", "ever", ""), 9, None)


@pytest.mark.parametrize(
    ("period", "starts_on", "ends_at"),
    [
        ("day", "2026-02-01", datetime(2026, 2, 1, 23, tzinfo=UTC)),
        ("week", "2026-01-26", datetime(2026, 2, 1, 23, tzinfo=UTC)),
        ("month", "2026-02-01", datetime(2026, 2, 28, 23, tzinfo=UTC)),
        ("year", "2026-01-01", datetime(2026, 12, 31, 23, tzinfo=UTC)),
    ],
)
def test_periods_are_those_of_the_programmes_zone(period: str, starts_on: str, ends_at: datetime) -> None:
    (count,) = counts([Limit("member", 1, period)], "mem_1", LATE, PARIS)
    assert (count.starts_on, count.ends_at) == (starts_on, ends_at)


@pytest.mark.parametrize(
    ("limits", "pointers"),
    [
        ([], []),
        ([Limit("member", 1), Limit("member", 1, "day"), Limit("everybody", 1)], []),
        ([Limit("member", 0)], ["/limits/0/pieces"]),
        ([Limit("member", 10**9 + 1)], ["/limits/0/pieces"]),
        ([Limit("member", 1, "day"), Limit("member", 2, "day")], ["/limits/1"]),
    ],
)
def test_limits_are_judged_one_by_one(limits: list[Limit], pointers: list[str]) -> None:
    assert [found.pointer for found in findings(limits)] == pointers
