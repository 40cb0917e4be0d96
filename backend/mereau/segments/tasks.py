"""Jobs of segments."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import transaction
from mereau.segments import service


async def refresh_next(engine: AsyncEngine, now: datetime) -> int:
    """Do one piece of what is due: the facts where they are older than the wait, else one segment; 0 at the end.

    One piece per call, so that other jobs have their turn between two of them. Killed anywhere, the piece is
    due again.
    """
    async with transaction(engine) as session:
        due = await service.next_due(session, now)
        if due is None:
            return 0
        if due.needs_facts:
            await service.refresh_facts(session, now)
            return 1
        await service.start(session, due.segment_id, now)
    async with transaction(engine) as session:
        await service.refresh(session, due.segment_id, now)
    return 1


async def refresh_due(engine: AsyncEngine, now: datetime) -> int:
    """Every piece of what is due; how many there were."""
    pieces = 0
    while await refresh_next(engine, now):
        pieces += 1
    return pieces
