"""Calendar arithmetic of birthdays, months of membership and lapses; what events tell of."""

import calendar
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.earning.milestones.domain import (
    BELATED_DAYS,
    Milestone,
    celebrated_on,
    day_start,
    joining_days,
    milestone_of,
    months_between,
    recent_days,
)

PARIS = ZoneInfo("Europe/Paris")
DAYS = st.dates(date(1990, 1, 1), date(2060, 12, 31))
ZONES = st.sampled_from(["Europe/Paris", "Pacific/Apia", "America/New_York", "Asia/Kathmandu", "UTC"])
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def days_of(year: int) -> list[date]:
    return [date(year, 1, 1) + timedelta(days=n) for n in range(366 if calendar.isleap(year) else 365)]


@given(st.dates(date(1900, 1, 1), date(2026, 12, 31)), st.integers(2027, 2060))
def test_everybody_has_one_birthday_a_year(born: date, year: int) -> None:
    days = [day for day in days_of(year) if (born.month, born.day) in celebrated_on(day)]
    assert len(days) == 1
    assert days[0].month == born.month
    if (born.month, born.day) != (2, 29):
        assert days[0].day == born.day


@pytest.mark.parametrize(("year", "day"), [(2027, 28), (2028, 29), (2100, 28)])
def test_the_leap_day_is_celebrated_on_the_28th_of_common_years(year: int, day: int) -> None:
    days = [(one.month, one.day) for one in days_of(year) if (2, 29) in celebrated_on(one)]
    assert days == [(2, day)]


@given(DAYS, st.integers(2027, 2040))
def test_a_month_of_membership_ends_once_a_month(joined: date, year: int) -> None:
    ends = [day for day in days_of(year) if joined.day in joining_days(day)]
    assert [day.month for day in ends] == list(range(1, 13))
    assert all(day.day == min(joined.day, calendar.monthrange(year, day.month)[1]) for day in ends)


@given(DAYS, DAYS)
def test_months_are_counted_by_the_calendar(joined: date, day: date) -> None:
    months = months_between(joined, day)
    year, month = divmod(joined.year * 12 + joined.month - 1 + months, 12)
    assert (year, month + 1) == (day.year, day.month)
    assert months_between(day, joined) == -months


@given(DAYS, ZONES)
def test_a_day_begins_where_the_programme_is(day: date, zone_name: str) -> None:
    zone = ZoneInfo(zone_name)
    start = day_start(day, zone)
    assert start.astimezone(zone).date() == day
    assert (start - timedelta(seconds=1)).astimezone(zone).date() < day


@given(DAYS, st.integers(0, 86_399), ZONES)
def test_the_days_looked_at_end_with_today(day: date, second: int, zone_name: str) -> None:
    now = datetime.combine(day, time(), UTC) + timedelta(seconds=second)
    days = recent_days(now, ZoneInfo(zone_name))
    assert len(days) == BELATED_DAYS + 1
    assert days[-1] == now.astimezone(ZoneInfo(zone_name)).date()
    assert days == sorted(set(days))


def test_midnight_is_the_programmes() -> None:
    """Half past eleven in the evening of UTC is tomorrow in Paris."""
    assert recent_days(datetime(2026, 2, 27, 23, 30, tzinfo=UTC), PARIS)[-1] == date(2026, 2, 28)


@pytest.mark.parametrize(
    ("trigger", "payload", "expected"),
    [
        ("sign_up", {"external_id": "c"}, Milestone("obj_1", "obj_1", NOW)),
        ("newsletter_opt_in", {"kind": "newsletter"}, Milestone("obj_1", "obj_1", NOW)),
        ("newsletter_opt_in", {"kind": "terms"}, None),
        (
            "tier_reached",
            {"member_id": "mem_1", "to": "tie_9", "direction": "up"},
            Milestone("mem_1", "tier_tie_9", NOW, attributes={"tier": "tie_9"}),
        ),
        ("tier_reached", {"member_id": "mem_1", "to": "tie_9", "direction": "down"}, None),
        ("tier_reached", {"member_id": "mem_1", "to": "tie_9", "direction": "kept"}, None),
        ("tier_reached", {"member_id": "mem_1", "to": None, "direction": "up"}, None),
        (
            "object_activated",
            {"member_id": "mem_1", "sku": "mug", "price": 1.5, "tags": ["a"]},
            Milestone("mem_1", "obj_1", NOW, attributes={"member_id": "mem_1", "sku": "mug"}),
        ),
        ("object_taken_back", {"sku": "mug"}, None),
    ],
)
def test_events_tell_of_milestones(trigger: str, payload: dict[str, object], expected: Milestone | None) -> None:
    assert milestone_of(trigger, "obj_1", payload, NOW) == expected
