"""Reads of who belongs where."""

from collections.abc import Sequence

from sqlalchemy import func, select

from mereau.core.db import ReadSession, WriteSession
from mereau.segments.models import SegmentMember

Session = ReadSession | WriteSession


async def memberships(
    session: Session, member_ids: Sequence[str], segment_ids: Sequence[str]
) -> dict[str, frozenset[str]]:
    """Member id -> those of the segments that they belonged to at each segment's last refresh; one statement.

    Everybody asked for is there, with the empty set where they belong to none.
    """
    rows = await session.execute(
        select(SegmentMember.member_id, func.array_agg(SegmentMember.segment_id))
        .where(SegmentMember.segment_id == func.any(list(segment_ids)))
        .where(SegmentMember.member_id == func.any(list(member_ids)))
        .group_by(SegmentMember.member_id)
    )
    found = {member_id: frozenset(ids) for member_id, ids in rows}
    return {member_id: found.get(member_id, frozenset()) for member_id in member_ids}
