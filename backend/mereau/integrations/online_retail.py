"""The mapping `online-retail`: the columns of the UCI set "Online Retail" (doi 10.24432/C5BW33).

A sale is an invoice, a member is a CustomerID. An invoice whose number starts with `C` is a return that
names no sale. A line's amount is quantity x unit price in cents, truncated. InvoiceDate carries no zone and
is read as UTC; amounts are taken to be in the programme's currency, which the file does not name. A line
that is no return and has a negative quantity or price is an adjustment of the books (stock written off, bad
debt): it is counted and earns nothing.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from mereau.core.amounts import MAX_AMOUNT_MINOR
from mereau.integrations.errors import RefusedLineError
from mereau.integrations.lines import ImportLine, Kind

MICRO_PER_MINOR: Final = 10_000
NAME_LENGTH_MAX: Final = 64
# The years of the API: a spreadsheet's empty date is 1899 or year 1, and no sale.
YEARS: Final = range(1970, 2101)

_QUANTITY: Final = re.compile(r"[+-]?[0-9]{1,9}")
_PRICE: Final = re.compile(r"([+-]?)([0-9]{1,9})(?:\.([0-9]{0,12}))?")
_INSTANT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}(:[0-9]{2})?")
_CUSTOMER: Final = re.compile(r"([0-9]{1,18})(?:\.0*)?")

# A file repeats its values: each is read once, and the bound keeps memory small on files that do not.
_remembered = lru_cache(maxsize=16_384)


@_remembered
def _name(column: str, text: str) -> str:
    name = text.strip()
    if not 0 < len(name) <= NAME_LENGTH_MAX or not name.isprintable():
        raise RefusedLineError(f"{column} must be 1 to {NAME_LENGTH_MAX} printable characters")
    return name


@_remembered
def _quantity(text: str) -> int:
    if not _QUANTITY.fullmatch(text):
        raise RefusedLineError(f"Quantity is not a whole number: {text[:32]!r}")
    return int(text)


@_remembered
def _price_micro(text: str) -> int:
    """A price in millionths of the currency's unit, exactly."""
    match = _PRICE.fullmatch(text)
    fraction = (match[3] or "").rstrip("0") if match else ""
    if match is None or len(fraction) > 6:  # noqa: PLR2004  a millionth has six decimals
        raise RefusedLineError(f"UnitPrice is not an amount with at most six decimals: {text[:32]!r}")
    micro = int(match[2]) * 1_000_000 + int(fraction.ljust(6, "0"))
    return -micro if match[1] == "-" else micro


@_remembered
def _instant(text: str) -> str:
    reason = f"InvoiceDate is not a time such as 2010-12-01 08:26:00: {text[:32]!r}"
    if not _INSTANT.fullmatch(text):
        raise RefusedLineError(reason)
    try:
        at = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise RefusedLineError(reason) from None
    if at.year not in YEARS:
        raise RefusedLineError(f"InvoiceDate lies outside {YEARS.start} to {YEARS.stop - 1}: {text[:32]!r}")
    return at.isoformat()


@_remembered
def _customer(text: str) -> str:
    """The member's number: files that went through a spreadsheet write 17850 as 17850.0."""
    if not text:
        return ""
    match = _CUSTOMER.fullmatch(text)
    if match is None:
        raise RefusedLineError(f"CustomerID is not a number: {text[:32]!r}")
    return match[1]


def _kind(document: str, quantity: int, price_micro: int) -> Kind:
    if quantity == 0:
        raise RefusedLineError("Quantity is 0")
    if document.startswith("C"):
        if quantity > 0:
            raise RefusedLineError("a cancellation must have a negative quantity")
        return Kind.RETURN if price_micro >= 0 else Kind.ADJUSTMENT
    if quantity < 0 and price_micro > 0:
        raise RefusedLineError("a negative quantity on an invoice that is no cancellation")
    return Kind.SALE if quantity > 0 and price_micro >= 0 else Kind.ADJUSTMENT


class OnlineRetail:
    """See the module's text."""

    columns = ("InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID")

    def parse(self, fields: Sequence[str]) -> ImportLine:
        invoice, sku, quantity_text, date, price, customer = fields
        document = _name("InvoiceNo", invoice)
        quantity = _quantity(quantity_text)
        price_micro = _price_micro(price)
        units = abs(quantity)
        amount_minor = units * abs(price_micro) // MICRO_PER_MINOR
        if amount_minor > MAX_AMOUNT_MINOR:
            raise RefusedLineError("Quantity x UnitPrice is 2^53 cents or more")
        return ImportLine(
            document,
            _kind(document, quantity, price_micro),
            _instant(date),
            _customer(customer),
            _name("StockCode", sku),
            units,
            price_micro,
            amount_minor,
        )
