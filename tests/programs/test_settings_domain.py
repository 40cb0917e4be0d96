"""Policies as a programme stores them, and which of them the contract would not carry out."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mereau.programs.lives.domain import (
    LIFE_MAX_DAYS,
    LIFE_MAX_MONTHS,
    Activation,
    Calendar,
    Delayed,
    Expiry,
    Immediate,
    Inactivity,
    Never,
    OnDates,
    Rolling,
    expiry_of,
    shortest_days,
)
from mereau.programs.settings import domain
from mereau.programs.settings.domain import DAY_S, SettingsChange, unkept

PARIS = ZoneInfo("Europe/Paris")
DATES = st.sets(st.sampled_from(["01-01", "01-31", "02-29", "06-30", "12-31"]), min_size=1).map(frozenset)
ACTIVATIONS = st.one_of(
    st.just(Immediate()),
    st.integers(1, 366 * DAY_S).map(lambda s: Delayed(delay_s=s)),
    DATES.map(lambda d: OnDates(dates=d)),
)
ROUNDED = st.sampled_from([None, "day", "month", "quarter", "half_year", "year"])
EXPIRIES = st.one_of(
    st.just(Never()),
    st.builds(Rolling, amount=st.integers(1, LIFE_MAX_DAYS), round_to=ROUNDED),
    st.builds(Rolling, amount=st.integers(1, LIFE_MAX_MONTHS), unit=st.just("month"), round_to=ROUNDED),
    st.builds(Calendar, dates=DATES, days_min=st.integers(0, LIFE_MAX_DAYS)),
    st.builds(
        Inactivity, days=st.integers(1, LIFE_MAX_DAYS), reset_by=st.sampled_from(["earning", "redemption", "any"])
    ),
)
INSTANTS = st.integers(0, 8 * 365 * DAY_S).map(lambda s: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=s))


@given(ACTIVATIONS)
def test_an_activation_is_read_as_it_was_stored(activation: Activation) -> None:
    columns: dict[str, Any] = domain.activation_columns(activation)
    assert domain.activation_of(columns["activation_delay_s"], columns["activation_rule"]) == activation
    assert not (columns["activation_delay_s"] and columns["activation_rule"]), "one of the two says it"


@given(EXPIRIES)
def test_an_expiry_is_read_as_it_was_stored(expiry: Expiry) -> None:
    columns: dict[str, Any] = domain.expiry_columns(expiry)
    assert domain.expiry_of(columns["token_life_days"], columns["expiry_rule"]) == expiry
    assert None in columns.values(), "one of the two says it"


@given(EXPIRIES, st.integers(0, 400 * DAY_S), INSTANTS)
def test_what_is_accepted_never_ends_what_the_contract_protects(
    expiry: Expiry, guaranteed_s: int, at: datetime
) -> None:
    """But for the hour that summer time takes: a day of the programme may have 23."""
    assume(not list(unkept(expiry, guaranteed_s)))
    ends = expiry_of(expiry, at, PARIS)
    assert ends is None or ends - at >= timedelta(seconds=guaranteed_s) - timedelta(hours=1)


@given(EXPIRIES, st.integers(0, 400 * DAY_S))
def test_what_is_refused_is_too_short_and_says_by_how_much(expiry: Expiry, guaranteed_s: int) -> None:
    days = shortest_days(expiry)
    found = list(unkept(expiry, guaranteed_s))
    assert bool(found) is (days is not None and days * DAY_S < guaranteed_s)
    for finding in found:
        assert finding.code == "shorter_than_guaranteed"
        assert f"up to {-(-guaranteed_s // DAY_S)} days" in finding.detail
        assert f"after {days}." in finding.detail


@pytest.mark.parametrize(
    ("expiry", "pointer"),
    [
        (Rolling(amount=9), "/expiry/amount"),
        (Calendar(dates=frozenset({"01-01"}), days_min=9), "/expiry/days_min"),
        (Inactivity(days=9), "/expiry/days"),
    ],
)
def test_the_field_that_must_grow_is_pointed_at(expiry: Expiry, pointer: str) -> None:
    assert [finding.pointer for finding in unkept(expiry, 9 * DAY_S + 1)] == [pointer]
    assert not list(unkept(expiry, 9 * DAY_S))


@pytest.mark.parametrize("guaranteed_s", [0, 10**9])
def test_what_stays_as_it_is_or_never_ends_is_always_kept(guaranteed_s: int) -> None:
    assert not list(unkept(None, guaranteed_s))
    assert not list(unkept(Never(), guaranteed_s))


@given(
    st.builds(
        SettingsChange,
        name_fr=st.none() | st.just("Nous"),
        activation=st.none() | ACTIVATIONS,
        expiry=st.none() | EXPIRIES,
        notice_days=st.none() | st.lists(st.integers(1, 366), max_size=3).map(tuple),
        return_policy=st.none() | st.sampled_from(["clamp", "debt"]),
    )
)
def test_a_change_tells_what_it_changes_in_plain_values(change: SettingsChange) -> None:
    """The journal keeps it as JSON: an empty list of notices is a change, what is not named is none."""
    said = change.said()
    assert said.keys() == {name for name in SettingsChange.__slots__ if getattr(change, name) is not None}
    assert all(isinstance(value, str | dict | list) for value in said.values())
