"""Which receipt belongs to which sale."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from mereau.earning.claims.domain import Receipt, is_claimable

PARIS = ZoneInfo("Europe/Paris")
SOLD_AT = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
NOW = SOLD_AT + timedelta(days=3)
RECEIPT = Receipt("par_1", "R-1", 1_150, date(2026, 3, 2))


@dataclass
class Sold:
    member_id: str | None = None
    occurred_at: datetime = SOLD_AT
    shipping_minor: int = 250


@dataclass
class Line:
    amount_minor: int = 1_000
    discount_minor: int = 100
    returned_quantity: int = 0


def test_the_day_is_the_programmes_and_the_amount_is_what_was_paid() -> None:
    assert is_claimable(RECEIPT, Sold(), [Line()], NOW, PARIS, 30)
    assert is_claimable(replace(RECEIPT, amount_minor=2_050), Sold(), [Line(), Line()], NOW, PARIS, 30)


@pytest.mark.parametrize(
    ("receipt", "sold", "line"),
    [
        ({"amount_minor": 1_149}, {}, {}),
        ({"day": date(2026, 3, 1)}, {}, {}),
        ({}, {"member_id": "mem_1"}, {}),
        ({}, {"occurred_at": NOW - timedelta(days=31)}, {}),
        ({}, {}, {"returned_quantity": 1}),
        ({}, {}, {"discount_minor": 0}),
    ],
)
def test_whatever_does_not_fit_is_refused(receipt: dict[str, Any], sold: dict[str, Any], line: dict[str, Any]) -> None:
    assert not is_claimable(replace(RECEIPT, **receipt), Sold(**sold), [Line(**line)], NOW, PARIS, 30)


def test_the_last_moment_counts() -> None:
    last = SOLD_AT + timedelta(days=30)
    assert is_claimable(RECEIPT, Sold(), [Line()], last, PARIS, 30)
    assert not is_claimable(RECEIPT, Sold(), [Line()], last + timedelta(seconds=1), PARIS, 30)
