"""Following events: every one, once, in passes."""

from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import WriteSession, transaction
from mereau.outbox import service
from mereau.outbox.models import OutboxEvent
from mereau.outbox.service import Event
from mereau.outbox.tasks import follow

NOW = datetime(2026, 1, 5, tzinfo=UTC)


async def publish(engine: AsyncEngine, *subjects: str) -> None:
    async with transaction(engine) as session:
        await service.publish(session, [Event("thing.done", subject, {}) for subject in subjects], NOW)


async def test_every_event_is_handled_once_in_its_order(engine: AsyncEngine) -> None:
    passes: list[list[str]] = []

    async def handle(session: WriteSession, events: list[OutboxEvent]) -> None:
        passes.append([event.subject_id for event in events])

    await publish(engine, "a", "b", "c")
    assert await follow(engine, "reader", handle, limit=2) == 3
    assert passes == [["a", "b"], ["c"]]
    assert await follow(engine, "reader", handle) == 0
    assert await follow(engine, "other", handle) == 3


async def test_a_pass_that_fails_is_read_again(engine: AsyncEngine) -> None:
    seen: list[str] = []

    async def fail_once(session: WriteSession, events: list[OutboxEvent]) -> None:
        seen.extend(event.subject_id for event in events)
        if len(seen) == 1:
            raise ValueError("the first time")

    await publish(engine, "a")
    with pytest.raises(ValueError, match="first"):
        await follow(engine, "reader", fail_once)
    assert await follow(engine, "reader", fail_once) == 1
    assert seen == ["a", "a"]
