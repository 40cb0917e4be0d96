"""Reads of partners for a caller: the owner's condition stands in the query."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, select, true, union_all

from mereau.auth.domain import Reach
from mereau.core.db import ReadSession, WriteSession
from mereau.partners.models import Location, Partner, Staff


async def find_partner(session: ReadSession | WriteSession, partner_id: str, reach: Reach) -> Partner | None:
    """A partner that the caller may see: its own, or any for operators and auditors."""
    return await session.scalar(select(Partner).where(Partner.id == partner_id, _visible(reach)))


async def list_partners(session: ReadSession, reach: Reach, after_number: int | None, limit: int) -> Sequence[Partner]:
    """In the order of their numbers."""
    query = select(Partner).where(_visible(reach)).order_by(Partner.number).limit(limit)
    if after_number is not None:
        query = query.where(Partner.number > after_number)
    return (await session.scalars(query)).all()


async def list_locations(session: ReadSession, partner_id: str, after_id: str | None, limit: int) -> Sequence[Location]:
    query = select(Location).where(Location.partner_id == partner_id).order_by(Location.id).limit(limit)
    if after_id is not None:
        query = query.where(Location.id > after_id)
    return (await session.scalars(query)).all()


async def list_staff(session: ReadSession, partner_id: str, after_id: str | None, limit: int) -> Sequence[Staff]:
    query = select(Staff).where(Staff.partner_id == partner_id).order_by(Staff.id).limit(limit)
    if after_id is not None:
        query = query.where(Staff.id > after_id)
    return (await session.scalars(query)).all()


async def find_staff(session: ReadSession | WriteSession, staff_id: str, partner_id: str) -> Staff | None:
    """An active member of this partner's staff."""
    return await session.scalar(
        select(Staff).where(Staff.id == staff_id, Staff.partner_id == partner_id, Staff.status == "active")
    )


async def known_places(
    session: ReadSession | WriteSession, location_ids: Sequence[str], staff_ids: Sequence[str]
) -> set[tuple[str, str]]:
    """(partner id, id) of those locations and active staff that exist; one statement for both."""
    locations = select(Location.partner_id, Location.id).where(Location.id.in_(location_ids))
    people = select(Staff.partner_id, Staff.id).where(Staff.id.in_(staff_ids), Staff.status == "active")
    rows = await session.execute(union_all(locations, people))
    return {(partner_id, place_id) for partner_id, place_id in rows}


async def known_partners(session: ReadSession | WriteSession, partner_ids: Sequence[str]) -> set[str]:
    """Those of the ids that are active partners."""
    rows = await session.scalars(select(Partner.id).where(Partner.id.in_(partner_ids), Partner.status == "active"))
    return set(rows)


def _visible(reach: Reach) -> ColumnElement[bool]:
    return true() if reach.partner_id is None else Partner.id == reach.partner_id
