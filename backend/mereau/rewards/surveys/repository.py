"""SQL of surveys."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select, text, update

from mereau.auth.domain import Reach
from mereau.core.db import ReadSession, WriteSession
from mereau.rewards.surveys.models import Survey

Session = ReadSession | WriteSession

_ASK = text("""
    insert into surveys (id, delivery_id, member_id, partner_id, code_digest, asked_at, expires_at)
    select id, delivery_id, member_id, partner_id, digest, :now, :expires_at
    from unnest(
        cast(:ids as text[]), cast(:delivery_ids as text[]), cast(:member_ids as text[]),
        cast(:partner_ids as text[]), cast(:digests as bytea[])
    ) as asked (id, delivery_id, member_id, partner_id, digest)
    on conflict (delivery_id) do nothing
    returning id, delivery_id, member_id
""")


async def ask(
    session: WriteSession, asked: Sequence[tuple[str, str, str, str, bytes]], now: datetime, expires_at: datetime
) -> list[tuple[str, str, str]]:
    """Ask once for each delivery; `asked` are (id, delivery, member, partner, digest).

    (id, delivery, member) of those that were not asked before.
    """
    ids, delivery_ids, member_ids, partner_ids, digests = zip(*asked, strict=True)
    rows = await session.execute(
        _ASK,
        {
            "ids": list(ids),
            "delivery_ids": list(delivery_ids),
            "member_ids": list(member_ids),
            "partner_ids": list(partner_ids),
            "digests": list(digests),
            "now": now,
            "expires_at": expires_at,
        },
    )
    return [(row.id, row.delivery_id, row.member_id) for row in rows]


async def answer(session: WriteSession, digest: bytes, score: int, comment: str | None, now: datetime) -> Survey | None:
    """Write the one answer of a survey that is open; None where there is none with this code. Locks it."""
    return await session.scalar(
        update(Survey)
        .where(Survey.code_digest == digest, Survey.answered_at.is_(None), Survey.expires_at > now)
        .values(score=score, comment=comment, answered_at=now)
        .returning(Survey)
        .execution_options(populate_existing=True)
    )


async def surveys_before(session: Session, before_id: str | None, limit: int, reach: Reach) -> list[Survey]:
    """The newest first."""
    query = select(Survey).order_by(Survey.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(Survey.id < before_id)
    if reach.member_id is not None:
        query = query.where(Survey.member_id == reach.member_id)
    if reach.partner_id is not None:
        query = query.where(Survey.partner_id == reach.partner_id)
    return list(await session.scalars(query.execution_options(populate_existing=True)))


async def scores(
    session: Session, since: datetime | None, until: datetime | None, partner_id: str | None
) -> dict[int | None, int]:
    """Score -> how many of those asked in the period gave it; None for those who have not answered."""
    query = select(Survey.score, func.count().label("n")).group_by(Survey.score)
    if since is not None:
        query = query.where(Survey.asked_at >= since)
    if until is not None:
        query = query.where(Survey.asked_at < until)
    if partner_id is not None:
        query = query.where(Survey.partner_id == partner_id)
    return {row.score: row.n for row in await session.execute(query)}
