"""Segments by the name that others know them by."""

from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import NotFoundError
from mereau.segments import repository
from mereau.segments.models import Segment


async def get_by_external_id(session: ReadSession | WriteSession, external_id: str) -> Segment:
    """The segment known under this number; NotFoundError where there is none."""
    segment = await repository.by_external_id(session, external_id)
    if segment is None:
        raise NotFoundError("There is no such segment.")
    return segment
