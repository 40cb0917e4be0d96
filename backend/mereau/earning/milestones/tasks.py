"""Jobs of milestones: following events, and looking at the calendar once a day."""

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import snapshot, transaction
from mereau.earning.milestones import service
from mereau.earning.milestones.domain import DAILY, FOLLOWED, recent_days
from mereau.outbox import service as outbox
from mereau.programs import service as programs

CONSUMER: Final = "earning.milestones"
EVENTS_PER_PASS: Final = 1_000
MEMBERS_PER_CHUNK: Final = 1_000


async def follow_events(engine: AsyncEngine, now: datetime) -> int:
    """Credit what was told since the last call; the number of events read.

    Each trigger has a transaction of its own, so that the accounts it moves are locked in one go. The place moves
    last: after a crash the same events are read again, and what was credited is known by its source.
    """
    total = 0
    while True:
        async with transaction(engine) as session:
            events = await outbox.read_after(session, CONSUMER, EVENTS_PER_PASS)
        if not events:
            return total
        for trigger in sorted({trigger for event in events for trigger in FOLLOWED.get(event.type, ())}):
            async with transaction(engine) as session:
                await service.follow(session, trigger, events, now)
        async with transaction(engine) as session:
            await outbox.advance(session, CONSUMER, events[-1].seq)
        total += len(events)


async def celebrate(engine: AsyncEngine, now: datetime, *, chunk: int = MEMBERS_PER_CHUNK) -> int:
    """Credit birthdays, months of membership and lapses of the programme's day and the days just before it.

    One transaction per chunk of members; how many milestones were seen. Safe to repeat: what was credited is known
    by its source, so a run that was cut short begins anew.
    """
    async with snapshot(engine) as session:
        zone = ZoneInfo((await programs.current(session)).time_zone)
    total = 0
    for trigger in DAILY:
        for day in recent_days(now, zone):
            place: str | None = ""
            while place is not None:
                async with transaction(engine) as session:
                    seen, place = await service.pass_daily(session, trigger, day, place, chunk, now)
                total += seen
    return total
