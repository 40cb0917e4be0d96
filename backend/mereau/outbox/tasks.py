"""How a consumer follows the events."""

from collections.abc import Awaitable, Callable
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import WriteSession, transaction
from mereau.outbox import service
from mereau.outbox.models import OutboxEvent

EVENTS_PER_PASS: Final = 1_000

Handler = Callable[[WriteSession, list[OutboxEvent]], Awaitable[None]]


async def follow(engine: AsyncEngine, consumer: str, handle: Handler, *, limit: int = EVENTS_PER_PASS) -> int:
    """Hand `consumer` every event since its last call, in passes of one transaction each; how many were read.

    Each event is handled exactly once however many workers run: the consumer's place is locked meanwhile.
    """
    total = 0
    while True:
        async with transaction(engine) as session:
            events = await service.read_after(session, consumer, limit)
            if not events:
                return total
            await handle(session, events)
            await service.advance(session, consumer, events[-1].seq)
        total += len(events)
