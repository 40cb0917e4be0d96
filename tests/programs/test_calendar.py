"""Periods and months in a time zone."""

from datetime import UTC, date, datetime, timedelta
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.programs.calendar.domain import (
    Period,
    add_months,
    day_of,
    end_of,
    first_day,
    midnight,
    next_first_day,
    period_start,
    same_time_on,
)

PARIS = ZoneInfo("Europe/Paris")
ZONES = st.sampled_from([PARIS, ZoneInfo("America/New_York"), ZoneInfo("Asia/Kathmandu"), ZoneInfo("Africa/Cairo")])
PERIODS: st.SearchStrategy[Period] = st.sampled_from(get_args(Period))
INSTANTS = st.timedeltas(timedelta(), timedelta(days=100 * 365)).map(lambda age: datetime(1990, 1, 1, tzinfo=UTC) + age)


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2028, 2, 29), 12, date(2029, 2, 28)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
        (date(2026, 3, 31), -1, date(2026, 2, 28)),
        (date(2026, 1, 1), -1, date(2025, 12, 1)),
        (date(2026, 5, 5), 0, date(2026, 5, 5)),
    ],
)
def test_months_end_where_the_month_does(day: date, months: int, expected: date) -> None:
    assert add_months(day, months) == expected


@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)), st.integers(-120, 120))
def test_a_month_is_counted_whatever_the_day(day: date, months: int) -> None:
    later = add_months(day, months)
    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == months
    assert later.day <= day.day


@pytest.mark.parametrize(
    ("period", "first", "following"),
    [
        ("day", date(2026, 8, 20), date(2026, 8, 21)),
        ("week", date(2026, 8, 17), date(2026, 8, 24)),
        ("month", date(2026, 8, 1), date(2026, 9, 1)),
        ("quarter", date(2026, 7, 1), date(2026, 10, 1)),
        ("half_year", date(2026, 7, 1), date(2027, 1, 1)),
        ("year", date(2026, 1, 1), date(2027, 1, 1)),
    ],
)
def test_periods_have_a_first_day(period: Period, first: date, following: date) -> None:
    assert first_day(date(2026, 8, 20), period) == first
    assert next_first_day(date(2026, 8, 20), period) == following


def test_a_day_is_the_zones_own() -> None:
    late = datetime(2026, 6, 30, 22, 30, tzinfo=UTC)
    assert day_of(late, PARIS) == date(2026, 7, 1)
    assert period_start(late, "month", PARIS) == datetime(2026, 6, 30, 22, tzinfo=UTC)
    assert period_start(late, "month", ZoneInfo("UTC")) == datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 7, 1), 24)])
def test_a_day_has_the_hours_that_the_clocks_leave_it(day: date, hours: int) -> None:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    assert end_of(noon, "day", PARIS) - period_start(noon, "day", PARIS) == timedelta(hours=hours)


def test_where_midnight_is_skipped_the_day_begins_when_the_clocks_are_forward() -> None:
    cairo = ZoneInfo("Africa/Cairo")
    begins = midnight(date(2024, 4, 26), cairo)
    assert begins == datetime(2024, 4, 25, 22, tzinfo=UTC)
    assert begins.astimezone(cairo).hour == 1


def test_the_wall_clock_is_kept_from_day_to_day() -> None:
    at = datetime(2026, 3, 28, 9, tzinfo=UTC)
    assert same_time_on(at, date(2026, 3, 29), PARIS) == datetime(2026, 3, 29, 8, tzinfo=UTC)


@given(INSTANTS, PERIODS, ZONES)
def test_every_instant_lies_in_its_period_and_the_next_begins_at_its_end(
    instant: datetime, period: Period, tz: ZoneInfo
) -> None:
    start, end = period_start(instant, period, tz), end_of(instant, period, tz)
    assert start <= instant < end
    assert period_start(end, period, tz) == end
    assert period_start(end - timedelta(microseconds=1), period, tz) == start
