"""SQL of segments."""

from sqlalchemy import select

from mereau.core.db import ReadSession, WriteSession
from mereau.segments.models import Segment


async def by_external_id(session: ReadSession | WriteSession, external_id: str) -> Segment | None:
    return await session.scalar(select(Segment).where(Segment.external_id == external_id))
