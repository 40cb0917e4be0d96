"""Jobs of tiers: follow what happened, walk through everybody once a day, end graces and assignments."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import WriteSession, transaction
from mereau.outbox import service as outbox
from mereau.outbox.models import OutboxEvent
from mereau.tiers import queries
from mereau.tiers.evaluation import service

CONSUMER: Final = "tiers"
EVENTS_PER_PASS: Final = 1_000
MEMBERS_PER_CHUNK: Final = 10_000

# Of several things that happened to a member since the last look, the first that stands here is the cause.
_CAUSES: Final[Mapping[str, str]] = {
    "return.recorded": "return",
    "sale.recorded": "sale",
    "sale.claimed": "sale",
    "member.enrolled": "enrolment",
    "entry.accepted": "tokens",
    "entry.pending": "tokens",
    "entry.cancelled": "tokens",
    "entry.rejected": "tokens",
}
_URGENCY: Final = {cause: place for place, cause in enumerate(_CAUSES.values())}


async def follow(engine: AsyncEngine, now: datetime) -> int:
    """Judge whoever sold, returned, joined or got tokens since the last call; the number of events read."""
    total = 0
    while True:
        async with transaction(engine) as session:
            events = await outbox.read_after(session, CONSUMER, EVENTS_PER_PASS)
            if not events:
                return total
            causes = await _touched(session, events)
            await service.evaluate(session, sorted(causes), causes, now)
            await outbox.advance(session, CONSUMER, events[-1].seq)
        total += len(events)


async def _touched(session: WriteSession, events: Iterable[OutboxEvent]) -> dict[str, str]:
    """Member id -> why to look at it."""
    causes: dict[str, str] = {}
    returns = []
    for event in events:
        cause = _CAUSES.get(event.type)
        if cause == "return":
            returns.append(event.subject_id)
        member_id = event.subject_id if cause == "enrolment" else event.payload.get("member_id")
        if cause is not None and isinstance(member_id, str):
            known = causes.get(member_id, cause)
            causes[member_id] = min(known, cause, key=_URGENCY.__getitem__)
    if returns:
        causes |= dict.fromkeys(await queries.members_of_returns(session, returns), "return")
    return causes


async def walk_next(engine: AsyncEngine, now: datetime, *, chunk: int = MEMBERS_PER_CHUNK) -> int:
    """One chunk of today's pass, so that other jobs have their turn between two; how many members were judged."""
    async with transaction(engine) as session:
        return await service.walk(session, now, chunk)


async def walk_all(engine: AsyncEngine, now: datetime, *, chunk: int = MEMBERS_PER_CHUNK) -> int:
    """Bring today's pass to its end; how many members were judged."""
    total = 0
    while judged := await walk_next(engine, now, chunk=chunk):
        total += judged
    return total


async def end_graces(engine: AsyncEngine, now: datetime, *, chunk: int = MEMBERS_PER_CHUNK) -> int:
    """Judge those whose grace or assignment has ended; how many."""
    total = 0
    while True:
        async with transaction(engine) as session:
            judged = await service.evaluate_due(session, now, chunk)
        total += judged
        if judged < chunk:
            return total
