"""Jobs of deliveries: following the redemptions, and forgetting whom they went to."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import WriteSession, transaction
from mereau.outbox.models import OutboxEvent
from mereau.outbox.tasks import follow
from mereau.rewards.fulfilment import repository, service
from mereau.rewards.fulfilment.domain import PERSONAL_DAYS

CONSUMER: Final = "deliveries"
_CHUNK: Final = 500


async def follow_redemptions(engine: AsyncEngine, now: datetime) -> int:
    """Clear or cancel deliveries as their redemptions went; the number of events read."""

    async def handle(session: WriteSession, events: list[OutboxEvent]) -> None:
        await service.on_events(session, events, now)

    return await follow(engine, CONSUMER, handle)


async def forget_recipients(engine: AsyncEngine, now: datetime) -> int:
    """Erase addresses, markings and files of deliveries that ended 90 days ago, in chunks; how many deliveries."""
    before = now - timedelta(days=PERSONAL_DAYS)
    total = 0
    while True:
        async with transaction(engine) as session:
            gone = await repository.forget_before(session, before, _CHUNK)
        total += gone
        if gone < _CHUNK:
            return total
