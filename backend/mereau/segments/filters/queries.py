"""A filter as one statement: every question an outer join or a column, every value a bound parameter.

Joins and not `in (select ...)`, which PostgreSQL runs once per member where the list outgrows its memory.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Date, FromClause, Integer, Select, and_, cast, false, func, not_, or_, select
from sqlalchemy.dialects.postgresql import distinct_on

from mereau.ledger.models import Account
from mereau.members.models import Consent, Member
from mereau.sales.models import Sale, SaleLine
from mereau.sales.queries import kept_minor
from mereau.segments.filters.domain import (
    Balance,
    Birthday,
    Consented,
    DaysAgo,
    Group,
    Node,
    Not,
    OneOf,
    Purchases,
    Question,
    Range,
    Scores,
)
from mereau.segments.models import MemberFacts, Segment, SegmentMember
from mereau.tiers.models import Tier, TierStanding

_DAY: Final = timedelta(days=1)
_COLUMNS: Final[Mapping[str, Any]] = {
    "partner_ids": Sale.partner_id,
    "location_ids": Sale.location_id,
    "channels": Sale.channel,
    "skus": SaleLine.sku,
    "categories": SaleLine.category,
    "brands": SaleLine.brand,
}


def matching(node: Node, now: datetime, zone: ZoneInfo) -> Select[str]:
    """Ids of the active members whom the filter finds at `now`; the facts are as of their last refresh."""
    statement = _Statement(now, now.astimezone(zone).date())
    found = statement.asks(node)
    query = select(Member.id)
    for source, on in statement.joins:
        query = query.outerjoin(source, on)
    return query.where(Member.status == "active", found)


class _Statement:
    """The joins that the questions need; those on a table of one row per member are made once."""

    def __init__(self, now: datetime, today: date) -> None:
        self._now = now
        self._today = today
        self.joins: list[tuple[Any, ColumnElement[bool]]] = []

    def asks(self, node: Node) -> ColumnElement[bool]:
        """The condition of a node. It is true or false, never null, so that `not` means what it says."""
        match node:
            case Group("all", parts):
                return and_(*map(self.asks, parts))
            case Group(_, parts):
                return or_(*map(self.asks, parts))
            case Not(part):
                return not_(self.asks(part))
            case question:
                return self._question(question)

    def _question(self, asked: Question) -> ColumnElement[bool]:
        match asked:
            case Purchases():
                found = self._purchases(asked)
            case DaysAgo():
                found = self._days_ago(asked)
            case Balance():
                account = self._once(Account)
                owned = func.greatest(account.available - account.debt, 0)
                found = _within(func.coalesce(owned, 0), asked.tokens)
            case Scores():
                facts = self._once(MemberFacts)
                scores = (facts.recency, facts.frequency, facts.monetary)
                wanted = (asked.recency, asked.frequency, asked.monetary)
                found = and_(*map(_within, (func.coalesce(score, 0) for score in scores), wanted))
            case Birthday(days):
                found = _has_birthday(self._today, self._today + days * _DAY)
            case Consented(kind):
                found = self._is_in(_consented(kind))
            case OneOf():
                found = self._one_of(asked)
        return found

    def _once(self, table: Any) -> Any:
        if not any(source is table for source, _ in self.joins):
            self.joins.append((table, table.member_id == Member.id))
        return table

    def _days_ago(self, node: DaysAgo) -> ColumnElement[bool]:
        if node.event == "enrolled":
            return _past(Member.created_at, node.days, self._now)
        facts = self._once(MemberFacts)
        at: ColumnElement[Any] = facts.first_purchase_at if node.event == "first_purchase" else facts.last_purchase_at
        return and_(at.is_not(None), _past(at, node.days, self._now))

    def _one_of(self, asked: OneOf) -> ColumnElement[bool]:
        names = list(asked.names)
        match asked.what:
            case "locale":
                return Member.locale == func.any(names)
            case "label":
                return and_(Member.labels.overlap(names))
            case "lifecycle":
                return func.coalesce(self._once(MemberFacts).lifecycle == func.any(names), false())
            case "tier":
                return self._is_in(_holders(names))
            case _:
                return self._is_in(_listed(names))

    def _is_in(self, query: Select[str]) -> ColumnElement[bool]:
        return self._joined(query).c.member_id.is_not(None)

    def _joined(self, query: Select[*tuple[Any, ...]]) -> FromClause:
        found = query.subquery(f"asked_{len(self.joins)}")
        self.joins.append((found, found.c.member_id == Member.id))
        return found

    def _purchases(self, node: Purchases) -> ColumnElement[bool]:
        if node.within_days is None and not node.names:
            facts = self._once(MemberFacts)
            count, minor = func.coalesce(facts.purchases, 0), func.coalesce(facts.amount_minor, 0)
        else:
            bought = self._joined(_bought(node, self._now))
            count, minor = func.coalesce(bought.c.purchases, 0), func.coalesce(bought.c.minor, 0)
        wanted = [_within(count, node.count or Range(1))] if _is_bare(node) or node.count else []
        if node.amount_minor:
            wanted.append(_within(minor, node.amount_minor))
        if node.average_minor:
            low, high = node.average_minor.min, node.average_minor.max
            wanted += [count > 0]
            wanted += [] if low is None else [minor >= low * count]
            wanted += [] if high is None else [minor <= high * count]
        return and_(*wanted)


def _is_bare(node: Purchases) -> bool:
    return node.count is None and node.amount_minor is None and node.average_minor is None


def _bought(asked: Purchases, now: datetime) -> Select[*tuple[Any, ...]]:
    """(member_id, purchases, minor) of those who bought what is asked for."""
    query: Select[*tuple[Any, ...]] = (
        select(Sale.member_id, func.count(Sale.id.distinct()).label("purchases"), func.sum(kept_minor()).label("minor"))
        .join(SaleLine, SaleLine.sale_id == Sale.id)
        .where(Sale.member_id.is_not(None), SaleLine.returned_quantity < SaleLine.quantity)
        .group_by(Sale.member_id)
    )
    if asked.within_days is not None:
        query = query.where(Sale.occurred_at > now - asked.within_days * _DAY)
    for name, names in asked.names.items():
        if name == "labels":
            query = query.where(SaleLine.labels.overlap(list(names)))
        else:
            query = query.where(_COLUMNS[name] == func.any(list(names)))
    return query


def _holders(tiers: list[str]) -> Select[str]:
    held = select(TierStanding.member_id).join(Tier, Tier.id == TierStanding.tier_id)
    return held.where(Tier.external_id == func.any(tiers))


def _listed(lists: list[str]) -> Select[str]:
    named = select(SegmentMember.member_id).join(Segment, Segment.id == SegmentMember.segment_id)
    return named.where(Segment.kind == "static", Segment.external_id == func.any(lists)).distinct()


def _consented(kind: str) -> Select[str]:
    last = select(Consent.member_id, Consent.state).where(Consent.kind == kind).ext(distinct_on(Consent.member_id))
    said = last.order_by(Consent.member_id, Consent.occurred_at.desc()).subquery()
    return select(said.c.member_id).where(said.c.state == "given")


def _has_birthday(first: date, last: date) -> ColumnElement[bool]:
    def in_year(year: int) -> ColumnElement[bool]:
        # The database clamps 29 February to the 28th where there is none.
        years = cast(year - func.extract("year", Member.birth_date), Integer)
        return cast(Member.birth_date + func.make_interval(years), Date).between(first, last)

    return func.coalesce(or_(*(in_year(year) for year in range(first.year, last.year + 1))), false())


def _within(figure: ColumnElement[Any], wanted: Range) -> ColumnElement[bool]:
    ends = []
    if wanted.min is not None:
        ends.append(figure >= wanted.min)
    if wanted.max is not None:
        ends.append(figure <= wanted.max)
    return and_(*ends)


def _past(at: Any, days: Range, now: datetime) -> ColumnElement[bool]:
    """`at` lies so many full days back; what lies ahead of a clock that is behind counts as today."""
    ends = []
    if days.min:
        ends.append(at <= now - days.min * _DAY)
    if days.max is not None:
        ends.append(at > now - (days.max + 1) * _DAY)
    return and_(*ends) if ends else at.is_not(None)
