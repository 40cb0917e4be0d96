"""Which step is next, and how far a step is."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.programs.days.domain import StepState, next_step

DONE = StepState(3, datetime(2026, 1, 5, tzinfo=UTC))
NAMES = ("activate", "tiers", "expire")


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({}, "activate"),
        ({"activate": DONE}, "tiers"),
        ({"activate": DONE, "tiers": StepState(10)}, "tiers"),
        ({"tiers": DONE, "expire": DONE}, "activate"),
        ({"activate": DONE, "expire": DONE}, "tiers"),
        ({"activate": DONE, "tiers": DONE, "expire": DONE}, None),
        ({"activate": DONE, "tiers": DONE, "expire": DONE, "gone": StepState()}, None),
    ],
)
def test_the_first_that_is_not_finished_is_next(states: dict[str, StepState], expected: str | None) -> None:
    assert next_step(NAMES, states) == expected


@given(st.integers(0, 2**53), st.none() | st.datetimes(timezones=st.just(UTC)))
def test_a_state_is_read_as_it_was_stored(changed: int, finished_at: datetime | None) -> None:
    state = StepState(changed, finished_at)
    assert StepState.of(state.to_dict()) == state


def test_what_was_never_stored_has_not_begun() -> None:
    assert StepState.of(None) == StepState()
    assert StepState(4).moved(5, None).moved(1, DONE.finished_at) == StepState(10, DONE.finished_at)
