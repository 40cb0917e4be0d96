"""The mapping alone: what a record says, and which records are refused."""

from decimal import ROUND_DOWN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.integrations.errors import RefusedLineError, UnknownMappingError
from mereau.integrations.lines import ImportLine, Kind
from mereau.integrations.mappings import MAPPINGS, mapping_named
from mereau.integrations.online_retail import OnlineRetail

GOOD = {
    "InvoiceNo": "536365",
    "StockCode": "85123A",
    "Quantity": "6",
    "InvoiceDate": "2010-12-01 08:26:00",
    "UnitPrice": "2.55",
    "CustomerID": "17850.0",
}


def parse(**changes: str) -> ImportLine:
    return OnlineRetail().parse([(GOOD | changes)[column] for column in OnlineRetail.columns])


def test_a_sale_line_is_read() -> None:
    assert parse() == ImportLine(
        "536365", Kind.SALE, "2010-12-01T08:26:00+00:00", "17850", "85123A", 6, 2_550_000, 1_530
    )


def test_a_cancellation_counts_its_units_positively() -> None:
    line = parse(InvoiceNo="C536379", Quantity="-3", UnitPrice="27.50")
    assert (line.kind, line.quantity, line.amount_minor) == (Kind.RETURN, 3, 8_250)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"UnitPrice": "0"}, Kind.SALE),
        ({"InvoiceNo": "A563185", "UnitPrice": "11062.06"}, Kind.SALE),
        ({"InvoiceNo": "A563186", "UnitPrice": "-11062.06"}, Kind.ADJUSTMENT),
        ({"Quantity": "-10", "UnitPrice": "0.0"}, Kind.ADJUSTMENT),
        ({"InvoiceNo": "C1", "Quantity": "-1", "UnitPrice": "0"}, Kind.RETURN),
        ({"InvoiceNo": "C1", "Quantity": "-1", "UnitPrice": "-1"}, Kind.ADJUSTMENT),
        ({"InvoiceNo": "c1"}, Kind.SALE),
    ],
    ids=str,
)
def test_the_kind_follows_from_number_quantity_and_price(changes: dict[str, str], kind: Kind) -> None:
    assert parse(**changes).kind is kind


@pytest.mark.parametrize(
    ("text", "member"), [("", ""), ("17850", "17850"), ("17850.0", "17850"), ("17850.", "17850"), ("007.00", "007")]
)
def test_a_customer_is_a_number_however_a_spreadsheet_wrote_it(text: str, member: str) -> None:
    assert parse(CustomerID=text).member == member


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"InvoiceNo": ""}, "InvoiceNo"),
        ({"InvoiceNo": "x" * 65}, "InvoiceNo"),
        ({"InvoiceNo": "53\x006365"}, "InvoiceNo"),
        ({"StockCode": "  "}, "StockCode"),
        ({"StockCode": "caf\udce9"}, "StockCode"),
        ({"Quantity": ""}, "Quantity"),
        ({"Quantity": "0"}, "Quantity is 0"),
        ({"Quantity": "1.5"}, "Quantity"),
        ({"Quantity": "1_000"}, "Quantity"),
        ({"Quantity": " 1"}, "Quantity"),
        ({"Quantity": "\u0661"}, "Quantity"),
        ({"Quantity": "9999999999"}, "Quantity"),
        ({"Quantity": "-1"}, "negative quantity"),
        ({"InvoiceNo": "C1", "Quantity": "1"}, "cancellation"),
        ({"UnitPrice": ""}, "UnitPrice"),
        ({"UnitPrice": "NaN"}, "UnitPrice"),
        ({"UnitPrice": "1e3"}, "UnitPrice"),
        ({"UnitPrice": "2,55"}, "UnitPrice"),
        ({"UnitPrice": "0.0000001"}, "UnitPrice"),
        ({"UnitPrice": "Infinity"}, "UnitPrice"),
        ({"InvoiceDate": ""}, "InvoiceDate"),
        ({"InvoiceDate": "12/1/2010 8:26"}, "InvoiceDate"),
        ({"InvoiceDate": "2010-02-30 08:26:00"}, "InvoiceDate"),
        ({"InvoiceDate": "2010-12-01 24:00:00"}, "InvoiceDate"),
        ({"InvoiceDate": "2010-12-01 08:26:00\n"}, "InvoiceDate"),
        ({"CustomerID": "17850.5"}, "CustomerID"),
        ({"CustomerID": "nan"}, "CustomerID"),
        ({"CustomerID": "-1"}, "CustomerID"),
    ],
    ids=repr,
)
def test_a_record_that_cannot_be_read_is_refused_with_its_reason(changes: dict[str, str], reason: str) -> None:
    with pytest.raises(RefusedLineError) as refusal:
        parse(**changes)
    assert reason in refusal.value.detail


@given(st.integers(1, 99_999), st.decimals("0", "99999", places=3))
def test_amounts_are_cents_truncated_and_exact(quantity: int, price: Decimal) -> None:
    line = parse(Quantity=str(quantity), UnitPrice=str(price))
    expected = (quantity * price * 100).quantize(Decimal(1), rounding=ROUND_DOWN)
    assert (line.amount_minor, line.unit_price_micro) == (int(expected), int(price * 1_000_000))


@pytest.mark.parametrize(
    ("price", "micro"), [("0.001", 1_000), ("1.2300000000", 1_230_000), ("5.", 5_000_000), ("+1", 10**6)]
)
def test_prices_below_a_cent_are_kept(price: str, micro: int) -> None:
    assert parse(UnitPrice=price).unit_price_micro == micro


def test_minutes_without_seconds_are_an_instant() -> None:
    assert parse(InvoiceDate="2010-12-01 08:26").occurred_at == "2010-12-01T08:26:00+00:00"


def test_mappings_are_found_by_name() -> None:
    assert mapping_named("online-retail") is MAPPINGS["online-retail"]


@pytest.mark.parametrize("name", ["", "Online-Retail", "shopify"])
def test_an_unknown_mapping_lists_the_known(name: str) -> None:
    with pytest.raises(UnknownMappingError, match="online-retail"):
        mapping_named(name)
