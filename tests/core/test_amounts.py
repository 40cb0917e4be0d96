"""Shares that always sum to the whole, and the largest figure that every reader of JSON keeps."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.core.amounts import MAX_TOKENS, share_by_largest_remainder

WEIGHTS = st.lists(st.integers(0, 10**12), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (0, [], []),
        (0, [0, 0], [0, 0]),
        (0, [3, 4], [0, 0]),
        (10, [1], [10]),
        (10, [1, 1, 1], [4, 3, 3]),
        (11, [1, 1, 1], [4, 4, 3]),
        (1, [1, 1, 1], [1, 0, 0]),
        (1, [1, 2, 2], [0, 1, 0]),
        (5, [0, 1, 0], [0, 5, 0]),
        (100, [50, 30, 20], [50, 30, 20]),
        (7, [3, 3, 1], [3, 3, 1]),
        (3, [1, 1], [2, 1]),
    ],
)
def test_shares(total: int, weights: list[int], parts: list[int]) -> None:
    assert share_by_largest_remainder(total, weights) == parts


@given(st.integers(0, MAX_TOKENS), WEIGHTS)
def test_shares_sum_to_the_whole_and_stay_within_one_of_exact(total: int, weights: list[int]) -> None:
    if not sum(weights):
        total = 0
    parts = share_by_largest_remainder(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * (sum(weights) or 1) - total * weight) < (sum(weights) or 1)
        assert weight or part == 0


@given(st.integers(0, 10**6), st.lists(st.integers(1, 1000), min_size=2, max_size=8), st.integers(2, 50))
def test_shares_do_not_depend_on_the_unit_of_weights(total: int, weights: list[int], factor: int) -> None:
    scaled = [weight * factor for weight in weights]
    assert share_by_largest_remainder(total, weights) == share_by_largest_remainder(total, scaled)


@pytest.mark.parametrize("weights", [[], [0], [0, 0, 0]])
def test_something_needs_somebody(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="positive weight"):
        share_by_largest_remainder(1, weights)


def test_the_largest_figure_survives_a_reader_with_doubles() -> None:
    """RFC 8259, section 6: beyond it doubles have gaps."""
    assert MAX_TOKENS == 9_007_199_254_740_991
    assert int(json.loads(str(MAX_TOKENS), parse_int=float)) == MAX_TOKENS
    assert int(json.loads(str(MAX_TOKENS + 2), parse_int=float)) != MAX_TOKENS + 2
