"""What sales earn and returns take back: the arithmetic alone."""

import random
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories.earning import ONE_PER_UNIT, a_line
from factories.earning import earned as evaluate
from mereau.core.amounts import MAX_TOKENS
from mereau.core.errors import InvalidInputError
from mereau.earning.domain import Rate, RuleSpec, parse_spec
from mereau.earning.service import SaleLineDraft
from mereau.sales.returns.domain import reversed_in_all

AMOUNTS = st.integers(0, 5_000_000)
PLAIN = parse_spec(ONE_PER_UNIT)


@st.composite
def sale_lines(draw: st.DrawFn) -> list[SaleLineDraft]:
    line = st.builds(
        SaleLineDraft,
        sku=st.sampled_from(["bread", "wine", "tobacco"]),
        category=st.sampled_from([None, "food", "stamps"]),
        quantity=st.integers(1, 60),
        unit_price_micro=st.none(),
        amount_minor=AMOUNTS,
        discount_minor=st.integers(0, 2_000),
        tax_minor=st.integers(0, 2_000),
        eligible=st.booleans(),
    )
    return draw(st.lists(line, min_size=1, max_size=12))


@st.composite
def specs(draw: st.DrawFn) -> RuleSpec:
    return RuleSpec(
        rate=Rate(tokens=draw(st.integers(1, 50)), per_minor=draw(st.integers(1, 1_000))),
        basis=draw(st.sampled_from(["pre_discount", "post_discount"])),
        include_tax=draw(st.booleans()),
        include_shipping=draw(st.booleans()),
        excluded_skus=draw(st.sampled_from([frozenset(), frozenset({"tobacco"})])),
        excluded_categories=draw(st.sampled_from([frozenset(), frozenset({"stamps"})])),
        minimum_minor=draw(st.sampled_from([0, 1_000, 100_000])),
    )


@given(specs(), sale_lines(), st.integers(0, 1_000))
def test_line_tokens_sum_to_the_sale_and_stay_within_one_of_their_share(
    spec: RuleSpec, lines: list[SaleLineDraft], shipping_minor: int
) -> None:
    earned = evaluate(spec, lines, shipping_minor)
    assert sum(earned.line_tokens) == earned.tokens
    weight = sum(earned.line_eligible_minor)
    for tokens, eligible in zip(earned.line_tokens, earned.line_eligible_minor, strict=True):
        share = Fraction(earned.tokens * eligible, weight) if weight else Fraction(0)
        assert abs(tokens - share) < 1
        assert tokens == 0 or eligible > 0


@given(specs(), sale_lines(), st.integers(0, 1_000))
def test_tokens_are_the_floor_of_rate_times_eligible(
    spec: RuleSpec, lines: list[SaleLineDraft], shipping_minor: int
) -> None:
    earned = evaluate(spec, lines, shipping_minor)
    exact = Fraction(earned.eligible_minor * spec.rate.tokens, spec.rate.per_minor)
    if earned.eligible_minor < spec.minimum_minor:
        assert earned.tokens == 0
    else:
        assert earned.tokens <= exact < earned.tokens + 1


@given(specs(), sale_lines(), st.integers(0, 11), st.integers(0, 10_000))
def test_a_dearer_line_never_earns_the_sale_less(
    spec: RuleSpec, lines: list[SaleLineDraft], index: int, more_minor: int
) -> None:
    i = index % len(lines)
    dearer = list(lines)
    dearer[i] = a_line(
        lines[i].amount_minor + more_minor,
        sku=lines[i].sku,
        category=lines[i].category,
        discount_minor=lines[i].discount_minor,
        tax_minor=lines[i].tax_minor,
        eligible=lines[i].eligible,
    )
    assert evaluate(spec, dearer, 0).tokens >= evaluate(spec, lines, 0).tokens


@given(st.integers(0, MAX_TOKENS), st.integers(1, 10_000), st.randoms(use_true_random=False))
def test_partial_returns_in_any_order_end_where_a_full_one_ends(
    line_tokens: int, quantity: int, rng: random.Random
) -> None:
    returned = reversed_so_far = 0
    while returned < quantity:
        returned += rng.randint(1, quantity - returned)
        now_in_all = reversed_in_all(line_tokens, returned, quantity)
        assert reversed_so_far <= now_in_all <= line_tokens
        reversed_so_far = now_in_all
    assert reversed_so_far == line_tokens == reversed_in_all(line_tokens, quantity, quantity)


@given(st.integers(0, 10_000), st.integers(1, 500), st.data())
def test_what_goes_back_is_the_floor_of_its_share(line_tokens: int, quantity: int, data: st.DataObject) -> None:
    returned = data.draw(st.integers(0, quantity))
    exact = Fraction(line_tokens * returned, quantity)
    assert (
        reversed_in_all(line_tokens, returned, quantity) <= exact < reversed_in_all(line_tokens, returned, quantity) + 1
    )


@pytest.mark.parametrize(
    ("changes", "eligible_minor"),
    [
        ({}, 900),
        ({"basis": "pre_discount"}, 1_000),
        ({"include_tax": False}, 750),
        ({"basis": "pre_discount", "include_tax": False}, 850),
        ({"excluded_skus": ["bread"]}, 0),
        ({"excluded_skus": ["wine"]}, 900),
        ({"excluded_categories": ["food"]}, 0),
        ({"excluded_categories": ["wine"]}, 900),
    ],
)
def test_the_basis_and_the_exclusions_decide_what_is_eligible(changes: dict[str, Any], eligible_minor: int) -> None:
    line = a_line(1_000, category="food", discount_minor=100, tax_minor=150)
    assert evaluate(parse_spec(dict(ONE_PER_UNIT) | changes), [line], 0).eligible_minor == eligible_minor


def test_a_discount_above_the_price_takes_nothing_from_the_other_lines() -> None:
    earned = evaluate(PLAIN, [a_line(500, discount_minor=900), a_line(700)], 0)
    assert (earned.eligible_minor, earned.line_eligible_minor) == (700, (0, 700))


def test_a_line_marked_as_not_eligible_earns_nothing() -> None:
    earned = evaluate(PLAIN, [a_line(500, eligible=False), a_line(700)], 0)
    assert (earned.tokens, earned.line_tokens) == (7, (0, 7))


def test_ties_of_the_remainder_go_to_the_earlier_line() -> None:
    """Three equal lines of 0.50 earn one token: the first line has it."""
    assert evaluate(PLAIN, [a_line(50)] * 3, 0).line_tokens == (1, 0, 0)


def test_shipping_counts_only_where_the_rule_says_so() -> None:
    with_shipping = parse_spec(dict(ONE_PER_UNIT) | {"include_shipping": True})
    assert evaluate(PLAIN, [a_line(950)], 60).tokens == 9
    earned = evaluate(with_shipping, [a_line(450), a_line(500)], 60)
    assert (earned.eligible_minor, earned.tokens, earned.line_tokens) == (1_010, 10, (5, 5))


def test_shipping_alone_earns_nothing() -> None:
    """Its tokens follow the lines; where no line is eligible there is none to follow."""
    spec = parse_spec(dict(ONE_PER_UNIT) | {"include_shipping": True})
    earned = evaluate(spec, [a_line(500, eligible=False)], 5_000)
    assert (earned.eligible_minor, earned.tokens) == (0, 0)


@pytest.mark.parametrize(("amount_minor", "tokens"), [(1_999, 0), (2_000, 20)])
def test_the_minimum_is_the_smallest_amount_that_earns(amount_minor: int, tokens: int) -> None:
    spec = parse_spec(dict(ONE_PER_UNIT) | {"minimum_minor": 2_000})
    earned = evaluate(spec, [a_line(amount_minor)], 0)
    assert (earned.eligible_minor, earned.tokens) == (amount_minor, tokens)


@given(specs())
def test_a_spec_reads_back_as_it_was_written(spec: RuleSpec) -> None:
    assert parse_spec(spec.to_dict()) == spec


@dataclass(frozen=True)
class Wrong:
    raw: dict[str, Any]
    pointers: list[str]


RATE = {"tokens": 1, "per_minor": 100}


@pytest.mark.parametrize(
    "wrong",
    [
        Wrong({}, ["/rate"]),
        Wrong({"rate": 5}, ["/rate"]),
        Wrong({"rate": {"tokens": 1}}, ["/rate/per_minor"]),
        Wrong({"rate": {"tokens": 0, "per_minor": 0}}, ["/rate/tokens", "/rate/per_minor"]),
        Wrong({"rate": {"tokens": True, "per_minor": 1.5}}, ["/rate/tokens", "/rate/per_minor"]),
        Wrong({"rate": RATE | {"bonus": 1}}, ["/rate/bonus"]),
        Wrong({"rate": RATE | {"tokens": 2**53}}, ["/rate/tokens"]),
        Wrong({"rate": RATE, "basis": "gross"}, ["/basis"]),
        Wrong({"rate": RATE, "include_tax": 1}, ["/include_tax"]),
        Wrong({"rate": RATE, "include_shipping": "no"}, ["/include_shipping"]),
        Wrong({"rate": RATE, "excluded_skus": "bread"}, ["/excluded_skus"]),
        Wrong({"rate": RATE, "excluded_skus": [str(i) for i in range(1_001)]}, ["/excluded_skus"]),
        Wrong({"rate": RATE, "excluded_categories": ["a", 5]}, ["/excluded_categories/1"]),
        Wrong(
            {"rate": RATE, "excluded_categories": ["", "x" * 256]}, ["/excluded_categories/0", "/excluded_categories/1"]
        ),
        Wrong({"rate": RATE, "minimum_minor": -1}, ["/minimum_minor"]),
        Wrong({"rate": RATE, "colour": "red", "size": 3}, ["/colour", "/size"]),
    ],
    ids=lambda wrong: ",".join(wrong.pointers),
)
def test_a_wrong_spec_is_refused_field_by_field(wrong: Wrong) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        parse_spec(wrong.raw)
    assert [finding.pointer for finding in refusal.value.errors] == wrong.pointers


def test_a_whole_spec_is_accepted() -> None:
    """The twin: everything that may be said, said rightly."""
    spec = parse_spec(
        {
            "rate": {"tokens": 3, "per_minor": 200},
            "basis": "pre_discount",
            "include_tax": False,
            "include_shipping": True,
            "excluded_skus": ["tobacco"],
            "excluded_categories": ["stamps"],
            "minimum_minor": 500,
        }
    )
    assert spec == RuleSpec(
        rate=Rate(tokens=3, per_minor=200),
        basis="pre_discount",
        include_tax=False,
        include_shipping=True,
        excluded_skus=frozenset({"tobacco"}),
        excluded_categories=frozenset({"stamps"}),
        minimum_minor=500,
    )
