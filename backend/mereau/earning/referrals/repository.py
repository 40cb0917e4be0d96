"""SQL of referrals."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from mereau.core.db import ReadSession, WriteSession
from mereau.earning.referrals.models import Referral, ReferralCode

Session = ReadSession | WriteSession

# Attributions follow each other: a ring is seen only by who sees all its other sides.
_LOCK = text("select pg_advisory_xact_lock(hashtextextended('mereau.earning.referrals', 0))")

_LINE = text("""
    with recursive line (member_id, depth) as (
        select cast(:member_id as text), 0
        union all
        select referrals.referrer_id, line.depth + 1
        from line join referrals on referrals.referred_id = line.member_id and referrals.state <> 'refused'
        where line.depth < 50
    )
    select member_id from line order by depth
""")

_EXPIRE = text("""
    update referrals set state = 'expired' where id in (
        select id from referrals where state = 'pending' and expires_at <= :now
        order by expires_at limit :limit for update skip locked
    )
    returning id
""")


async def lock_attributions(session: WriteSession) -> None:
    await session.execute(_LOCK)


async def add_code(session: WriteSession, member_id: str, code: str, now: datetime) -> None:
    """Give the member a code, unless they have one."""
    statement = insert(ReferralCode).values(member_id=member_id, code=code, created_at=now)
    await session.execute(statement.on_conflict_do_nothing(index_elements=["member_id"]))


async def code_of(session: Session, member_id: str) -> str | None:
    return await session.scalar(select(ReferralCode.code).where(ReferralCode.member_id == member_id))


async def owner_of(session: Session, code: str) -> str | None:
    return await session.scalar(select(ReferralCode.member_id).where(ReferralCode.code == code))


async def line_above(session: Session, member_id: str) -> Sequence[str]:
    """The member, who brought them, who brought those, and so on."""
    return (await session.scalars(_LINE, {"member_id": member_id})).all()


async def add(session: WriteSession, referral: Referral) -> None:
    session.add(referral)
    await session.flush()


async def of_friend(session: Session, referred_id: str) -> Referral | None:
    return await session.scalar(select(Referral).where(Referral.referred_id == referred_id))


async def before(
    session: Session, referrer_id: str | None, state: str | None, before_id: str | None, limit: int
) -> Sequence[Referral]:
    """Referrals, the newest first; one member's alone where they are named."""
    query = select(Referral).order_by(Referral.id.desc()).limit(limit)
    if referrer_id is not None:
        query = query.where(Referral.referrer_id == referrer_id)
    if state is not None:
        query = query.where(Referral.state == state)
    if before_id is not None:
        query = query.where(Referral.id < before_id)
    return (await session.scalars(query)).all()


async def lock_pending(session: WriteSession, referred_ids: Collection[str]) -> dict[str, Referral]:
    """The pending referrals of these friends, by friend; their referrers' codes are the lock of the caps.

    Codes first, in the order of their members, then referrals, so that two passes wait for each other.
    """
    waiting = select(Referral.referrer_id).where(
        Referral.referred_id == func.any(list(referred_ids)), Referral.state == "pending"
    )
    codes = select(ReferralCode.member_id).where(ReferralCode.member_id.in_(waiting)).order_by(ReferralCode.member_id)
    await session.execute(codes.with_for_update())
    found = await session.scalars(
        select(Referral)
        .where(Referral.referred_id == func.any(list(referred_ids)), Referral.state == "pending")
        .order_by(Referral.id)
        .with_for_update()
    )
    return {referral.referred_id: referral for referral in found}


async def credited_since(session: Session, referrer_ids: Collection[str], since: datetime) -> Mapping[str, int]:
    """Referrer -> friends they were credited for since; what was cancelled counts, or a return would free a place."""
    rows = await session.execute(
        select(Referral.referrer_id, func.count())
        .where(
            Referral.referrer_id == func.any(list(referrer_ids)),
            Referral.qualified_at >= since,
            Referral.is_capped.is_(False),
        )
        .group_by(Referral.referrer_id)
    )
    return {row[0]: row[1] for row in rows}


@dataclass(frozen=True, slots=True)
class Qualified:
    """A referral that became one by a purchase."""

    id: str
    referrer_id: str
    referred_id: str
    sale_id: str
    is_capped: bool
    qualified_at: datetime


def _qualified(sale_ids: Collection[str]) -> Select[Referral]:
    query = select(Referral).where(Referral.state == "qualified", Referral.sale_id == func.any(list(sale_ids)))
    return query.order_by(Referral.id)


def _told(referral: Referral) -> Qualified:
    if referral.sale_id is None or referral.qualified_at is None:
        raise ValueError(f"{referral.id} is qualified by no sale")
    return Qualified(
        referral.id,
        referral.referrer_id,
        referral.referred_id,
        referral.sale_id,
        referral.is_capped,
        referral.qualified_at,
    )


async def qualified_by(session: Session, sale_ids: Collection[str]) -> list[Qualified]:
    """The referrals that these sales made count, and that still do."""
    return [_told(referral) for referral in await session.scalars(_qualified(sale_ids))]


async def lock_qualified(session: WriteSession, sale_ids: Collection[str]) -> list[Qualified]:
    """As `qualified_by`, locked until the transaction ends."""
    return [_told(referral) for referral in await session.scalars(_qualified(sale_ids).with_for_update())]


async def cancel(session: WriteSession, ids: Collection[str], reason: str) -> None:
    await session.execute(
        update(Referral).where(Referral.id == func.any(list(ids))).values(state="cancelled", reason=reason)
    )


async def expire(session: WriteSession, now: datetime, limit: int) -> int:
    """End at most `limit` pending referrals whose time is over; how many."""
    return len((await session.execute(_EXPIRE, {"now": now, "limit": limit})).all())
