"""The same questions answered in plain Python, from all rows at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from factories.segments import Sorting
from mereau.segments.filters.domain import Balance, DaysAgo, Group, Node, Not, OneOf, Purchases, Range, Scores

DAY = timedelta(days=1)
SCORED = ("recency", "frequency", "monetary")


@dataclass(frozen=True)
class Bought:
    """One sale of which something was kept, with its kept lines as (columns, minor)."""

    at: datetime
    sale: Any
    lines: Sequence[tuple[Any, int]]

    @property
    def minor(self) -> int:
        return sum(minor for _, minor in self.lines)


@dataclass
class Oracle:
    """Everything about everybody, by member id."""

    now: datetime
    people: Mapping[str, Any]
    bought: Mapping[str, Sequence[Bought]]
    balances: Mapping[str, int]
    tiers: Mapping[str, str | None]
    listed: Mapping[str, set[str]]

    def __post_init__(self) -> None:
        self.scores = {
            "recency": self._scores(lambda sales: max(sale.at for sale in sales)),
            "frequency": self._scores(lambda sales: len(self._year(sales))),
            "monetary": self._scores(lambda sales: sum(sale.minor for sale in self._year(sales))),
        }

    def find(self, node: Node) -> set[str]:
        return {member for member in self.people if self._fits(member, node)}

    def _year(self, sales: Sequence[Bought]) -> Sequence[Bought]:
        return [sale for sale in sales if sale.at > self.now - 365 * DAY]

    def _scores(self, figure: Callable[[Sequence[Bought]], Any]) -> dict[str, int]:
        figures = {member: figure(sales) for member, sales in self.bought.items() if sales}
        return {
            member: 1 + 5 * sum(other < mine for other in figures.values()) // len(figures)
            for member, mine in figures.items()
        }

    def lifecycle(self, member: str) -> str:
        sales = self.bought[member]
        if not sales:
            return "lapsed" if self.people[member].created_at < self.now - 90 * DAY else "new"
        last, first = max(sale.at for sale in sales), min(sale.at for sale in sales)
        if last < self.now - 365 * DAY:
            return "lapsed"
        if last < self.now - 180 * DAY:
            return "at_risk"
        if first >= self.now - 90 * DAY:
            return "new"
        return "champion" if all(self.scores[name][member] >= 4 for name in SCORED) else "regular"

    def _fits(self, member: str, node: Node) -> bool:
        match node:
            case Group(word, parts):
                fits = (self._fits(member, part) for part in parts)
                return all(fits) if word == "all" else any(fits)
            case Not(part):
                return not self._fits(member, part)
            case question:
                return self._answers(member, question)

    def _answers(self, member: str, question: Node) -> bool:
        match question:
            case Purchases():
                return self._purchases(member, question)
            case DaysAgo(event, days):
                at = self._instant(member, event)
                return at is not None and max(0, (self.now - at) // DAY) in days
            case Balance(tokens):
                return self.balances.get(member, 0) in tokens
            case Scores():
                wanted = zip(SCORED, (question.recency, question.frequency, question.monetary), strict=True)
                return all(self.scores[name].get(member, 0) in range_ for name, range_ in wanted)
            case OneOf(what, names):
                return self._one_of(member, what, names)
        raise AssertionError(question)

    def _instant(self, member: str, event: str) -> datetime | None:
        if event == "enrolled":
            created_at: datetime = self.people[member].created_at
            return created_at
        instants = [sale.at for sale in self.bought[member]]
        if not instants:
            return None
        return min(instants) if event == "first_purchase" else max(instants)

    def _one_of(self, member: str, what: str, names: Sequence[str]) -> bool:
        said: dict[str, Callable[[], bool]] = {
            "tier": lambda: self.tiers[member] in names,
            "lifecycle": lambda: self.lifecycle(member) in names,
            "locale": lambda: self.people[member].locale in names,
            "label": lambda: bool(set(self.people[member].labels) & set(names)),
            "static_list": lambda: any(member in self.listed.get(name, ()) for name in names),
        }
        return said[what]()

    def _purchases(self, member: str, asked: Purchases) -> bool:
        amounts = []
        for sale in self.bought[member]:
            lines = [minor for line, minor in sale.lines if _is_asked(sale.sale, line, asked)]
            if lines and (asked.within_days is None or sale.at > self.now - asked.within_days * DAY):
                amounts.append(sum(lines))
        count, minor = len(amounts), sum(amounts)
        ranges = [(count, asked.count), (minor, asked.amount_minor)]
        if not any((asked.count, asked.amount_minor, asked.average_minor)):
            ranges.append((count, Range(1)))
        fits = all(figure in wanted for figure, wanted in ranges if wanted is not None)
        if asked.average_minor is None:
            return fits
        low, high = asked.average_minor.min, asked.average_minor.max
        return fits and count > 0 and (low is None or minor >= low * count) and (high is None or minor <= high * count)


def _is_asked(sale: Any, line: Any, asked: Purchases) -> bool:
    of_sale = {"partner_ids": sale.partner_id, "location_ids": sale.location_id, "channels": sale.channel}
    of_line = {"skus": line.sku, "categories": line.category, "brands": line.brand}
    for name, wanted in asked.names.items():
        if name == "labels":
            if not set(line.labels) & set(wanted):
                return False
        elif (of_sale | of_line)[name] not in wanted:
            return False
    return True


async def read(sorting: Sorting) -> Oracle:
    """What the database holds now, tier standings as they are."""
    people = {row.id: row for row in await sorting.rows("select * from members where status = 'active'")}
    lines: dict[str, list[Any]] = {}
    for line in await sorting.rows("select * from sale_lines where returned_quantity < quantity"):
        kept = (line.amount_minor - line.discount_minor) * (line.quantity - line.returned_quantity) // line.quantity
        lines.setdefault(line.sale_id, []).append((line, kept))
    bought: dict[str, list[Bought]] = {member: [] for member in people}
    for sale in await sorting.rows("select * from sales where member_id is not null"):
        if sale.id in lines and sale.member_id in bought:
            bought[sale.member_id].append(Bought(sale.occurred_at, sale, lines[sale.id]))
    accounts = await sorting.rows("select * from accounts")
    listed: dict[str, set[str]] = {}
    for row in await sorting.rows("select * from segment_members m join segments s on s.id = m.segment_id"):
        listed.setdefault(row.external_id, set()).add(row.member_id)
    return Oracle(
        sorting.now,
        people,
        bought,
        {row.member_id: max(0, row.available - row.debt) for row in accounts},
        dict(zip(sorting.members, await sorting.tiers(), strict=True)),
        listed,
    )
