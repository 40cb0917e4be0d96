"""Sales as they come over the wire: what they mean, and where they stop making sense."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mereau.core.errors import FieldError, InvalidInputError
from mereau.core.schemas import AMOUNT_MINOR_MAX
from mereau.earning.schemas import (
    LABELS_MAX,
    LINES_MAX,
    SALES_MAX,
    MemberRef,
    SaleCreate,
    SalesBatchCreate,
    show_problem,
)

MEMBER_ID = "mem_" + "0" * 26
LINE: dict[str, Any] = {"sku": "bread", "amount_minor": 500}


def a_sale(*lines: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "external_id": "R-1", "occurred_at": "2026-01-05T09:30:00Z", "currency": "EUR", "lines": list(lines) or [LINE],
    } | changes  # fmt: skip


def findings(body: dict[str, Any], model: Any = SaleCreate) -> list[tuple[str, str]]:
    """(place, type) of what is wrong with a body."""
    try:
        model.model_validate(body)
    except ValidationError as error:
        return [("/".join(map(str, found["loc"])), found["type"]) for found in error.errors()]
    return []


def draft(currency: str = "EUR", **line: Any) -> Any:
    (read,) = SaleCreate.model_validate(a_sale({"sku": "bread"} | line)).lines
    return read.draft(currency)


@pytest.mark.parametrize(
    ("currency", "micro"),
    [("EUR", 3_200_000), ("ZZZ", 3_200_000), ("JPY", 320_000_000), ("XAF", 320_000_000), ("TND", 320_000)],
)
def test_a_unit_price_is_told_in_millionths_of_the_currencys_unit(currency: str, micro: int) -> None:
    line = draft(currency, quantity=3, unit_price_minor=320)
    assert (line.unit_price_micro, line.amount_minor, line.quantity) == (micro, 960, 3)


def test_an_amount_alone_has_no_unit_price() -> None:
    line = draft(quantity=3, amount_minor=1_000)
    assert (line.unit_price_micro, line.amount_minor) == (None, 1_000)


@given(st.integers(1, 1_000), st.integers(0, 10**6), st.data())
def test_a_line_is_its_units_at_their_price(quantity: int, price_minor: int, data: st.DataObject) -> None:
    total = quantity * price_minor
    discount, tax = data.draw(st.integers(0, total)), data.draw(st.integers(0, total))
    line = draft(quantity=quantity, unit_price_minor=price_minor, discount_minor=discount, tax_minor=tax)
    assert line.amount_minor * 10_000 == line.quantity * (line.unit_price_micro or 0)
    assert (line.discount_minor, line.tax_minor) == (discount, tax)


def test_labels_are_a_set_in_one_order() -> None:
    """Or the same receipt, told twice in another order, would be another one."""
    assert draft(amount_minor=1, labels=["new", "bio", "new"]).labels == ("bio", "new")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ({"sku": "a"}, [("lines/0", "one_of")]),
        ({"sku": "a", "unit_price_minor": 1, "amount_minor": 1}, [("lines/0", "one_of")]),
        (LINE | {"discount_minor": 500}, []),
        (LINE | {"discount_minor": 501}, [("lines/0", "too_large")]),
        (LINE | {"tax_minor": 500}, []),
        (LINE | {"tax_minor": 501}, [("lines/0", "too_large")]),
        ({"sku": "a", "unit_price_minor": 250, "quantity": 2, "discount_minor": 500}, []),
        ({"sku": "a", "unit_price_minor": 250, "quantity": 2, "discount_minor": 501}, [("lines/0", "too_large")]),
        (LINE | {"quantity": 0}, [("lines/0/quantity", "greater_than_equal")]),
        (LINE | {"quantity": 1_000_001}, [("lines/0/quantity", "less_than_equal")]),
        (LINE | {"labels": ["l"] * (LABELS_MAX + 1)}, [("lines/0/labels", "too_long")]),
        (LINE | {"sku": ""}, [("lines/0/sku", "string_too_short")]),
        (LINE | {"eligible": True}, [("lines/0/eligible", "extra_forbidden")]),
        ({"sku": "a", "amount_minor": 0}, []),
        ({"sku": "a", "amount_minor": -1}, [("lines/0/amount_minor", "greater_than_equal")]),
    ],
    ids=str,
)
def test_a_line_adds_up_or_is_named(line: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert findings(a_sale(line)) == found


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"lines": []}, [("lines", "too_short")]),
        ({"lines": [LINE] * LINES_MAX}, []),
        ({"lines": [LINE] * (LINES_MAX + 1)}, [("lines", "too_long")]),
        ({"lines": [{"sku": "a", "amount_minor": AMOUNT_MINOR_MAX}]}, []),
        ({"lines": [{"sku": "a", "amount_minor": AMOUNT_MINOR_MAX}], "shipping_minor": 1}, [("", "too_large")]),
        ({"lines": [{"sku": "a", "amount_minor": AMOUNT_MINOR_MAX}, LINE]}, [("", "too_large")]),
        ({"lines": [{"sku": "a", "quantity": 1_000, "unit_price_minor": AMOUNT_MINOR_MAX}]}, [("", "too_large")]),
        ({"member": {"id": MEMBER_ID}}, []),
        ({"member": {}}, [("member", "one_of")]),
        ({"member": {"id": MEMBER_ID, "external_id": "c"}}, [("member", "one_of")]),
        ({"payment_token": "tok_of_a_connector"}, []),
        ({"payment_token": "4970101234567890"}, [("payment_token", "string_pattern_mismatch")]),
        ({"payment_token": "tok_of_a_connector", "member": {"id": MEMBER_ID}}, [("", "one_of")]),
        ({"currency": "eur"}, [("currency", "string_pattern_mismatch")]),
        ({"occurred_at": "2026-01-05T09:30:00"}, [("occurred_at", "instant")]),
        ({"channel": "web"}, []),
        ({"channel": ""}, [("channel", "string_too_short")]),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_receipt_makes_sense_or_is_named(changes: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert findings(a_sale(**changes)) == found


@pytest.mark.parametrize(
    ("count", "found"), [(0, "too_short"), (1, None), (SALES_MAX, None), (SALES_MAX + 1, "too_long")]
)
def test_a_batch_has_a_size(count: int, found: str | None) -> None:
    wrong = findings({"sales": [a_sale()] * count}, SalesBatchCreate)
    assert wrong == ([] if found is None else [("sales", found)])


def test_a_place_within_a_batch_is_told_from_its_beginning() -> None:
    wrong = findings({"sales": [a_sale(), a_sale(LINE, LINE | {"discount_minor": 900})]}, SalesBatchCreate)
    assert wrong == [("sales/1/lines/1", "too_large")]


@pytest.mark.parametrize("ref", [{"id": MEMBER_ID}, {"external_id": "card-1"}])
def test_a_member_goes_by_one_name(ref: dict[str, str]) -> None:
    assert MemberRef.model_validate(ref).model_dump(exclude_none=True) == ref


def test_a_problem_of_a_batch_says_all_that_a_problem_says() -> None:
    error = InvalidInputError("No.", errors=[FieldError("/lines/0", "too_large", "The tax exceeds it.")])
    shown = show_problem(error).model_dump()
    assert shown == {
        "status": 422, "code": "invalid_input", "title": error.title, "detail": "No.",
        "errors": [{"pointer": "/lines/0", "code": "too_large", "detail": "The tax exceeds it."}],
    }  # fmt: skip
