"""The laws of earning, whatever the rule and the receipt: beside a model with fractions, and law by law."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from factories.earning import earned as evaluate
from mereau.core.amounts import MAX_AMOUNT_MINOR, MAX_TOKENS
from mereau.earning.domain import Rate, RuleSpec
from mereau.sales.domain import SaleDraft, SaleLineDraft, inputs_digest
from mereau.sales.returns.domain import OpenLine, merged, reversed_in_all

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
SKUS = ["bread", "wine", "tobacco", "café ☕", "x" * 64]
CATEGORIES = [None, "food", "stamps", "épicerie"]

SPECS = st.builds(
    RuleSpec,
    rate=st.builds(Rate, tokens=st.integers(1, 10_000), per_minor=st.integers(1, 100_000)),
    basis=st.sampled_from(["pre_discount", "post_discount"]),
    include_tax=st.booleans(),
    include_shipping=st.booleans(),
    excluded_skus=st.frozensets(st.sampled_from(SKUS), max_size=2),
    excluded_categories=st.frozensets(st.sampled_from(CATEGORIES[1:]), max_size=2),
    minimum_minor=st.sampled_from([0, 0, 1, 5_000, 1_000_000]),
)
LINES = st.builds(
    SaleLineDraft,
    sku=st.sampled_from(SKUS),
    category=st.sampled_from(CATEGORIES),
    quantity=st.integers(1, 1_000),
    unit_price_micro=st.none(),
    amount_minor=st.integers(-500, 2_000_000) | st.sampled_from([0, 1, 99, 100, MAX_AMOUNT_MINOR // 8]),
    discount_minor=st.integers(0, 3_000),
    tax_minor=st.integers(0, 3_000),
    eligible=st.sampled_from([True, True, True, False]),
)
RECEIPTS = st.lists(LINES, max_size=8)
SHIPPING = st.integers(0, 5_000)


def changed(model: Any, **fields: Any) -> Any:
    """The same rule, or part of one, with other fields."""
    return model.model_copy(update=fields)


def model_eligible(spec: RuleSpec, line: SaleLineDraft) -> int:
    """What the rule says of one line, read aloud."""
    if not line.eligible:
        return 0
    if line.sku in spec.excluded_skus:
        return 0
    if line.category is not None and line.category in spec.excluded_categories:
        return 0
    discount = line.discount_minor if spec.basis == "post_discount" else 0
    tax = 0 if spec.include_tax else line.tax_minor
    return max(0, line.amount_minor - discount - tax)


def model_tokens(spec: RuleSpec, lines: Sequence[SaleLineDraft], shipping_minor: int) -> int:
    goods = sum(model_eligible(spec, line) for line in lines)
    total = goods + shipping_minor if goods > 0 and spec.include_shipping else goods
    if total < spec.minimum_minor:
        return 0
    return (Fraction(spec.rate.tokens, spec.rate.per_minor) * total).__floor__()


@given(SPECS, RECEIPTS, SHIPPING)
def test_every_receipt_earns_what_the_model_says(spec: RuleSpec, lines: list[SaleLineDraft], shipping: int) -> None:
    earned = evaluate(spec, lines, shipping)
    assert earned.tokens == model_tokens(spec, lines, shipping)
    assert earned.line_eligible_minor == tuple(model_eligible(spec, line) for line in lines)
    assert sum(earned.line_tokens) == earned.tokens


@given(SPECS, RECEIPTS, LINES, SHIPPING)
def test_another_line_never_earns_the_receipt_less(
    spec: RuleSpec, lines: list[SaleLineDraft], more: SaleLineDraft, shipping: int
) -> None:
    assert evaluate(spec, [*lines, more], shipping).tokens >= evaluate(spec, lines, shipping).tokens


@given(SPECS, RECEIPTS, SHIPPING, st.integers(0, 5_000))
def test_more_shipping_never_earns_less(spec: RuleSpec, lines: list[SaleLineDraft], shipping: int, more: int) -> None:
    assert evaluate(spec, lines, shipping + more).tokens >= evaluate(spec, lines, shipping).tokens


@given(SPECS, RECEIPTS, SHIPPING)
def test_a_kinder_rule_never_earns_less(spec: RuleSpec, lines: list[SaleLineDraft], shipping: int) -> None:
    tokens = evaluate(spec, lines, shipping).tokens
    kinder = [
        changed(spec, basis="pre_discount"),
        changed(spec, include_tax=True),
        changed(spec, include_shipping=True),
        changed(spec, excluded_skus=frozenset()),
        changed(spec, excluded_categories=frozenset()),
        changed(spec, minimum_minor=0),
        changed(spec, rate=changed(spec.rate, tokens=spec.rate.tokens + 1)),
        changed(spec, rate=changed(spec.rate, per_minor=max(1, spec.rate.per_minor - 1))),
    ]
    assert all(evaluate(rule, lines, shipping).tokens >= tokens for rule in kinder)


@given(SPECS, RECEIPTS, SHIPPING)
def test_excluded_goods_count_as_if_they_were_not_there(
    spec: RuleSpec, lines: list[SaleLineDraft], shipping: int
) -> None:
    kept = [line for line in lines if model_eligible(spec, line)]
    assert evaluate(spec, lines, shipping).tokens == evaluate(spec, kept, shipping).tokens


@given(SPECS, RECEIPTS, st.randoms(use_true_random=False))
def test_the_order_of_lines_does_not_change_the_receipt(spec: RuleSpec, lines: list[SaleLineDraft], rng: Any) -> None:
    shuffled = list(lines)
    rng.shuffle(shuffled)
    assert evaluate(spec, shuffled, 0).tokens == evaluate(spec, lines, 0).tokens


@given(SPECS, RECEIPTS, RECEIPTS)
def test_one_receipt_never_earns_less_than_its_halves(
    spec: RuleSpec, one: list[SaleLineDraft], other: list[SaleLineDraft]
) -> None:
    """S2: splitting a receipt gains nothing, since each half is floored on its own."""
    assert evaluate(spec, one + other, 0).tokens >= evaluate(spec, one, 0).tokens + evaluate(spec, other, 0).tokens


@given(SPECS, RECEIPTS, st.integers(2, 9))
def test_the_unit_of_money_does_not_matter(spec: RuleSpec, lines: list[SaleLineDraft], times: int) -> None:
    scaled = changed(
        spec,
        rate=changed(spec.rate, per_minor=spec.rate.per_minor * times),
        minimum_minor=spec.minimum_minor * times,
    )
    dearer = [
        replace(
            line,
            amount_minor=line.amount_minor * times,
            discount_minor=line.discount_minor * times,
            tax_minor=line.tax_minor * times,
        )
        for line in lines
    ]
    assert evaluate(scaled, dearer, 0).line_tokens == evaluate(spec, lines, 0).line_tokens


@given(SPECS, RECEIPTS)
def test_the_minimum_is_all_or_nothing(spec: RuleSpec, lines: list[SaleLineDraft]) -> None:
    eligible = evaluate(changed(spec, minimum_minor=0), lines, 0).eligible_minor
    exactly = evaluate(changed(spec, minimum_minor=eligible), lines, 0)
    above = evaluate(changed(spec, minimum_minor=eligible + 1), lines, 0)
    assert exactly == evaluate(changed(spec, minimum_minor=0), lines, 0)
    assert (above.tokens, set(above.line_tokens) | {0}) == (0, {0})
    assert above.eligible_minor == eligible, "what was eligible is told even where it earned nothing"


@pytest.mark.parametrize("amount", [MAX_AMOUNT_MINOR, MAX_AMOUNT_MINOR - 1, 2**52 + 1])
@pytest.mark.parametrize(("tokens", "per_minor"), [(1, 1), (3, 7), (MAX_TOKENS, MAX_AMOUNT_MINOR), (1, 10**15)])
def test_the_largest_figures_are_exact(amount: int, tokens: int, per_minor: int) -> None:
    """A float would lose the last digits here."""
    line = SaleLineDraft("bread", None, 1, None, amount)
    earned = evaluate(RuleSpec(rate=Rate(tokens=tokens, per_minor=per_minor)), [line], 0)
    assert earned.tokens == (Fraction(amount * tokens, per_minor)).__floor__() == earned.line_tokens[0]


def test_an_empty_receipt_earns_nothing() -> None:
    spec = RuleSpec(rate=Rate(tokens=1, per_minor=1), include_shipping=True)
    assert evaluate(spec, [], 500) == evaluate(spec, [], 0)
    assert evaluate(spec, [], 500).tokens == 0


@given(st.integers(0, MAX_TOKENS), st.integers(1, MAX_AMOUNT_MINOR), st.data())
def test_more_units_back_never_reverse_less(tokens: int, quantity: int, data: st.DataObject) -> None:
    one = data.draw(st.integers(0, quantity))
    two = data.draw(st.integers(one, quantity))
    assert 0 <= reversed_in_all(tokens, one, quantity) <= reversed_in_all(tokens, two, quantity) <= tokens


@given(st.integers(0, 10_000), st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_an_open_line_ends_alike_however_its_units_come_back(tokens: int, parts: list[int]) -> None:
    quantity = sum(parts)
    line = OpenLine(quantity, tokens, 0, 0)
    dues = []
    for units in parts:
        dues.append(line.take_back(units))
        assert (min(dues) >= 0, line.reversed_tokens) == (True, sum(dues))
        assert line.reversed_tokens == tokens * line.returned_quantity // quantity
    assert (sum(dues), line.returned_quantity) == (tokens, quantity)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=20), st.randoms(use_true_random=False))
def test_merging_keeps_every_unit_whatever_the_order(lines: list[tuple[int, int]], rng: Any) -> None:
    shuffled = list(lines)
    rng.shuffle(shuffled)
    units = merged(lines)
    assert merged(shuffled) == units
    assert (list(units), sum(units.values())) == (sorted(units), sum(quantity for _, quantity in lines))


A_LINE = SaleLineDraft("bread", "food", 2, 5_000_000, 1_000, 10, 20, True)
A_SALE = SaleDraft("par_1", "r1", "mem_1", NOON, "EUR", [A_LINE, A_LINE], 300, "loc_1", "stf_1")


@pytest.mark.parametrize(
    "change",
    [
        {"sku": "breaD"}, {"category": None}, {"category": ""}, {"quantity": 3}, {"unit_price_micro": None},
        {"unit_price_micro": 0}, {"amount_minor": 1_001}, {"discount_minor": 20}, {"tax_minor": 10},
        {"eligible": False},
    ],
    ids=str,
)  # fmt: skip
def test_every_field_of_a_line_is_part_of_what_a_sale_says(change: dict[str, Any]) -> None:
    assert inputs_digest(replace(A_SALE, lines=[A_LINE, replace(A_LINE, **change)])) != inputs_digest(A_SALE)


def test_the_lines_of_a_sale_have_an_order_and_a_number() -> None:
    one, other = A_LINE, replace(A_LINE, sku="wine")
    forms = [[one, other], [other, one], [one], [one, other, other]]
    assert len({inputs_digest(replace(A_SALE, lines=lines)) for lines in forms}) == len(forms)


@given(st.text(max_size=5), st.text(max_size=5), st.text(max_size=5), st.text(max_size=5))
@example("ab", "c", "a", "bc")
@example('a","b', "", "a", 'b","')
def test_two_texts_are_never_read_as_two_others(sku: str, category: str, other: str, other_category: str) -> None:
    assume((sku, category) != (other, other_category))
    digests = {
        inputs_digest(replace(A_SALE, lines=[replace(A_LINE, sku=a, category=b)]))
        for a, b in ((sku, category), (other, other_category))
    }
    assert len(digests) == 2


@given(st.integers(-14 * 60, 14 * 60))
def test_the_zone_in_which_an_instant_is_told_does_not_matter(minutes: int) -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(minutes=minutes)))
    assert inputs_digest(replace(A_SALE, occurred_at=elsewhere)) == inputs_digest(A_SALE)
    later = elsewhere + timedelta(microseconds=1)
    assert inputs_digest(replace(A_SALE, occurred_at=later)) != inputs_digest(A_SALE)
