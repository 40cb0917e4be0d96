"""SQL of profiles."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, delete, func, insert, select, text

from mereau.core.db import ReadSession, WriteSession
from mereau.members.models import Member, ProfileRequirement
from mereau.members.profile.domain import ATTRIBUTE_PREFIX, BLANKS

_REQUIREMENTS_LOCK = text("select pg_advisory_xact_lock(hashtextextended('mereau.members.requirements', 0))")


async def lock_member(session: WriteSession, member_id: str, enrolled_by_partner_id: str | None) -> Member | None:
    """The member's row until the transaction ends; the partner's own alone where one is named."""
    query = select(Member).where(Member.id == member_id).with_for_update()
    if enrolled_by_partner_id is not None:
        query = query.where(Member.enrolled_by_partner_id == enrolled_by_partner_id)
    return await session.scalar(query)


async def required_fields(session: ReadSession | WriteSession) -> list[str]:
    return list(await session.scalars(select(ProfileRequirement.field).order_by(ProfileRequirement.field)))


async def replace_required_fields(session: WriteSession, fields: Sequence[str]) -> None:
    await session.execute(_REQUIREMENTS_LOCK)
    await session.execute(delete(ProfileRequirement))
    if fields:
        await session.execute(insert(ProfileRequirement), [{"field": field} for field in fields])


async def complete_among(
    session: ReadSession | WriteSession, member_ids: Sequence[str], required: Sequence[str]
) -> set[str]:
    """Those of the members that have filled every required field."""
    filled = [_filled(field) for field in required]
    return set(await session.scalars(select(Member.id).where(Member.id == func.any(list(member_ids)), *filled)))


def _filled(field: str) -> ColumnElement[bool]:
    """The same test as `Profile.has`."""
    if field.startswith(ATTRIBUTE_PREFIX):
        value = Member.attributes[field.removeprefix(ATTRIBUTE_PREFIX)].astext
    else:
        value = getattr(Member, field)
    if field == "birth_date":
        return value.is_not(None)  # type: ignore[no-any-return]
    return and_(value.is_not(None), func.btrim(value, BLANKS) != "")
