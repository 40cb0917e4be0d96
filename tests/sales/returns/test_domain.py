"""What a return must be, what the sale can still take back, and what goes back with it."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.core.amounts import MAX_AMOUNT_MINOR
from mereau.sales.domain import CLOCK_SKEW_MAX, LINES_MAX, REFERENCE_LENGTH_MAX
from mereau.sales.returns.domain import (
    OpenLine,
    ReturnDraft,
    Share,
    inputs_digest,
    line_refusal,
    merged,
    refusal,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SLIP = ReturnDraft("sal_1", "par_1", "slip-1", NOW, ((1, 1), (3, 2)), "stf_1")
TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"lines": ((1, 1),)},
        {"lines": ((LINES_MAX, MAX_AMOUNT_MINOR),)},
        {"lines": ((1, 1),) * LINES_MAX},
        {"external_id": "x" * REFERENCE_LENGTH_MAX},
        {"occurred_at": NOW + CLOCK_SKEW_MAX},
    ],
    ids=lambda changes: str(changes)[:60],
)
def test_a_return_within_its_bounds(changes: dict[str, Any]) -> None:
    assert refusal(replace(SLIP, **changes), NOW) is None


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"lines": ()}, [("/lines", "length")]),
        ({"lines": ((1, 1),) * (LINES_MAX + 1)}, [("/lines", "length")]),
        ({"lines": ((1, 0),)}, [("/lines/0/quantity", "out_of_range")]),
        ({"lines": ((1, 1), (1, MAX_AMOUNT_MINOR + 1))}, [("/lines/1/quantity", "out_of_range")]),
        ({"lines": ((0, 1),)}, [("/lines/0/line_number", "out_of_range")]),
        ({"lines": ((LINES_MAX + 1, 1),)}, [("/lines/0/line_number", "out_of_range")]),
        ({"lines": ((0, 0),)}, [("/lines/0/quantity", "out_of_range"), ("/lines/0/line_number", "out_of_range")]),
        ({"lines": ((1, MAX_AMOUNT_MINOR), (2, 1))}, [("/lines", "out_of_range")]),
        ({"external_id": ""}, [("/external_id", "length")]),
        ({"external_id": "x" * (REFERENCE_LENGTH_MAX + 1)}, [("/external_id", "length")]),
        ({"occurred_at": NOW + CLOCK_SKEW_MAX + TICK}, [("/occurred_at", "future")]),
    ],
    ids=lambda value: str(value)[:60],
)
def test_one_step_beyond_is_named(changes: dict[str, Any], wrong: list[tuple[str, str]]) -> None:
    refused = refusal(replace(SLIP, **changes), NOW)
    assert refused is not None
    assert (refused.code, [(error.pointer, error.code) for error in refused.errors]) == ("invalid_sale", wrong)


def test_a_line_named_twice_is_summed_in_the_order_of_the_lines() -> None:
    assert list(merged([(3, 2), (1, 1), (3, 5)]).items()) == [(1, 1), (3, 7)]
    assert merged([]) == {}


def opened(quantity: int, returned: int = 0, tokens: int = 0) -> OpenLine:
    return OpenLine(quantity, tokens, returned, 0)


OUT = {("sal_1", 1): opened(4, 3), ("sal_1", 2): opened(1, 1), ("sal_1", 3): opened(9), ("sal_2", 4): opened(5)}


class TestWhatTheSaleCanTakeBack:
    @pytest.mark.parametrize("lines", [((1, 1),), ((3, 9),), ((3, 4), (3, 5)), ((1, 1), (3, 1))], ids=str)
    def test_what_is_still_out_comes_back(self, lines: tuple[tuple[int, int], ...]) -> None:
        assert line_refusal(replace(SLIP, lines=lines), OUT) is None

    @pytest.mark.parametrize(
        ("lines", "details"),
        [
            (((1, 2),), ["line 1: 2 units come back, 1 of 4 are still out"]),
            (((2, 1),), ["line 2: 1 units come back, 0 of 1 are still out"]),
            (((3, 5), (3, 5)), ["line 3: 10 units come back, 9 of 9 are still out"]),
            (
                ((3, 1), (2, 1), (1, 9)),
                ["line 1: 9 units come back, 1 of 4 are still out", "line 2: 1 units come back, 0 of 1 are still out"],
            ),
        ],
        ids=str,
    )
    def test_more_than_is_out_is_told_line_by_line(
        self, lines: tuple[tuple[int, int], ...], details: list[str]
    ) -> None:
        refused = line_refusal(replace(SLIP, lines=lines), OUT)
        assert refused is not None
        assert (refused.code, refused.status, [error.detail for error in refused.errors]) == (
            "over_return",
            409,
            details,
        )

    @pytest.mark.parametrize("lines", [((4, 1),), ((1, 9), (4, 1))], ids=str)
    def test_the_line_of_another_sale_is_none_of_this_one(self, lines: tuple[tuple[int, int], ...]) -> None:
        """A line that is not there is told before one of which too much comes back."""
        refused = line_refusal(replace(SLIP, lines=lines), OUT)
        assert refused is not None
        assert (refused.code, [error.code for error in refused.errors]) == ("invalid_sale", ["unknown_line"])


@given(
    tokens=st.lists(st.integers(0, 2**53), max_size=4),
    quantity=st.integers(1, 200),
    rng=st.randoms(use_true_random=False),
)
def test_each_entry_of_a_line_goes_back_as_if_it_were_alone(
    tokens: list[int], quantity: int, rng: random.Random
) -> None:
    """Several rules or one: every slice takes at most what is left, and all of it is back at the end."""
    together = OpenLine(
        quantity, sum(tokens), 0, 0, [Share(f"ent_{i}", "r@1", share, 0) for i, share in enumerate(tokens)]
    )
    alone = [OpenLine(quantity, share, 0, 0) for share in tokens]
    while together.returned_quantity < quantity:
        units = rng.randint(1, quantity - together.returned_quantity)
        back = together.take_back(units)
        assert back >= 0
        assert back == sum(line.take_back(units) for line in alone)
        assert [share.reversed_tokens for share in together.shares] == [line.reversed_tokens for line in alone]
    assert together.reversed_tokens == together.tokens == sum(line.reversed_tokens for line in alone)
    assert [share.reversed_tokens for share in together.shares] == tokens


def test_slices_round_down_and_the_last_one_carries_the_rest() -> None:
    line = opened(3, tokens=10)
    assert [line.take_back(1) for _ in range(3)] == [3, 3, 4]
    shared = OpenLine(3, 10, 0, 0, [Share("a", "r@1", 5, 0), Share("b", "s@1", 5, 0)])
    assert [shared.take_back(1) for _ in range(3)] == [2, 4, 4]


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"staff_id": None}, True),
        ({"lines": [(3, 1), (1, 1), (3, 1)]}, True),
        ({"occurred_at": NOW.astimezone(timezone(-timedelta(hours=8)))}, True),
        ({"sale_id": "sal_2"}, False),
        ({"occurred_at": NOW - TICK}, False),
        ({"lines": ((1, 1), (3, 3))}, False),
        ({"lines": ((1, 1), (2, 2))}, False),
        ({"lines": ((1, 1),)}, False),
    ],
    ids=str,
)
def test_what_makes_two_slips_one(changes: dict[str, Any], same: bool) -> None:
    assert (inputs_digest(replace(SLIP, **changes)) == inputs_digest(SLIP)) == same
