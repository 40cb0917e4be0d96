"""Who passed a milestone: members by id, a chunk at a time, one statement each."""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import Date, cast, exists, extract, func, select, tuple_
from sqlalchemy.orm import aliased

from mereau.core.db import ReadSession, WriteSession
from mereau.earning.milestones.domain import Milestone
from mereau.members.models import Member
from mereau.sales.models import Sale

Session = ReadSession | WriteSession


async def born_on(session: Session, dates: Sequence[tuple[int, int]], after_id: str, limit: int) -> Sequence[str]:
    """Active members whose birth date is one of these (month, day)."""
    born = tuple_(extract("month", Member.birth_date), extract("day", Member.birth_date))
    query = select(Member.id).where(Member.status == "active", Member.id > after_id, born.in_(dates))
    return (await session.scalars(query.order_by(Member.id).limit(limit))).all()


async def joined_on(
    session: Session, days: Sequence[int], before: date, time_zone: str, after_id: str, limit: int
) -> Sequence[tuple[str, date]]:
    """(id, day of joining) of active members who joined on one of these days of a month before this one."""
    joined = cast(func.timezone(time_zone, Member.created_at), Date)
    month = func.date_trunc("month", joined)
    query = select(Member.id, joined).where(
        Member.status == "active",
        Member.id > after_id,
        extract("day", joined).in_(days),
        month < before.replace(day=1),
    )
    rows = await session.execute(query.order_by(Member.id).limit(limit))
    return [(id_, day) for id_, day in rows]


async def bought_last(
    session: Session, start: datetime, end: datetime, after_id: str, limit: int
) -> Sequence[tuple[str, str]]:
    """(member id, sale id) of active members whose last purchase lies in [start, end)."""
    later = aliased(Sale)
    query = (
        select(Sale.member_id, func.max(Sale.id))
        .join(Member, Member.id == Sale.member_id)
        .where(
            Member.status == "active",
            Sale.member_id > after_id,
            Sale.occurred_at >= start,
            Sale.occurred_at < end,
            ~exists().where(later.member_id == Sale.member_id, later.occurred_at >= end),
        )
        .group_by(Sale.member_id)
        .order_by(Sale.member_id)
        .limit(limit)
    )
    return [(member_id or "", sale_id) for member_id, sale_id in await session.execute(query)]


async def first_purchases(session: Session, sale_ids: Sequence[str]) -> list[Milestone]:
    """Those of the sales that are the first of an active member, each as its milestone."""
    earlier = aliased(Sale)
    query = (
        select(Sale)
        .join(Member, Member.id == Sale.member_id)
        .where(
            Sale.id == func.any(list(sale_ids)),
            Member.status == "active",
            ~exists().where(
                earlier.member_id == Sale.member_id,
                tuple_(earlier.occurred_at, earlier.id) < tuple_(Sale.occurred_at, Sale.id),
            ),
        )
    )
    return [
        Milestone(
            sale.member_id or "",
            sale.member_id or "",
            sale.occurred_at,
            sale.partner_id,
            sale.location_id,
            sale.channel,
        )
        for sale in await session.scalars(query)
    ]
