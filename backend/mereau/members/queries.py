"""Reads of members for a caller: the owner's condition stands in the query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select, text

from mereau.auth.domain import Reach
from mereau.core.db import ReadSession, WriteSession
from mereau.members.models import Member

_ACTIVE: Final = text(
    "select id, external_id from members where status = 'active'"
    " and (id = any(cast(:ids as text[])) or external_id = any(cast(:external_ids as text[])))"
)


async def find_member(session: ReadSession | WriteSession, member_id: str, reach: Reach) -> Member | None:
    """A member whom the caller may see: themselves, or those whom the partner enrolled."""
    query = select(Member).where(Member.id == member_id)
    if reach.member_id is not None:
        query = query.where(Member.id == reach.member_id)
    if reach.partner_id is not None:
        query = query.where(Member.enrolled_by_partner_id == reach.partner_id)
    return await session.scalar(query)


@dataclass(frozen=True, slots=True)
class ActiveMembers:
    """Members that were found, by both names that a caller may use."""

    ids: frozenset[str]
    by_external_id: Mapping[str, str]


async def active_members(
    session: ReadSession | WriteSession, ids: Sequence[str], external_ids: Sequence[str]
) -> ActiveMembers:
    """Those of the named members that are active; one statement however many."""
    rows = await session.execute(_ACTIVE, {"ids": list(ids), "external_ids": list(external_ids)})
    by_external_id = {external_id: member_id for member_id, external_id in rows}
    return ActiveMembers(frozenset(by_external_id.values()), by_external_id)
