"""How long a window of guesses lasts, and whose guesses are counted. Pure."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.earning.attempts.domain import PER_ACCOUNT_MAX, PER_ADDRESS_MAX, WINDOW, allowances, seconds_left

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAMES = st.text(max_size=20)


@given(st.timedeltas(timedelta(), WINDOW))
def test_who_waits_as_told_finds_a_new_window(passed: timedelta) -> None:
    """A caller that comes back when it is told is not refused again."""
    wait_s = seconds_left(NOW, NOW + passed)
    assert 1 <= wait_s <= WINDOW.total_seconds() + 1
    assert NOW + passed + timedelta(seconds=wait_s) >= NOW + WINDOW


@given(st.timedeltas(timedelta(), timedelta(hours=3)), st.timedeltas(timedelta(), timedelta(hours=3)))
def test_the_wait_never_grows(one: timedelta, other: timedelta) -> None:
    earlier, later = sorted((one, other))
    assert seconds_left(NOW, NOW + earlier) >= seconds_left(NOW, NOW + later)


@given(NAMES, NAMES)
def test_a_key_and_an_address_of_one_name_are_counted_apart(key_id: str, address: str) -> None:
    assert sorted(allowances(key_id, address).values()) == [PER_ACCOUNT_MAX, PER_ADDRESS_MAX]


@given(NAMES, NAMES, NAMES, NAMES)
def test_only_who_shares_a_key_or_an_address_shares_a_count(key: str, address: str, other: str, place: str) -> None:
    shared = allowances(key, address).keys() & allowances(other, place).keys()
    assert len(shared) == (key == other) + (address == place)


def test_an_address_may_guess_for_several_accounts() -> None:
    """A shop's tills come from one address."""
    assert PER_ADDRESS_MAX > PER_ACCOUNT_MAX > 0


@pytest.mark.parametrize("skew", [1, 600])
def test_a_clock_behind_the_windows_start_still_ends(skew: int) -> None:
    assert seconds_left(NOW, NOW - timedelta(seconds=skew)) == WINDOW.total_seconds() + skew + 1
