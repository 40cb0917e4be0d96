"""Ids that sort by time and are told apart by kind; clocks that are always in UTC."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.core.clock import ManualClock, SystemClock
from mereau.core.ids import ALPHABET, ULID_LENGTH, is_id, new_id, ulid

AT = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
INSTANTS = st.integers(1, 7 * 10**15).map(lambda us: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us))
RANDOM = st.integers(0, 2**80 - 1)
GOOD = ulid(AT, 7)


def decoded(text: str) -> int:
    """The 128 bits, digit by digit."""
    value = 0
    for char in text:
        value = value * 32 + ALPHABET.index(char)
    return value


def test_an_id_by_the_specifications_example() -> None:
    """The time of the ULID specification's example, 1469918176385 ms, is spelt 01ARYZ6S41."""
    at = datetime.fromtimestamp(1_469_918_176, UTC) + timedelta(milliseconds=385)
    assert ulid(at, 0) == "01ARYZ6S41" + "0" * 16
    assert ulid(at, 2**80 - 1) == "01ARYZ6S41" + "Z" * 16


@given(INSTANTS, RANDOM)
def test_time_and_randomness_come_back(at: datetime, randomness: int) -> None:
    text = ulid(at, randomness)
    assert len(text) == ULID_LENGTH
    assert decoded(text) & (2**80 - 1) == randomness
    assert decoded(text) >> 80 == int(at.timestamp() * 1000)


@given(INSTANTS, INSTANTS, RANDOM, RANDOM)
def test_ids_sort_by_their_millisecond(first: datetime, second: datetime, a: int, b: int) -> None:
    if int(first.timestamp() * 1000) < int(second.timestamp() * 1000):
        assert ulid(first, a) < ulid(second, b)


@given(INSTANTS, st.sampled_from(["mem", "ent", "par", "bat"]))
def test_a_new_id_is_one_of_its_kind_alone(at: datetime, prefix: str) -> None:
    made = new_id(prefix, at)
    assert is_id(prefix, made)
    assert not any(is_id(other, made) for other in ("me", "memb", "key", "", "MEM"))


def test_ids_of_one_instant_differ() -> None:
    assert len({new_id("mem", AT) for _ in range(2000)}) == 2000


def test_no_two_characters_of_the_alphabet_look_alike() -> None:
    assert len(set(ALPHABET)) == 32
    assert list(ALPHABET) == sorted(ALPHABET)
    assert not set("ILOUilou") & set(ALPHABET)


@pytest.mark.parametrize(
    "text",
    [
        "", "mem", "mem_", "_" + GOOD, GOOD, f"mem-{GOOD}", f"mem_{GOOD[:-1]}", f"mem_{GOOD}0", f"mem_{GOOD.lower()}",
        f" mem_{GOOD}", f"mem_{GOOD}\n", f"mem_{GOOD[:-1]}I", f"mem_{GOOD[:-1]}U", f"mem__{GOOD[:-1]}",
        f"mem_{GOOD[:-1]}\N{FULLWIDTH DIGIT ONE}", f"mem_{GOOD[:-2]}';", f"ent_{GOOD}", f"mem_mem_{GOOD}",
    ],
)  # fmt: skip
def test_what_is_no_id(text: str) -> None:
    assert not is_id("mem", text)
    assert is_id("mem", f"mem_{GOOD}")


def test_the_system_clock_is_in_utc_and_goes_on() -> None:
    first, second = SystemClock().now(), SystemClock().now()
    assert first.tzinfo is UTC
    assert first <= second
    assert abs(datetime.now(timezone(timedelta(hours=9))) - first) < timedelta(minutes=1)


def test_a_manual_clock_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(AT)
    assert clock.now() == clock.now() == AT
    clock.advance(timedelta(seconds=5))
    assert clock.now() == AT + timedelta(seconds=5)
    clock.advance(timedelta(seconds=-6))
    assert clock.now() == AT - timedelta(seconds=1)
