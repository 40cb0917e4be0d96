"""What a receipt must say to be claimed. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is printed on it: the merchant, its number, what was paid, and the day."""

    partner_id: str
    external_id: str
    amount_minor: int
    day: date


class Sold(Protocol):
    """What is looked at in a recorded sale."""

    @property
    def member_id(self) -> str | None: ...
    @property
    def occurred_at(self) -> datetime: ...
    @property
    def shipping_minor(self) -> int: ...


class SoldLine(Protocol):
    """What is looked at in its lines."""

    @property
    def amount_minor(self) -> int: ...
    @property
    def discount_minor(self) -> int: ...
    @property
    def returned_quantity(self) -> int: ...


def is_claimable(
    receipt: Receipt, sale: Sold, lines: Sequence[SoldLine], now: datetime, zone: ZoneInfo, within_days: int
) -> bool:
    """Whether this is the receipt of that sale, and nobody's yet, whole, and not too old.

    The amount is what was paid: lines less discounts, and shipping. The day is the programme's.
    """
    paid_minor = sum(line.amount_minor - line.discount_minor for line in lines) + sale.shipping_minor
    return (
        sale.member_id is None
        and paid_minor == receipt.amount_minor
        and sale.occurred_at.astimezone(zone).date() == receipt.day
        and not any(line.returned_quantity for line in lines)
        and now <= sale.occurred_at + timedelta(days=within_days)
    )
