"""The database's door: what ends is committed, what raises is not, a snapshot neither moves nor writes."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.errors import DivisionByZero
from sqlalchemy import Integer, bindparam, func, literal, select, text
from sqlalchemy.exc import DBAPIError, InternalError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Mapped

from mereau.core.columns import Bytes, IdKey, Instant, Json, Tokens
from mereau.core.db import (
    Base,
    HotQuery,
    copy_rows,
    create_engine,
    raw_connection,
    snapshot,
    sqlalchemy_url,
    transaction,
)
from mereau.journal.models import JournalEntry
from mereau.outbox.models import OutboxCursor

AT = datetime(2026, 1, 5, 9, 30, 0, 123_456, tzinfo=UTC)
ADD = text("insert into outbox_cursors (consumer, seq) values (:consumer, :seq)")
COUNT = text("select count(*) from outbox_cursors")


async def count(engine: AsyncEngine) -> int:
    async with snapshot(engine) as session:
        return int(await session.scalar(COUNT) or 0)


async def add(engine: AsyncEngine, consumer: str, error: Exception | None = None) -> None:
    async with transaction(engine) as session:
        await session.execute(ADD, {"consumer": consumer, "seq": 1})
        if error:
            raise error


async def test_a_block_that_ends_is_committed(engine: AsyncEngine) -> None:
    await add(engine, "a")
    assert await count(engine) == 1


@pytest.mark.parametrize("error", [ValueError("no"), KeyError("k"), TimeoutError()])
async def test_a_block_that_raises_is_rolled_back(engine: AsyncEngine, error: Exception) -> None:
    with pytest.raises(type(error)):
        await add(engine, "a", error)
    assert await count(engine) == 0
    await add(engine, "a")


async def test_others_see_nothing_before_the_end(engine: AsyncEngine) -> None:
    async with transaction(engine) as session:
        await session.execute(ADD, {"consumer": "a", "seq": 1})
        assert await count(engine) == 0
    assert await count(engine) == 1


async def test_a_snapshot_does_not_move(engine: AsyncEngine) -> None:
    async with snapshot(engine) as session:
        assert await session.scalar(COUNT) == 0
        await add(engine, "a")
        assert await session.scalar(COUNT) == 0
    assert await count(engine) == 1


async def test_a_snapshot_does_not_write(engine: AsyncEngine) -> None:
    async with snapshot(engine) as session:
        with pytest.raises(InternalError, match="read-only transaction"):
            await session.execute(ADD, {"consumer": "a", "seq": 1})
    assert await count(engine) == 0


async def test_a_connection_that_served_a_snapshot_writes_again(database_url: str) -> None:
    """Read-only is the transaction's, not the connection's: the pool has one of them here."""
    engine = create_engine(database_url, connections_max=1)
    try:
        assert await count(engine) == 0
        await add(engine, "a")
        async with transaction(engine) as session:
            assert await session.scalar(text("show transaction_isolation")) == "read committed"
    finally:
        await engine.dispose()


async def test_every_session_is_in_utc(engine: AsyncEngine) -> None:
    async with transaction(engine) as session:
        assert await session.scalar(text("show timezone")) == "UTC"
        seen = await session.scalar(text("select timestamptz '2026-07-01 10:00+02'"))
        assert seen == datetime(2026, 7, 1, 8, tzinfo=UTC)
        assert seen.utcoffset() == timedelta()


@pytest.mark.parametrize("url", ["postgres://u@h/d?x=1", "postgresql://u@h/d?x=1", "postgresql+psycopg://u@h/d?x=1"])
def test_every_spelling_of_a_url_names_the_driver(url: str) -> None:
    assert sqlalchemy_url(url) == "postgresql+psycopg://u@h/d?x=1"


async def test_the_raw_connection_is_inside_the_sessions_transaction(engine: AsyncEngine) -> None:
    async with transaction(engine) as session:
        await session.execute(ADD, {"consumer": "a", "seq": 1})
        raw = await raw_connection(session)
        cursor = await raw.execute("select count(*) from outbox_cursors")
        assert await cursor.fetchone() == (1,)


class Awkward(Base):
    """A table of this test's own, of the shared columns."""

    __tablename__ = "awkward"
    id: Mapped[IdKey]
    data: Mapped[Bytes]
    at: Mapped[Instant]
    tokens: Mapped[Tokens]
    note: Mapped[Json]


Base.metadata.remove(Base.metadata.tables["awkward"])
CREATE = text("""
    create table awkward
    (id text primary key, data bytea not null, at timestamptz not null, tokens bigint not null, note jsonb)
""")
COLUMNS = ("id", "data", "at", "tokens")
TEXTS = [
    "",
    " ",
    "\\N",
    "\\.",
    "a\tb",
    "a\nb",
    "a\r\n",
    "'; drop table x; --",
    '"',
    "\\",
    "null",
    "caf\u00e9 \u2603 \U0001f600",
]
BLOBS = [b"", b"\0", b"\\x00", bytes(range(256)), b"\n\t\\N"]


@pytest.fixture
async def awkward(engine: AsyncEngine) -> AsyncEngine:
    async with transaction(engine) as session:
        await session.execute(CREATE)
    return engine


async def read(engine: AsyncEngine) -> list[tuple[object, ...]]:
    async with snapshot(engine) as session:
        return [
            tuple(row)
            for row in await session.execute(text("select id, data, at, tokens from awkward order by tokens"))
        ]


async def test_copy_keeps_awkward_values(awkward: AsyncEngine) -> None:
    rows = [(word, BLOBS[index % len(BLOBS)], AT, index) for index, word in enumerate(TEXTS)]
    rows.append(("big", b"", AT, 2**63 - 1))
    async with transaction(awkward) as session:
        await copy_rows(session, Awkward, COLUMNS, rows)
    assert await read(awkward) == rows


async def test_a_connection_does_not_wait_for_ever_on_a_server_that_is_gone(engine: AsyncEngine) -> None:
    """TCP retries for a quarter of an hour unless it is told otherwise."""
    async with transaction(engine) as session:
        told = (await raw_connection(session)).info.get_parameters()
    assert int(told["connect_timeout"]) <= 10
    assert int(told["tcp_user_timeout"]) <= 20_000
    idle, interval, count = (int(told[f"keepalives_{name}"]) for name in ("idle", "interval", "count"))
    assert idle + interval * count <= 20


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-11))])
async def test_copy_keeps_instants_of_any_zone(awkward: AsyncEngine, zone: timezone) -> None:
    async with transaction(awkward) as session:
        await copy_rows(session, Awkward, COLUMNS, [("a", b"", AT.astimezone(zone), 0)])
    assert await read(awkward) == [("a", b"", AT, 0)]


async def test_copy_of_nothing_writes_nothing(awkward: AsyncEngine) -> None:
    async with transaction(awkward) as session:
        await copy_rows(session, Awkward, COLUMNS, iter(()))
    assert await read(awkward) == []


async def test_copy_reads_rows_as_they_come(awkward: AsyncEngine) -> None:
    async with transaction(awkward) as session:
        await copy_rows(session, Awkward, COLUMNS, ((f"id{n}", b"\x01", AT, n) for n in range(5_000)))
    assert len(await read(awkward)) == 5_000


async def test_copy_that_breaks_off_takes_the_transaction_with_it(awkward: AsyncEngine) -> None:
    def rows() -> list[tuple[object, ...]]:
        return [("a", b"", AT, 0), ("a", b"", AT, 1)]

    async def work() -> None:
        async with transaction(awkward) as session:
            await session.execute(ADD, {"consumer": "a", "seq": 1})
            await copy_rows(session, Awkward, COLUMNS, rows())

    with pytest.raises(Exception, match="duplicate key"):
        await work()
    assert (await read(awkward), await count(awkward)) == ([], 0)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20),
                          st.binary(max_size=20)), max_size=6))  # fmt: skip
async def test_copy_writes_what_it_is_given(awkward: AsyncEngine, values: list[tuple[str, bytes]]) -> None:
    rows = [(f"{index}:{word}", blob, AT, index) for index, (word, blob) in enumerate(values)]
    async with transaction(awkward) as session:
        await session.execute(text("truncate awkward"))
        await copy_rows(session, Awkward, COLUMNS, rows)
    assert await read(awkward) == rows


async def test_columns_know_their_types() -> None:
    types = {column.name: str(column.type) for column in Awkward.__table__.columns}
    assert types == {"id": "TEXT", "data": "BLOB", "at": "DATETIME", "tokens": "BIGINT", "note": "JSONB"}
    assert Awkward.__table__.columns["at"].type.timezone is True  # type: ignore[attr-defined]  # DateTime has it
    assert not any(column.nullable for column in Awkward.__table__.columns)


async def test_constraints_are_named_by_one_rule(engine: AsyncEngine) -> None:
    """A violated constraint is told by the name that a migration would use."""
    await add(engine, "a")
    with pytest.raises(DBAPIError, match="pk_outbox_cursors"):
        await add(engine, "a")
    assert OutboxCursor.metadata.tables["outbox_cursors"].primary_key.name == "pk_outbox_cursors"
    assert JournalEntry.metadata.tables["journal_entries"].primary_key.name == "pk_journal_entries"


async def test_a_hot_query_sees_its_transaction_and_keeps_its_constants(engine: AsyncEngine) -> None:
    query = HotQuery(
        select(OutboxCursor.consumer, literal("it's 100 %"), OutboxCursor.seq).where(
            OutboxCursor.seq > 0, OutboxCursor.consumer == bindparam("name"), func.length(OutboxCursor.consumer) < 3
        )
    )
    async with transaction(engine) as session:
        await session.execute(ADD, {"consumer": "a", "seq": 1})
        assert await query.rows(session, name="a") == [("a", "it's 100 %", 1)]
        assert await query.rows(session, name="b") == []
    async with engine.connect() as connection:
        assert await query.rows(connection, name="a") == [("a", "it's 100 %", 1)]
    assert await query.rows(engine, name="a") == [("a", "it's 100 %", 1)]


async def test_a_hot_query_gives_its_connection_back_whatever_happens(database_url: str) -> None:
    engine = create_engine(database_url, connections_max=1)
    fine, wrong = HotQuery(select(literal(1))), HotQuery(select(literal(1) / bindparam("by", type_=Integer)))
    try:
        for _ in range(3):
            with pytest.raises(DivisionByZero):
                await wrong.rows(engine, by=0)
            assert await fine.rows(engine) == [(1,)]
    finally:
        await engine.dispose()
