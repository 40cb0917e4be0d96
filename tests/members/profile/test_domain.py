"""When a birth date may change, and when a profile is complete."""

import itertools
import sys
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.members.profile.domain import BIRTH_DATE_LOCK, BLANKS, Profile, birth_date_locked_until, missing_fields

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MAY, JUNE = date(1990, 5, 1), date(1990, 6, 1)
EMPTY = Profile(None, None, None, None, {})


@pytest.mark.parametrize(
    ("before", "after", "set_at", "is_free"),
    [
        (None, MAY, None, True),
        (MAY, MAY, NOW, True),
        (MAY, JUNE, NOW - timedelta(days=364, hours=23), False),
        (MAY, JUNE, NOW - timedelta(days=365), True),
        (MAY, None, NOW - timedelta(days=10), False),
        (None, MAY, NOW - timedelta(days=10), False),
    ],
)
def test_a_date_that_was_set_stays_a_year(
    before: date | None, after: date | None, set_at: datetime | None, *, is_free: bool
) -> None:
    until = birth_date_locked_until(before, after, set_at, NOW)
    assert (until is None) is is_free
    if until is not None:
        assert set_at is not None
        assert until == set_at + BIRTH_DATE_LOCK


@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from([MAY, JUNE, None])), max_size=12))
def test_however_one_tries_a_date_changes_once_a_year(tries: list[tuple[int, date | None]]) -> None:
    now, value, set_at = NOW, None, None
    changed: list[datetime] = []
    for wait_days, wish in tries:
        now += timedelta(days=wait_days)
        if wish != value and birth_date_locked_until(value, wish, set_at, now) is None:
            value, set_at = wish, now
            changed.append(now)
    assert all(later - earlier >= BIRTH_DATE_LOCK for earlier, later in itertools.pairwise(changed))


def test_what_is_missing_is_named_in_order() -> None:
    assert missing_fields(EMPTY, ["phone", "email", "attributes.size"]) == ["attributes.size", "email", "phone"]
    full = Profile("Ada", "a@b.c", "+33612345678", MAY, {"size": "M", "pets": 0, "news": False})
    assert missing_fields(full, ["phone", "birth_date", "attributes.size", "attributes.pets", "attributes.news"]) == []


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_text_fills_nothing(blank: str) -> None:
    assert missing_fields(Profile(blank, None, None, None, {"size": blank}), ["display_name", "attributes.size"]) == [
        "attributes.size",
        "display_name",
    ]


def test_no_character_that_python_strips_is_forgotten() -> None:
    """The database takes off what stands in `BLANKS`; one that is missing would fill a name there alone."""
    assert set(BLANKS) == {chr(point) for point in range(sys.maxunicode + 1) if chr(point).isspace()}


def test_nothing_required_is_nothing_missing() -> None:
    assert missing_fields(EMPTY, []) == []
