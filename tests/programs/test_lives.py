"""Lives of tokens: what may be said of them, and what follows for a lot."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.core.errors import InvalidInputError
from mereau.programs.lives.domain import (
    Calendar,
    Delayed,
    Expiry,
    Immediate,
    Inactivity,
    Never,
    OnDates,
    OnEvent,
    Rolling,
    expiry_of,
    lot_life,
    parse_activation,
    parse_expiry,
    shortest_days,
)

PARIS = ZoneInfo("Europe/Paris")
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)
INSTANTS = st.timedeltas(timedelta(), timedelta(days=80 * 365)).map(lambda age: datetime(2000, 1, 1, tzinfo=UTC) + age)
DATES = st.frozensets(st.dates(date(2028, 1, 1), date(2028, 12, 31)).map(lambda day: f"{day:%m-%d}"), min_size=1)
EXPIRIES: st.SearchStrategy[Expiry] = st.one_of(
    st.builds(
        Rolling,
        amount=st.integers(1, 120),
        unit=st.sampled_from(["day", "month"]),
        round_to=st.sampled_from([None, "day", "month", "quarter", "half_year", "year"]),
    ),
    st.builds(Calendar, dates=DATES.filter(lambda dates: len(dates) <= 20), days_min=st.integers(0, 800)),
    st.builds(Inactivity, days=st.integers(1, 800)),
)


def paris(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=PARIS)


@pytest.mark.parametrize(
    ("expiry", "start", "expected"),
    [
        (Rolling(amount=1, unit="month"), paris(2026, 1, 31, 9), paris(2026, 2, 28, 9)),
        (Rolling(amount=12, unit="month"), paris(2028, 2, 29, 9), paris(2029, 2, 28, 9)),
        (Rolling(amount=2, unit="month"), paris(2026, 2, 10, 9), paris(2026, 4, 10, 9)),
        (Rolling(amount=10), paris(2026, 1, 1, 9), paris(2026, 1, 11, 9)),
        (Rolling(amount=1, unit="month", round_to="day"), paris(2026, 1, 10, 9), paris(2026, 2, 11)),
        (Rolling(amount=1, unit="month", round_to="month"), paris(2026, 1, 31, 9), paris(2026, 3, 1)),
        (Rolling(amount=1, unit="month", round_to="quarter"), paris(2026, 1, 31, 9), paris(2026, 4, 1)),
        (Rolling(amount=1, unit="month", round_to="half_year"), paris(2026, 1, 31, 9), paris(2026, 7, 1)),
        (Rolling(amount=12, unit="month", round_to="year"), paris(2026, 1, 31, 9), paris(2028, 1, 1)),
        (Calendar(dates=frozenset({"01-31", "06-30"})), paris(2026, 1, 31, 9), paris(2026, 6, 30)),
        (Calendar(dates=frozenset({"01-31", "06-30"})), paris(2026, 7, 1), paris(2027, 1, 31)),
        (Calendar(dates=frozenset({"01-31", "06-30"}), days_min=30), paris(2026, 6, 15), paris(2027, 1, 31)),
        (Calendar(dates=frozenset({"02-29"})), paris(2026, 1, 1), paris(2026, 2, 28)),
        (Calendar(dates=frozenset({"02-29"})), paris(2028, 1, 1), paris(2028, 2, 29)),
        (Inactivity(days=90), paris(2026, 1, 1), paris(2026, 4, 1, 1)),
    ],
)
def test_tokens_expire_when_the_policy_says(expiry: Expiry, start: datetime, expected: datetime) -> None:
    assert expiry_of(expiry, start, PARIS) == expected.astimezone(UTC)


def test_a_window_runs_from_the_occasion_and_the_expiry_clock_from_activation() -> None:
    week = Rolling(amount=7)
    assert lot_life(Immediate(), week, NOON - DAY, NOON, PARIS) == (NOON, NOON + 7 * DAY)
    assert lot_life(Delayed(delay_s=86_400), week, NOON, NOON, PARIS) == (NOON + DAY, NOON + 8 * DAY)
    assert lot_life(Delayed(delay_s=86_400), week, NOON - 400 * DAY, NOON, PARIS) == (NOON, NOON + 7 * DAY)
    assert lot_life(Immediate(), Never(), NOON, NOON, PARIS) == (NOON, None)


@given(st.integers(0, 10**8), st.integers(1, 366 * 86_400), st.integers(1, 3_660))
def test_a_life_is_never_shorter_than_promised(age_s: int, delay_s: int, days: int) -> None:
    occurred_at = NOON - timedelta(seconds=age_s)
    activates_at, expires_at = lot_life(Delayed(delay_s=delay_s), Rolling(amount=days), occurred_at, NOON, PARIS)
    assert activates_at == max(NOON, occurred_at + timedelta(seconds=delay_s))
    assert expires_at == activates_at + timedelta(days=days)


def test_tokens_that_wait_for_an_event_wait_no_longer_than_it_says() -> None:
    tenth = OnEvent(latest_s=10 * 86_400)
    assert lot_life(tenth, Rolling(amount=7), NOON, NOON, PARIS) == (NOON + 10 * DAY, NOON + 17 * DAY)
    assert lot_life(tenth, Never(), NOON - 400 * DAY, NOON, PARIS) == (NOON, None)
    assert parse_activation(tenth.to_dict()) == tenth


@pytest.mark.parametrize("latest_s", [None, 0, 366 * 86_400 + 1, True, "60"])
def test_an_event_without_a_latest_moment_is_refused(latest_s: object) -> None:
    raw = {"mode": "event"} | ({} if latest_s is None else {"latest_s": latest_s})
    with pytest.raises(InvalidInputError) as refusal:
        parse_activation(raw)
    assert [found.pointer for found in refusal.value.errors] == ["/latest_s"]


def test_tokens_may_wait_for_the_next_of_some_days() -> None:
    quarters = OnDates(dates=frozenset({"01-01", "04-01", "07-01", "10-01"}))
    starts = paris(2026, 4, 1).astimezone(UTC)
    assert lot_life(quarters, Rolling(amount=1), NOON, NOON, PARIS) == (starts, starts + DAY)
    assert lot_life(quarters, Never(), starts, starts, PARIS)[0] == paris(2026, 7, 1)
    assert lot_life(quarters, Never(), NOON - 400 * DAY, NOON, PARIS)[0] == NOON


@given(EXPIRIES, INSTANTS)
def test_no_token_lives_shorter_than_the_shortest(expiry: Expiry, start: datetime) -> None:
    end, least = expiry_of(expiry, start, PARIS), shortest_days(expiry)
    assert end is not None
    assert least is not None
    assert end > start
    # Where the wall clock is kept, a day may be an hour short.
    assert end - start >= least * DAY - timedelta(hours=1)


@given(EXPIRIES, INSTANTS, st.timedeltas(timedelta(), 800 * DAY))
def test_who_earns_later_never_loses_earlier(expiry: Expiry, start: datetime, pause: timedelta) -> None:
    first, second = expiry_of(expiry, start, PARIS), expiry_of(expiry, start + pause, PARIS)
    assert first is not None
    assert second is not None
    # The hour that the clocks repeat in autumn is one on the wall.
    assert second - first >= -timedelta(hours=1)


@given(EXPIRIES)
def test_what_is_stored_is_read_back(expiry: Expiry) -> None:
    assert parse_expiry(expiry.to_dict()) == expiry


def test_each_policy_is_known_by_its_mode() -> None:
    assert parse_activation({"mode": "immediate"}) == Immediate()
    assert parse_activation({"mode": "delay", "delay_s": 60}).to_dict() == {"mode": "delay", "delay_s": 60}
    dates = parse_activation({"mode": "dates", "dates": ["07-01", "01-01"]})
    assert dates.to_dict() == {"mode": "dates", "dates": ["01-01", "07-01"]}
    assert parse_expiry({"mode": "never"}) == Never()
    assert shortest_days(Never()) is None
    assert shortest_days(Rolling(amount=1, unit="month")) == 28
    assert shortest_days(Rolling(amount=6, unit="month")) == 181
    assert shortest_days(Rolling(amount=12, unit="month")) == 365


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        ({}, "/mode"),
        ({"mode": "sometimes"}, "/mode"),
        ("never", "/mode"),
        ({"mode": "rolling"}, "/amount"),
        ({"mode": "rolling", "amount": 0}, "/amount"),
        ({"mode": "rolling", "amount": 3_661}, "/amount"),
        ({"mode": "rolling", "amount": True}, "/amount"),
        ({"mode": "rolling", "amount": 1, "unit": "week"}, "/unit"),
        ({"mode": "rolling", "amount": 121, "unit": "month"}, "/amount"),
        ({"mode": "rolling", "amount": 1, "round_to": "week"}, "/round_to"),
        ({"mode": "calendar", "dates": []}, "/dates"),
        ({"mode": "calendar", "dates": [f"01-{day:02}" for day in range(1, 22)]}, "/dates"),
        ({"mode": "calendar", "dates": ["01-01"], "days_min": -1}, "/days_min"),
        ({"mode": "inactivity", "days": 0}, "/days"),
        ({"mode": "inactivity", "days": 9, "reset_by": "sleep"}, "/reset_by"),
        ({"mode": "never", "amount": 1}, "/amount"),
    ],
)
def test_what_is_wrong_with_an_expiry_is_named(raw: Any, pointer: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        parse_expiry(raw)
    assert [found.pointer for found in refusal.value.errors] == [pointer]


@pytest.mark.parametrize("text", ["02-30", "04-31", "13-01", "00-10", "01-00", "1-1", "01-01\n", "01-32"])
def test_days_that_no_year_has_are_refused(text: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        parse_activation({"mode": "dates", "dates": [text]})
    assert refusal.value.errors[0].pointer.startswith("/dates")


def test_a_delay_has_an_upper_bound() -> None:
    with pytest.raises(InvalidInputError) as refusal:
        parse_activation({"mode": "delay", "delay_s": 366 * 86_400 + 1})
    assert [found.pointer for found in refusal.value.errors] == ["/delay_s"]
