"""Who belongs to a segment, written down as it leaves."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import WriteSession, snapshot
from mereau.journal import service as journal
from mereau.segments import repository, service
from mereau.segments.export.domain import PERSONAL, PLAIN, body, header

_ROWS_PER_FETCH: Final = 5_000


async def note(session: WriteSession, segment_id: str, now: datetime, *, personal: bool, actor: str) -> None:
    """Journal that somebody takes the members of a segment away. NotFoundError where there is none."""
    segment = await service.get(session, segment_id)
    detail = {"external_id": segment.external_id, "personal": personal, "member_count": segment.member_count}
    await journal.record(session, at=now, actor=actor, action="segment.exported", subject_id=segment.id, detail=detail)


async def lines(engine: AsyncEngine, segment_id: str, *, personal: bool) -> AsyncIterator[bytes]:
    """The file, piece by piece, of one instant, in memory that does not grow with the segment."""
    columns = PERSONAL if personal else PLAIN
    yield header(columns)
    async with snapshot(engine) as session:
        async for rows in repository.stream_members(session, segment_id, rows_per_fetch=_ROWS_PER_FETCH):
            yield body(row[: len(columns)] for row in rows)
