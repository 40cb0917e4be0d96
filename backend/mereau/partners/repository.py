"""SQL of partners, their locations and staff."""

from collections.abc import Sequence

from sqlalchemy import func, select, text

from mereau.core.db import ReadSession, WriteSession
from mereau.partners.models import Location, Partner, Staff

_NUMBERING_LOCK = text("select pg_advisory_xact_lock(hashtextextended('mereau.partners', 0))")


async def lock_numbering(session: WriteSession) -> None:
    """One partner is numbered at a time, so that numbers have no gaps."""
    await session.execute(_NUMBERING_LOCK)


async def next_number(session: WriteSession) -> int:
    last = await session.scalar(select(func.max(Partner.number)))
    return (last or 0) + 1


async def add(session: WriteSession, row: Partner | Location | Staff) -> None:
    session.add(row)
    await session.flush()


async def by_id(session: ReadSession | WriteSession, partner_id: str, *, for_update: bool = False) -> Partner | None:
    query = select(Partner).where(Partner.id == partner_id)
    if for_update:
        query = query.with_for_update().execution_options(populate_existing=True)
    return await session.scalar(query)


async def by_external_id(session: ReadSession | WriteSession, external_id: str) -> Partner | None:
    return await session.scalar(select(Partner).where(Partner.external_id == external_id))


async def numbers(session: ReadSession | WriteSession, ids: Sequence[str]) -> dict[str, int]:
    rows = await session.execute(select(Partner.id, Partner.number).where(Partner.id == func.any(list(ids))))
    return {row.id: row.number for row in rows}


async def after_number(session: ReadSession | WriteSession, number: int, limit: int) -> list[Partner]:
    rows = await session.scalars(select(Partner).where(Partner.number > number).order_by(Partner.number).limit(limit))
    return list(rows)


async def location(session: ReadSession | WriteSession, partner_id: str, external_id: str) -> Location | None:
    return await session.scalar(
        select(Location).where(Location.partner_id == partner_id, Location.external_id == external_id)
    )


async def location_by_id(session: ReadSession | WriteSession, partner_id: str, location_id: str) -> Location | None:
    return await session.scalar(select(Location).where(Location.partner_id == partner_id, Location.id == location_id))


async def staff(session: ReadSession | WriteSession, partner_id: str, external_id: str) -> Staff | None:
    return await session.scalar(select(Staff).where(Staff.partner_id == partner_id, Staff.external_id == external_id))
