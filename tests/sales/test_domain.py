"""What a receipt must be, and what makes two of them the same one."""

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.core.amounts import MAX_AMOUNT_MINOR
from mereau.sales.domain import (
    CLOCK_SKEW_MAX,
    LINES_MAX,
    PRICE_MICRO_MAX,
    REFERENCE_LENGTH_MAX,
    SaleDraft,
    SaleLineDraft,
    inputs_digest,
    refusal,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LINE = SaleLineDraft("tea", "drinks", 2, 1_500_000, 300, 20, 10, True, "acme", ("bio", "local"))
SALE = SaleDraft("par_1", "R-1", "mem_1", NOW, "EUR", (LINE,), 50, "loc_1", "stf_1", "web")
TICK = timedelta(microseconds=1)


def line(**changes: Any) -> SaleDraft:
    """The sale with one field of its line replaced."""
    return replace(SALE, lines=(replace(LINE, **changes),))


def found(draft: SaleDraft) -> list[tuple[str, str]]:
    """(pointer, code) of everything that is wrong."""
    refused = refusal(draft, "EUR", NOW)
    return [] if refused is None else [(error.pointer, error.code) for error in refused.errors]


@pytest.mark.parametrize(
    "draft",
    [
        SALE,
        line(quantity=1),
        line(quantity=MAX_AMOUNT_MINOR),
        line(amount_minor=0, discount_minor=0, tax_minor=0),
        line(amount_minor=MAX_AMOUNT_MINOR),
        line(amount_minor=-MAX_AMOUNT_MINOR),
        line(discount_minor=MAX_AMOUNT_MINOR, tax_minor=MAX_AMOUNT_MINOR),
        line(unit_price_micro=None),
        line(unit_price_micro=0),
        line(unit_price_micro=PRICE_MICRO_MAX),
        line(unit_price_micro=-PRICE_MICRO_MAX),
        replace(SALE, lines=(replace(LINE, amount_minor=MAX_AMOUNT_MINOR), replace(LINE, amount_minor=-1))),
        replace(SALE, lines=(LINE,) * LINES_MAX),
        replace(SALE, external_id="x"),
        replace(SALE, external_id="x" * REFERENCE_LENGTH_MAX),
        replace(SALE, shipping_minor=0),
        replace(SALE, shipping_minor=MAX_AMOUNT_MINOR),
        replace(SALE, member_id=None),
        replace(SALE, occurred_at=NOW + CLOCK_SKEW_MAX),
        replace(SALE, occurred_at=datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_everything_within_its_bounds_is_a_receipt(draft: SaleDraft) -> None:
    assert refusal(draft, "EUR", NOW) is None


@pytest.mark.parametrize(
    ("draft", "wrong"),
    [
        (line(quantity=0), ("/lines/0/quantity", "out_of_range")),
        (line(quantity=-1), ("/lines/0/quantity", "out_of_range")),
        (line(quantity=MAX_AMOUNT_MINOR + 1), ("/lines/0/quantity", "out_of_range")),
        (line(amount_minor=MAX_AMOUNT_MINOR + 1), ("/lines/0", "out_of_range")),
        (line(amount_minor=-MAX_AMOUNT_MINOR - 1), ("/lines/0", "out_of_range")),
        (line(discount_minor=MAX_AMOUNT_MINOR + 1), ("/lines/0", "out_of_range")),
        (line(tax_minor=MAX_AMOUNT_MINOR + 1), ("/lines/0", "out_of_range")),
        (line(discount_minor=-1), ("/lines/0", "negative")),
        (line(tax_minor=-1), ("/lines/0", "negative")),
        (line(unit_price_micro=PRICE_MICRO_MAX + 1), ("/lines/0/unit_price_micro", "out_of_range")),
        (line(unit_price_micro=-PRICE_MICRO_MAX - 1), ("/lines/0/unit_price_micro", "out_of_range")),
        (replace(SALE, lines=(LINE, replace(LINE, quantity=0))), ("/lines/1/quantity", "out_of_range")),
        (replace(SALE, lines=(replace(LINE, amount_minor=MAX_AMOUNT_MINOR), LINE)), ("/lines", "out_of_range")),
        (replace(SALE, lines=()), ("/lines", "length")),
        (replace(SALE, lines=(LINE,) * (LINES_MAX + 1)), ("/lines", "length")),
        (replace(SALE, external_id=""), ("/external_id", "length")),
        (replace(SALE, external_id="x" * (REFERENCE_LENGTH_MAX + 1)), ("/external_id", "length")),
        (replace(SALE, currency="USD"), ("/currency", "currency")),
        (replace(SALE, currency="eur"), ("/currency", "currency")),
        (replace(SALE, occurred_at=NOW + CLOCK_SKEW_MAX + TICK), ("/occurred_at", "future")),
        (replace(SALE, shipping_minor=-1), ("/shipping_minor", "out_of_range")),
        (replace(SALE, shipping_minor=MAX_AMOUNT_MINOR + 1), ("/shipping_minor", "out_of_range")),
    ],
    ids=lambda value: str(value) if value and isinstance(value, tuple) else "",
)
def test_one_step_beyond_a_bound_is_named(draft: SaleDraft, wrong: tuple[str, str]) -> None:
    assert found(draft) == [wrong]


def test_everything_that_is_wrong_is_named_at_once() -> None:
    worst = replace(LINE, quantity=0, amount_minor=MAX_AMOUNT_MINOR + 1, tax_minor=-1)
    draft = replace(
        SALE,
        external_id="",
        currency="ZZZ",
        shipping_minor=-1,
        occurred_at=NOW + timedelta(days=1),
        lines=(LINE, worst),
    )
    assert sorted(pointer for pointer, _ in found(draft)) == [
        "/currency", "/external_id", "/lines/1", "/lines/1", "/lines/1/quantity", "/occurred_at", "/shipping_minor",
    ]  # fmt: skip
    refused = refusal(draft, "EUR", NOW)
    assert refused is not None
    assert (refused.code, refused.status) == ("invalid_sale", 422)


OTHER: Mapping[str, Any] = {
    "sku": "milk", "category": None, "quantity": 3, "unit_price_micro": None, "amount_minor": 301, "discount_minor": 21,
    "tax_minor": 11, "eligible": False, "brand": None, "labels": ("local", "bio"),
}  # fmt: skip


def test_each_field_of_a_line_is_part_of_what_the_receipt_says() -> None:
    """Retried with one figure changed it is another receipt under a number that is taken, and refused as such."""
    assert set(OTHER) == {field.name for field in fields(SaleLineDraft)}
    digests = [inputs_digest(line(**{name: value})) for name, value in OTHER.items()]
    assert len({inputs_digest(SALE), *digests}) == len(OTHER) + 1


@pytest.mark.parametrize(
    "changes",
    [
        {"member_id": "mem_2"},
        {"member_id": None},
        {"occurred_at": NOW + TICK},
        {"currency": "USD"},
        {"shipping_minor": 51},
        {"location_id": None},
        {"channel": "shop"},
        {"lines": (LINE, LINE)},
        {"lines": ()},
        {"payment_token": "tok_1"},
    ],
    ids=str,
)
def test_what_makes_another_receipt(changes: dict[str, Any]) -> None:
    assert inputs_digest(replace(SALE, **changes)) != inputs_digest(SALE)


@pytest.mark.parametrize(
    "changes",
    [
        {"staff_id": "stf_2"},
        {"staff_id": None},
        {"occurred_at": NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))},
        {"lines": [LINE]},
    ],
    ids=str,
)
def test_what_leaves_the_receipt_as_it_was(changes: dict[str, Any]) -> None:
    assert inputs_digest(replace(SALE, **changes)) == inputs_digest(SALE)


def test_of_a_sale_paid_with_a_token_the_token_says_who_bought() -> None:
    """Handed in before and after the token was linked it is one receipt; with another token it is another."""
    paid = replace(SALE, payment_token="tok_1")
    assert inputs_digest(replace(paid, member_id=None)) == inputs_digest(paid)
    assert inputs_digest(replace(paid, payment_token="tok_2")) != inputs_digest(paid)


def test_a_member_cannot_pass_for_a_token() -> None:
    """An id that reads like what a token is written as must not make the two receipts one."""
    posing = replace(SALE, member_id="tok_1")
    assert inputs_digest(posing) != inputs_digest(replace(SALE, payment_token="tok_1"))


TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
LINES = st.lists(
    st.builds(
        SaleLineDraft,
        sku=TEXTS,
        category=st.none() | TEXTS,
        quantity=st.integers(1, 9),
        unit_price_micro=st.none() | st.integers(0, 9),
        amount_minor=st.integers(-9, 9),
        labels=st.lists(TEXTS, max_size=2).map(tuple),
    ),
    max_size=3,
)


@given(one=LINES, other=LINES)
def test_two_lists_of_lines_are_alike_only_where_they_are_equal(
    one: list[SaleLineDraft], other: list[SaleLineDraft]
) -> None:
    """No text runs over into the next field, and no line into the next line."""
    same = inputs_digest(replace(SALE, lines=one)) == inputs_digest(replace(SALE, lines=other))
    assert same == (one == other)


@given(
    quantity=st.integers(-(2**70), 2**70),
    amounts=st.lists(st.integers(-(2**70), 2**70), min_size=1, max_size=4),
    shipping_minor=st.integers(-(2**70), 2**70),
)
def test_whatever_is_accepted_fits_the_columns(quantity: int, amounts: list[int], shipping_minor: int) -> None:
    lines = tuple(replace(LINE, quantity=quantity, amount_minor=amount) for amount in amounts)
    if refusal(replace(SALE, lines=lines, shipping_minor=shipping_minor), "EUR", NOW) is None:
        assert 0 < quantity < 2**63
        assert all(abs(amount) < 2**63 for amount in amounts)
        assert sum(max(amount, 0) for amount in amounts) + shipping_minor < 2**63
