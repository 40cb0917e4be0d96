"""Holds every lot against the entries that made it."""

from collections.abc import AsyncIterator
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import snapshot
from mereau.ledger.replay import repository
from mereau.ledger.replay.domain import Difference, differences, replay

MEMBERS_PER_CHUNK: Final = 5_000


async def find_differences(engine: AsyncEngine, *, chunk: int = MEMBERS_PER_CHUNK) -> AsyncIterator[Difference]:
    """Figures of lots that their entries do not bear out; none in a sound ledger. One snapshot for all, no locks."""
    async with snapshot(engine) as session:
        after_id = ""
        while ids := await repository.members_after(session, after_id, chunk):
            replayed = replay(await repository.credits_of(session, ids), await repository.taken_of(session, ids))
            for difference in differences(replayed, await repository.lots_of(session, ids)):
                yield difference
            after_id = ids[-1]
