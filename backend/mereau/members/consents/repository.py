"""SQL of consents."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on

from mereau.core.db import ReadSession, WriteSession
from mereau.members.models import Consent


async def latest(session: ReadSession | WriteSession, member_id: str, kind: str) -> Consent | None:
    """The record of this kind that was said last."""
    query = select(Consent).where(Consent.member_id == member_id, Consent.kind == kind)
    return await session.scalar(query.order_by(Consent.occurred_at.desc()).limit(1))


async def at(session: WriteSession, member_id: str, kind: str, occurred_at: datetime) -> Consent | None:
    return await session.scalar(
        select(Consent).where(Consent.member_id == member_id, Consent.kind == kind, Consent.occurred_at == occurred_at)
    )


async def add(session: WriteSession, consent: Consent) -> None:
    session.add(consent)
    await session.flush()


async def current(session: ReadSession | WriteSession, member_id: str) -> Sequence[Consent]:
    """The record that counts of each kind."""
    query = select(Consent).where(Consent.member_id == member_id).ext(distinct_on(Consent.kind))
    return (await session.scalars(query.order_by(Consent.kind, Consent.occurred_at.desc()))).all()


async def before(
    session: ReadSession | WriteSession, member_id: str, before_id: str | None, limit: int
) -> Sequence[Consent]:
    """Records as they were handed in, the newest first."""
    query = select(Consent).where(Consent.member_id == member_id).order_by(Consent.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(Consent.id < before_id)
    return (await session.scalars(query)).all()
