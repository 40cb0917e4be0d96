"""The job of surveys: asking after what was delivered."""

from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import WriteSession
from mereau.outbox.models import OutboxEvent
from mereau.outbox.tasks import follow
from mereau.rewards.surveys import service

CONSUMER: Final = "surveys"


async def follow_deliveries(engine: AsyncEngine, secret: bytes, now: datetime) -> int:
    """Ask after each delivery since the last call; the number of events read."""

    async def handle(session: WriteSession, events: list[OutboxEvent]) -> None:
        await service.on_events(session, events, secret, now)

    return await follow(engine, CONSUMER, handle)
