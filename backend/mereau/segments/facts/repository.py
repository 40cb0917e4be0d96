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
    exists,
    func,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from mereau.core.db import ReadSession, WriteSession
from mereau.members.models import Member
from mereau.sales.models import Sale, SaleLine
from mereau.sales.queries import kept_minor
from mereau.segments.facts.domain import AT_RISK_DAYS, CHAMPION_SCORE, LAPSED_DAYS, NEW_DAYS, SCORES, YEAR_DAYS
from mereau.segments.models import FactsState, MemberFacts

# For this transaction alone: sorts of millions of sales that would otherwise go to disk many times over.
_MEMORY: Final = text("set local work_mem = '128MB'")
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
    await session.execute(_MEMORY)
    gone = select(Member.id).where(Member.status != "active")
    await session.execute(delete(MemberFacts).where(MemberFacts.member_id.in_(gone)))
    fresh = _facts(now).cte("fresh")
    kept = MemberFacts.__table__.c
    # Apart from each other, because an upsert locks, and so writes, each row that it leaves as it is.
    differs = tuple_(*(kept[name] for name in _FIGURES)).is_distinct_from(tuple_(*(fresh.c[name] for name in _FIGURES)))
    changed = (
        update(MemberFacts)
        .where(kept.member_id == fresh.c.member_id, differs)
        .values({name: fresh.c[name] for name in _FIGURES})
        .returning(kept.member_id)
        .cte("changed")
    )
    missing = select(fresh).where(~exists().where(kept.member_id == fresh.c.member_id))
    added = insert(MemberFacts).from_select(_COLUMNS, missing).returning(kept.member_id).cte("added")
    counts = [select(func.count()).select_from(source).scalar_subquery() for source in (changed, added)]
    written = await session.scalar(select(counts[0] + counts[1]))
    state = insert(FactsState).values(id=1, as_of=now)
    await session.execute(state.on_conflict_do_update(index_elements=["id"], set_={"as_of": now}))
    return written or 0


def _bought(now: datetime) -> Subquery:
    """One row for each member who ever bought."""
    this_year = Sale.occurred_at > now - timedelta(days=YEAR_DAYS)
    return (
        select(
            Sale.member_id,
            func.count(Sale.id.distinct()).label("purchases"),
            func.sum(kept_minor()).label("minor"),
            func.min(Sale.occurred_at).label("first_at"),
            func.max(Sale.occurred_at).label("last_at"),
            func.count(Sale.id.distinct()).filter(this_year).label("year_purchases"),
            func.coalesce(func.sum(kept_minor()).filter(this_year), 0).label("year_minor"),
        )
        .join(SaleLine, SaleLine.sale_id == Sale.id)
        .where(Sale.member_id.is_not(None), SaleLine.returned_quantity < SaleLine.quantity)
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
            Member.id.label("member_id"),
            func.coalesce(scored.c.purchases, 0).label("purchases"),
            cast(func.coalesce(scored.c.minor, 0), BigInteger).label("amount_minor"),
            scored.c.first_at.label("first_purchase_at"),
            scored.c.last_at.label("last_purchase_at"),
            func.coalesce(scored.c.year_purchases, 0).label("year_purchases"),
            cast(func.coalesce(scored.c.year_minor, 0), BigInteger).label("year_amount_minor"),
            scored.c.recency,
            scored.c.frequency,
            scored.c.monetary,
            _lifecycle(scored, now).label("lifecycle"),
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
