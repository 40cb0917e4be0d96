"""SQL of the facts: all members in one statement, of which only changes are written."""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    SmallInteger,
    Subquery,
    and_,
    case,
    cast,
    delete,
    func,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import insert

from mereau.core.db import ReadSession, WriteSession
from mereau.members.models import Member
from mereau.sales.models import Sale, SaleLine
from mereau.sales.queries import kept_minor
from mereau.segments.facts.domain import AT_RISK_DAYS, CHAMPION_SCORE, LAPSED_DAYS, NEW_DAYS, SCORES, YEAR_DAYS
from mereau.segments.models import FactsState, MemberFacts

_COLUMNS: Final = tuple(column.name for column in MemberFacts.__table__.columns)
_FIGURES: Final = _COLUMNS[1:]


async def as_of(session: ReadSession | WriteSession) -> datetime | None:
    """The instant that the facts describe; None before the first refresh."""
    return await session.scalar(select(FactsState.as_of))


async def lock(session: WriteSession) -> None:
    """One refresh at a time, until the transaction ends."""
    await session.execute(insert(FactsState).values(id=1, as_of=None).on_conflict_do_nothing())
    await session.execute(select(FactsState.id).with_for_update())


async def refresh(session: WriteSession, now: datetime) -> int:
    """Bring every active member's facts to `now`, and forget the others'; how many rows were written."""
    gone = select(Member.id).where(Member.status != "active")
    await session.execute(delete(MemberFacts).where(MemberFacts.member_id.in_(gone)))
    fresh = insert(MemberFacts).from_select(_COLUMNS, _facts(now))
    new = {name: fresh.excluded[name] for name in _FIGURES}
    kept = tuple_(*(MemberFacts.__table__.c[name] for name in _FIGURES))
    written = await session.execute(
        fresh.on_conflict_do_update(
            index_elements=["member_id"], set_=new, where=kept.is_distinct_from(tuple_(*new.values()))
        )
    )
    await session.execute(
        insert(FactsState).values(id=1, as_of=now).on_conflict_do_update(index_elements=["id"], set_={"as_of": now})
    )
    return int(getattr(written, "rowcount", 0))


def _bought(now: datetime) -> Subquery:
    """One row for each member who ever bought."""
    kept = (
        select(SaleLine.sale_id, func.sum(kept_minor()).label("minor"))
        .where(SaleLine.returned_quantity < SaleLine.quantity)
        .group_by(SaleLine.sale_id)
        .subquery()
    )
    this_year = Sale.occurred_at > now - timedelta(days=YEAR_DAYS)
    return (
        select(
            Sale.member_id,
            func.count().label("purchases"),
            func.sum(kept.c.minor).label("minor"),
            func.min(Sale.occurred_at).label("first_at"),
            func.max(Sale.occurred_at).label("last_at"),
            func.count().filter(this_year).label("year_purchases"),
            func.coalesce(func.sum(kept.c.minor).filter(this_year), 0).label("year_minor"),
        )
        .join(kept, kept.c.sale_id == Sale.id)
        .where(Sale.member_id.is_not(None))
        .group_by(Sale.member_id)
        .subquery()
    )


def _facts(now: datetime) -> Select[Any]:
    """The rows of `MemberFacts` as they are to be."""
    bought = _bought(now)
    scored = select(
        bought,
        _score(bought.c.last_at).label("recency"),
        _score(bought.c.year_purchases).label("frequency"),
        _score(bought.c.year_minor).label("monetary"),
    ).subquery()
    return (
        select(
            Member.id,
            func.coalesce(scored.c.purchases, 0),
            cast(func.coalesce(scored.c.minor, 0), BigInteger),
            scored.c.first_at,
            scored.c.last_at,
            func.coalesce(scored.c.year_purchases, 0),
            cast(func.coalesce(scored.c.year_minor, 0), BigInteger),
            scored.c.recency,
            scored.c.frequency,
            scored.c.monetary,
            _lifecycle(scored, now),
        )
        .outerjoin(scored, scored.c.member_id == Member.id)
        .where(Member.status == "active")
    )


def _score(figure: ColumnElement[Any]) -> ColumnElement[int]:
    below = func.rank().over(order_by=figure) - 1
    return cast(1 + SCORES * below // func.count().over(), SmallInteger)


def _lifecycle(scored: Subquery, now: datetime) -> ColumnElement[str]:
    def before(at: Any, days: int) -> Any:
        return at < now - timedelta(days=days)

    never = scored.c.purchases.is_(None)
    best = [scored.c[name] >= CHAMPION_SCORE for name in ("recency", "frequency", "monetary")]
    return case(
        (or_(before(scored.c.last_at, LAPSED_DAYS), and_(never, before(Member.created_at, NEW_DAYS))), "lapsed"),
        (before(scored.c.last_at, AT_RISK_DAYS), "at_risk"),
        (or_(never, scored.c.first_at >= now - timedelta(days=NEW_DAYS)), "new"),
        (and_(*best), "champion"),
        else_="regular",
    )
