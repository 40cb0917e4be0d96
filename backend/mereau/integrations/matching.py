"""Which sold units a return that names no sale brings back: the latest earlier ones. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from mereau.earning.service import Candidate

GoodsKey = tuple[str, str, int]
"""Member id, SKU and unit price in millionths: what sold and returned units must have in common."""

Moment = tuple[datetime, int]
"""An instant and a place in the import order, which decides between documents of one instant."""


@dataclass(frozen=True, slots=True)
class Match:
    """Units of one line of a sale."""

    sale_id: str
    line_number: int
    quantity: int


@dataclass(slots=True)
class _Open:
    moment: Moment
    sale_id: str
    line_number: int
    quantity: int


class OpenUnits:
    """Sold units that are not yet returned; taking some makes them unavailable to the next return."""

    def __init__(self, candidates: Iterable[Candidate], position: Callable[[str], int]) -> None:
        """`position` gives a sale's place in the import order, by its external id."""
        self._by_goods: dict[GoodsKey, list[_Open]] = {}
        for found in candidates:
            key = (found.member_id, found.sku, found.unit_price_micro)
            moment = (found.occurred_at, position(found.sale_external_id))
            line = _Open(moment, found.sale_id, found.line_number, found.open_quantity)
            self._by_goods.setdefault(key, []).append(line)
        for lines in self._by_goods.values():
            lines.sort(key=lambda line: (line.moment, line.sale_id, line.line_number), reverse=True)

    def take(self, key: GoodsKey, quantity: int, before: Moment) -> tuple[list[Match], int]:
        """Units of sales before a moment, latest sale first, then its latest line; and how many found none."""
        matches = []
        for line in self._by_goods.get(key, ()):
            if quantity == 0:
                break
            if line.quantity and line.moment < before:
                taken = min(quantity, line.quantity)
                line.quantity -= taken
                quantity -= taken
                matches.append(Match(line.sale_id, line.line_number, taken))
        return matches, quantity
