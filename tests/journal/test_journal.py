"""The journal: chained in blocks off the request path; whatever is changed afterwards is found (threat O1)."""

import asyncio
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import snapshot, transaction
from mereau.journal import domain, tasks
from mereau.journal import service as journal
from mereau.journal.domain import Act
from mereau.journal.service import Record

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


async def write(engine: AsyncEngine, *subjects: str) -> None:
    async with transaction(engine) as session:
        records = [Record(NOW, "operator:1", "thing.done", subject, {"n": 1.5, "é": [None]}) for subject in subjects]
        await journal.record_many(session, records)


async def verify(engine: AsyncEngine) -> list[str]:
    async with snapshot(engine) as session:
        return await journal.verify(session)


async def head(engine: AsyncEngine) -> bytes:
    async with snapshot(engine) as session:
        return await journal.head(session)


async def change(engine: AsyncEngine, statement: str) -> None:
    async with transaction(engine) as session:
        await session.execute(text(statement))


@pytest.fixture
async def sealed(engine: AsyncEngine) -> AsyncEngine:
    """Five acts in blocks 1, 2 and 3."""
    for subjects in (("a", "b"), ("c", "d"), ("e",)):
        await write(engine, *subjects)
        assert await tasks.seal(engine) == len(subjects)
    return engine


async def test_an_empty_journal_is_whole_and_ends_in_zeros(engine: AsyncEngine) -> None:
    await write(engine)
    assert await tasks.seal(engine) == 0
    assert (await verify(engine), await head(engine)) == ([], bytes(32))


async def test_sealed_blocks_are_whole_and_chained(sealed: AsyncEngine) -> None:
    assert await verify(sealed) == []
    async with snapshot(sealed) as session:
        rows = (await session.execute(text("select * from journal_blocks order by number"))).all()
    assert [row.entry_count for row in rows] == [2, 2, 1]
    assert [row.previous_hash for row in rows] == [bytes(32), rows[0].hash, rows[1].hash]
    assert await head(sealed) == rows[2].hash


async def test_one_act_reads_back(engine: AsyncEngine) -> None:
    async with transaction(engine) as session:
        await journal.record(session, at=NOW, actor="a", action="b", subject_id="c", detail={"x": {"y": 1}})
    async with snapshot(engine) as session:
        (row,) = (await session.execute(text("select * from journal_entries"))).all()
    assert (row.at, row.actor, row.action, row.subject_id, row.detail) == (NOW, "a", "b", "c", {"x": {"y": 1}})
    assert row.block_number is None


async def test_many_acts_fill_several_blocks(engine: AsyncEngine) -> None:
    await write(engine, *(str(index) for index in range(7)))
    assert await tasks.seal(engine, acts_per_block=3) == 7
    async with snapshot(engine) as session:
        counts = (await session.scalars(text("select entry_count from journal_blocks order by number"))).all()
    assert (counts, await verify(engine)) == ([3, 3, 1], [])


async def test_a_transaction_that_still_runs_falls_into_a_later_block(engine: AsyncEngine) -> None:
    async with transaction(engine) as slow:
        await journal.record_many(slow, [Record(NOW, "a", "b", "slow", {})])
        await write(engine, "fast")
        assert await tasks.seal(engine) == 1
    assert await tasks.seal(engine) == 1
    assert await verify(engine) == []


async def test_sealers_side_by_side_make_one_chain(engine: AsyncEngine) -> None:
    await write(engine, *(str(index) for index in range(20)))
    totals = await asyncio.gather(*(tasks.seal(engine, acts_per_block=3) for _ in range(4)))
    assert (sum(totals), await verify(engine)) == (20, [])


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("update journal_entries set actor = 'x' where subject_id = 'c'", "An act of journal block 2 was changed."),
        ("update journal_entries set detail = '{}' where subject_id = 'a'", "An act of journal block 1 was changed."),
        ("update journal_entries set at = at + interval '1 microsecond' where subject_id = 'e'", "block 3 was changed"),
        ("delete from journal_entries where subject_id = 'd'", "Journal block 2 holds 1 acts instead of 2."),
        ("update journal_entries set block_number = null where subject_id = 'e'", "holds 0 acts instead of 1."),
        ("update journal_blocks set hash = '\\x00' where number = 1", "Journal block 2 does not follow"),
        ("update journal_blocks set previous_hash = '\\x00' where number = 1", "Journal block 1 does not follow"),
    ],
)
async def test_a_change_is_named(sealed: AsyncEngine, statement: str, finding: str) -> None:
    await change(sealed, statement)
    assert any(finding in line for line in await verify(sealed))


async def test_a_block_that_was_taken_out_is_missed(sealed: AsyncEngine) -> None:
    await change(sealed, "delete from journal_entries where block_number = 2")
    await change(sealed, "delete from journal_blocks where number = 2")
    assert await verify(sealed) == [
        "Journal block 2 is missing.",
        "Journal block 3 does not follow the block before it.",
    ]


async def test_a_long_chain_is_read_in_pieces(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_BLOCKS_PER_READ", 2)
    await write(engine, *"abcde")
    await tasks.seal(engine, acts_per_block=1)
    assert await verify(engine) == []
    await change(engine, "update journal_entries set action = 'x' where subject_id = 'e'")
    assert await verify(engine) == ["An act of journal block 5 was changed."]


AN_ACT = Act(7, NOW, "operator:1", "thing.done", "ent_1", {"b": "é", "a": 1})


def test_the_encoding_is_byte_for_byte_version_1() -> None:
    encoded = (
        b'{"action":"thing.done","actor":"operator:1","at":"2026-01-01T12:00:00.000000Z",'
        b'"detail":{"a":1,"b":"\\u00e9"},"id":7,"subject_id":"ent_1","v":1}'
    )
    assert domain.act_bytes(AN_ACT) == encoded
    head_ = b"mereau journal v1\n" + bytes(32) + (1).to_bytes(8, "big")
    assert domain.block_hash(bytes(32), 1, [AN_ACT]) == hashlib.sha256(head_ + encoded + b"\n").digest()


def test_the_zone_of_an_instant_does_not_matter() -> None:
    elsewhere = replace(AN_ACT, at=NOW.astimezone(timezone(timedelta(hours=-5))))
    assert domain.act_bytes(elsewhere) == domain.act_bytes(AN_ACT)


@given(st.permutations(range(5)))
def test_acts_are_hashed_by_id(order: list[int]) -> None:
    acts = [replace(AN_ACT, id=index) for index in range(5)]
    assert domain.block_hash(bytes(32), 1, [acts[i] for i in order]) == domain.block_hash(bytes(32), 1, acts)


@given(st.sampled_from(["id", "actor", "action", "subject_id", "detail", "number", "previous"]))
def test_every_field_counts(field: str) -> None:
    changed = {"id": 8, "actor": "x", "action": "x", "subject_id": "x", "detail": {"b": "é", "a": 2}}
    act = replace(AN_ACT, **{field: changed[field]}) if field in changed else AN_ACT
    previous = b"\x01" * 32 if field == "previous" else bytes(32)
    number = 2 if field == "number" else 1
    assert domain.block_hash(previous, number, [act]) != domain.block_hash(bytes(32), 1, [AN_ACT])
