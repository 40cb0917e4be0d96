"""Readers among writers that overlap in every way: nothing is skipped, nothing comes twice, nothing early."""

import asyncio
from datetime import UTC, datetime
from typing import Any, ClassVar

import hypothesis.strategies as st
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mereau.core.db import WriteSession, create_engine, transaction
from mereau.outbox import service as outbox
from mereau.outbox.service import Event

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WRITERS = st.integers(0, 3)


class OutboxMachine(RuleBasedStateMachine):
    """Four writers whose transactions open, write, end or break off at will, and one reader of its own name."""

    runner: ClassVar[asyncio.Runner]
    engine: ClassVar[AsyncEngine]
    examples: ClassVar[list[int]]

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    @initialize()
    def start(self) -> None:
        self.examples.append(1)
        self.consumer = f"reader {len(self.examples)}"
        self.open: dict[int, AsyncSession] = {}
        self.unsaid: dict[int, list[str]] = {}
        self.committed: set[str] = set()
        self.heard: list[str] = []
        self.written = 0

        async def begin_after_the_past() -> None:
            async with transaction(self.engine) as session:
                last = (await session.execute(text("select coalesce(max(seq), 0) from outbox_events"))).scalar_one()
                await outbox.advance(session, self.consumer, last)

        self.run(begin_after_the_past())

    @rule(writer=WRITERS, count=st.integers(1, 3))
    def write(self, writer: int, count: int) -> None:
        subjects = [f"{self.consumer}:{self.written + index}" for index in range(count)]
        self.written += count

        async def publish() -> None:
            if writer not in self.open:
                self.open[writer] = AsyncSession(self.engine)
            session = WriteSession(self.open[writer])
            await outbox.publish(session, [Event("thing.made", subject, {}) for subject in subjects], NOW)

        self.run(publish())
        self.unsaid.setdefault(writer, []).extend(subjects)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), keep=st.sampled_from([True, True, False]))
    def end(self, data: st.DataObject, keep: bool) -> None:
        writer = data.draw(st.sampled_from(sorted(self.open)))
        session = self.open.pop(writer)

        async def finish() -> None:
            await (session.commit() if keep else session.rollback())
            await session.close()

        self.run(finish())
        subjects = self.unsaid.pop(writer)
        if keep:
            self.committed.update(subjects)

    @rule(limit=st.integers(1, 5), handled=st.sampled_from([True, True, True, False]))
    def read(self, limit: int, handled: bool) -> None:
        """What is not handled comes again: the place moves with the reader's own transaction."""

        async def next_events() -> list[str]:
            async with transaction(self.engine) as session:
                events = await outbox.read_after(session, self.consumer, limit)
                assert [event.seq for event in events] == sorted(event.seq for event in events)
                if events and handled:
                    await outbox.advance(session, self.consumer, events[-1].seq)
                return [event.subject_id for event in events]

        seen = self.run(next_events())
        assert len(seen) <= limit
        assert self.committed.issuperset(seen), "nothing is heard before it is certain"
        if handled:
            self.heard += seen

    @precondition(lambda self: not self.open)
    @rule()
    def read_all(self) -> None:
        """With no writer under way, nothing is held back."""
        before = None
        while before != len(self.heard):
            before = len(self.heard)
            self.read(5, handled=True)
        assert set(self.heard) == self.committed

    @invariant()
    def nothing_comes_twice(self) -> None:
        assert len(self.heard) == len(set(self.heard))

    def teardown(self) -> None:
        for writer in sorted(self.open):
            self.run(self.open.pop(writer).close())
        self.read_all()
        rows = self.run(self.in_order())
        assert self.heard == rows, "the order is the one in which events were numbered"

    async def in_order(self) -> list[str]:
        async with transaction(self.engine) as session:
            query = text("select subject_id from outbox_events where subject_id like :mine order by seq")
            return list((await session.scalars(query, {"mine": f"{self.consumer}:%"})).all())


def test_readers_miss_nothing_among_overlapping_writers(database_url: str) -> None:
    with asyncio.Runner() as runner:
        engine = create_engine(database_url)
        bound: dict[str, Any] = {"runner": runner, "engine": engine, "examples": []}
        machine = type("BoundOutboxMachine", (OutboxMachine,), bound)
        try:
            phases = (Phase.explicit, Phase.generate)
            run_state_machine_as_test(
                machine, settings=settings(max_examples=25, stateful_step_count=25, phases=phases)
            )
        finally:
            runner.run(engine.dispose())


async def publish(engine: AsyncEngine, subject: str) -> None:
    async with transaction(engine) as session:
        await outbox.publish(session, [Event("thing.made", subject, {})], NOW)


async def read(engine: AsyncEngine, consumer: str = "test") -> list[str]:
    async with transaction(engine) as session:
        events = await outbox.read_after(session, consumer, 100)
        if events:
            await outbox.advance(session, consumer, events[-1].seq)
        return [event.subject_id for event in events]


async def test_the_slowest_of_several_writers_decides(engine: AsyncEngine) -> None:
    """Each writer holds back what was numbered after its own beginning, and no more than that."""
    await publish(engine, "before")
    async with transaction(engine) as slowest:
        await outbox.publish(slowest, [Event("thing.made", "slowest", {})], NOW)
        async with transaction(engine) as slow:
            await outbox.publish(slow, [Event("thing.made", "slow", {})], NOW)
            await publish(engine, "fast")
            assert await read(engine) == ["before"]
        assert await read(engine) == []
    assert await read(engine) == ["slowest", "slow", "fast"]


async def test_a_gap_that_was_rolled_back_is_passed(engine: AsyncEngine) -> None:
    """Numbers of a transaction that broke off exist nowhere; readers do not wait for them."""
    session = AsyncSession(engine)
    await outbox.publish(WriteSession(session), [Event("thing.made", "lost", {})] * 50, NOW)
    await session.rollback()
    await session.close()
    await publish(engine, "kept")
    async with transaction(engine) as reading:
        (event,) = await outbox.read_after(reading, "test", 10)
    assert (event.subject_id, event.seq > 50) == ("kept", True)


async def test_a_broken_connection_holds_nobody_back(engine: AsyncEngine) -> None:
    """A worker that is killed ends its transaction with its connection, and with it the announcement."""
    session = AsyncSession(engine)
    await outbox.publish(WriteSession(session), [Event("thing.made", "lost", {})], NOW)
    pid = (await session.execute(text("select pg_backend_pid()"))).scalar_one()
    await publish(engine, "kept")
    assert await read(engine) == []
    async with transaction(engine) as killer:
        assert (await killer.execute(text("select pg_terminate_backend(:pid, 5000)"), {"pid": pid})).scalar_one()
    assert await read(engine) == ["kept"]
    await session.invalidate()
    await session.close()


async def test_an_event_written_late_in_a_long_transaction_is_not_early(engine: AsyncEngine) -> None:
    """A transaction that wrote nothing yet announces nothing: others are not held back by its mere age."""
    async with transaction(engine) as old:
        await old.execute(text("select 1"))
        await publish(engine, "young")
        assert await read(engine) == ["young"]
        await outbox.publish(old, [Event("thing.made", "old", {})], NOW)
    assert await read(engine) == ["old"]


async def test_consumers_do_not_wait_for_each_other(engine: AsyncEngine) -> None:
    await publish(engine, "a")
    async with transaction(engine) as one, asyncio.timeout(20):
        assert len(await outbox.read_after(one, "one", 10)) == 1
        assert await read(engine, "other") == ["a"]


async def test_a_reader_that_fails_keeps_its_place(engine: AsyncEngine) -> None:
    await publish(engine, "a")

    async def fail() -> None:
        async with transaction(engine) as session:
            events = await outbox.read_after(session, "test", 10)
            await outbox.advance(session, "test", events[-1].seq)
            raise RuntimeError("the handler broke")

    with pytest.raises(RuntimeError, match="handler"):
        await fail()
    assert await read(engine) == ["a"]


@pytest.mark.parametrize(
    "payload", [{}, {"n": 2**53 - 1}, {"é": ["\u2028", None, {"a": []}]}, {"s": '\\ " \t \n \\N'}], ids=str
)
async def test_any_payload_reads_back_as_it_was_told(engine: AsyncEngine, payload: dict[str, Any]) -> None:
    """COPY has an escape of its own for backslashes, tabs and line ends: they must come through."""
    async with transaction(engine) as session:
        await outbox.publish(session, [Event("thing.made", "a\tb\\N", payload)], NOW)
    async with transaction(engine) as session:
        (event,) = await outbox.read_after(session, "test", 1)
    assert (event.payload, event.subject_id) == (payload, "a\tb\\N")
