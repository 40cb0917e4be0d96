"""Events: with their transaction or not at all, in order, none skipped although writers never wait."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import transaction
from mereau.outbox import repository
from mereau.outbox import service as outbox
from mereau.outbox.service import Event

NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def publish(engine: AsyncEngine, *subjects: str) -> None:
    async with transaction(engine) as session:
        await outbox.publish(session, [Event("thing.made", subject, {"é": 1}) for subject in subjects], NOW)


async def read(engine: AsyncEngine, limit: int = 100, consumer: str = "test", *, keep: bool = True) -> list[str]:
    """Subjects of the next events, handled."""
    async with transaction(engine) as session:
        events = await outbox.read_after(session, consumer, limit)
        if events and keep:
            await outbox.advance(session, consumer, events[-1].seq)
        return [event.subject_id for event in events]


async def test_events_come_in_order_and_once_per_consumer(engine: AsyncEngine) -> None:
    await publish(engine, "a", "b")
    await publish(engine, "c")
    assert await read(engine, limit=2) == ["a", "b"]
    assert await read(engine) == ["c"]
    assert await read(engine) == []
    assert await read(engine, consumer="other") == ["a", "b", "c"]


async def test_an_event_keeps_what_it_was_told(engine: AsyncEngine) -> None:
    await publish(engine, "a")
    async with transaction(engine) as session:
        (event,) = await outbox.read_after(session, "test", 10)
    assert (event.type, event.payload, event.created_at) == ("thing.made", {"é": 1}, NOW)
    assert event.id.startswith("evt_")


async def test_nothing_published_is_no_event(engine: AsyncEngine) -> None:
    await publish(engine)
    assert await read(engine) == []


async def test_a_transaction_that_fails_published_nothing(engine: AsyncEngine) -> None:
    async def fail() -> None:
        async with transaction(engine) as session:
            await outbox.publish(session, [Event("thing.made", "lost", {})], NOW)
            raise RuntimeError("the request broke off")

    with pytest.raises(RuntimeError):
        await fail()
    await publish(engine, "kept")
    assert await read(engine) == ["kept"]


async def test_later_events_wait_for_a_transaction_that_may_still_write_earlier_ones(engine: AsyncEngine) -> None:
    """Without the announcement the reader would pass the slow writer's place and never come back."""
    await publish(engine, "before")
    async with transaction(engine) as slow:
        await outbox.publish(slow, [Event("thing.made", "slow", {})], NOW)
        await publish(engine, "fast")
        assert await read(engine) == ["before"]
        assert await read(engine) == []
    assert await read(engine) == ["slow", "fast"]


async def test_a_writer_that_gives_up_holds_nobody_back(engine: AsyncEngine) -> None:
    async def give_up() -> None:
        async with transaction(engine) as slow:
            await outbox.publish(slow, [Event("thing.made", "slow", {})], NOW)
            await publish(engine, "fast")
            raise RuntimeError("the request broke off")

    with pytest.raises(RuntimeError):
        await give_up()
    assert await read(engine) == ["fast"]


async def test_writers_do_not_wait_for_each_other(engine: AsyncEngine) -> None:
    async with transaction(engine) as first, transaction(engine) as second:
        async with asyncio.timeout(5):
            for session in (first, second, first):
                await outbox.publish(session, [Event("thing.made", "x", {})], NOW)
    assert len(await read(engine)) == 3


async def test_other_advisory_locks_hold_nothing_back(engine: AsyncEngine) -> None:
    async with transaction(engine) as session:
        await session.execute(repository.text("select pg_advisory_xact_lock(5), pg_advisory_xact_lock(5, 5)"))
        await publish(engine, "a")
        assert await read(engine) == ["a"]


async def test_two_workers_of_one_consumer_share_the_work(engine: AsyncEngine) -> None:
    await publish(engine, *(str(index) for index in range(20)))
    shares = await asyncio.gather(*(read(engine, limit=7) for _ in range(4)))
    assert sorted(subject for share in shares for subject in share) == sorted(str(index) for index in range(20))


async def test_what_was_read_and_not_handled_comes_again(engine: AsyncEngine) -> None:
    await publish(engine, "a")
    assert await read(engine, keep=False) == ["a"]
    assert await read(engine) == ["a"]


async def test_a_place_never_moves_back(engine: AsyncEngine) -> None:
    await publish(engine, "a", "b")
    assert await read(engine) == ["a", "b"]
    async with transaction(engine) as session:
        await outbox.advance(session, "test", 0)
    assert await read(engine) == []


async def test_under_load_every_event_is_read_once_and_in_order_of_its_writer(engine: AsyncEngine) -> None:
    seen: list[str] = []
    done = asyncio.Event()

    async def write(writer: int) -> None:
        for number in range(10):
            async with transaction(engine) as session:
                await outbox.publish(session, [Event("thing.made", f"{writer}:{number}", {})], NOW)
                await asyncio.sleep(0)
                await outbox.publish(session, [Event("thing.made", f"{writer}:{number}+", {})], NOW)

    async def follow() -> None:
        while not done.is_set() or await read(engine, limit=1, keep=False):
            seen.extend(await read(engine, limit=13))

    following = asyncio.create_task(follow())
    await asyncio.gather(*(write(writer) for writer in range(5)))
    done.set()
    await following
    assert len(seen) == len(set(seen)) == 100
    for writer in range(5):
        mine = [subject for subject in seen if subject.startswith(f"{writer}:")]
        assert mine == [f"{writer}:{number}{mark}" for number in range(10) for mark in ("", "+")]
