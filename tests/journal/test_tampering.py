"""A malicious operator at the database (threat O1): every column, every row and every order is watched."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import hypothesis.strategies as st
import pytest
from hypothesis import given
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import snapshot, transaction
from mereau.journal import service as journal
from mereau.journal import tasks
from mereau.journal.domain import GENESIS_HASH, Act, act_bytes, block_hash
from mereau.journal.service import Record

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
DETAIL = {"tokens": 5, "note": "é", "nested": {"a": [1, 2]}}


async def verify(engine: AsyncEngine) -> list[str]:
    async with snapshot(engine) as session:
        return await journal.verify(session)


async def run(engine: AsyncEngine, *statements: str) -> None:
    """Whatever a superuser may do; checks of foreign keys are off, as they would turn them."""
    async with transaction(engine) as session:
        await session.execute(text("set local session_replication_role = replica"))
        for statement in statements:
            await session.execute(text(statement))


async def columns(engine: AsyncEngine, table: str) -> set[str]:
    query = text("select column_name from information_schema.columns where table_name = :table")
    async with snapshot(engine) as session:
        return set((await session.scalars(query, {"table": table})).all())


@pytest.fixture
async def sealed(engine: AsyncEngine) -> AsyncEngine:
    """Acts a to f, two in each of the blocks 1, 2 and 3."""
    for subjects in ("ab", "cd", "ef"):
        async with transaction(engine) as session:
            await journal.record_many(
                session, [Record(NOW, "operator:1", "thing.done", subject, DETAIL) for subject in subjects]
            )
        assert await tasks.seal(engine) == 2
    return engine


ENTRY_CHANGES = {
    "id": "update journal_entries set id = 1000 where subject_id = 'c'",
    "at": "update journal_entries set at = at - interval '1 microsecond' where subject_id = 'c'",
    "actor": "update journal_entries set actor = 'operator:2' where subject_id = 'c'",
    "action": "update journal_entries set action = 'thing.undone' where subject_id = 'c'",
    "subject_id": "update journal_entries set subject_id = 'x' where subject_id = 'c'",
    "detail": """update journal_entries set detail = jsonb_set(detail, '{tokens}', '6') where subject_id = 'c'""",
    "block_number": "update journal_entries set block_number = 3 where subject_id = 'c'",
}
BLOCK_CHANGES = {
    "number": "update journal_blocks set number = 7 where number = 2",
    "previous_hash": "update journal_blocks set previous_hash = sha256('x') where number = 2",
    "hash": "update journal_blocks set hash = sha256('x') where number = 2",
    "entry_count": "update journal_blocks set entry_count = 1 where number = 2",
}
# When the sealing job ran is no act of anybody: the acts carry their own instants, which are chained.
NOT_CHAINED = {"sealed_at"}


async def test_every_column_has_its_attack(engine: AsyncEngine) -> None:
    """A column that is added later fails here until somebody thinks of who might change it."""
    assert await columns(engine, "journal_entries") == ENTRY_CHANGES.keys()
    assert await columns(engine, "journal_blocks") == BLOCK_CHANGES.keys() | NOT_CHAINED


@pytest.mark.parametrize("column", ENTRY_CHANGES)
async def test_an_act_that_was_changed_in_one_column_is_named(sealed: AsyncEngine, column: str) -> None:
    await run(sealed, "alter table journal_entries alter id drop identity", ENTRY_CHANGES[column])
    findings = await verify(sealed)
    assert findings
    assert any("block 2" in finding for finding in findings)
    assert not any("block 1" in finding for finding in findings)


@pytest.mark.parametrize("column", BLOCK_CHANGES)
async def test_a_block_that_was_changed_in_one_column_is_named(sealed: AsyncEngine, column: str) -> None:
    await run(sealed, BLOCK_CHANGES[column])
    findings = await verify(sealed)
    assert any("block 2" in finding or "block 3" in finding for finding in findings)
    assert not any("block 1" in finding for finding in findings)


@pytest.mark.parametrize(
    "change",
    [
        """detail || '{"more": null}'""", "detail - 'note'", "jsonb_set(detail, '{note}', '\"e\\u0301\"')",
        "jsonb_set(detail, '{nested,a}', '[2, 1]')", "jsonb_set(detail, '{nested,a,0}', '1.0')",
        "jsonb_set(detail, '{tokens}', '\"5\"')", "jsonb_set(detail, '{tokens}', 'null')", "'{}'",
    ],
    ids=str,
)  # fmt: skip
async def test_the_smallest_change_of_a_detail_is_named(sealed: AsyncEngine, change: str) -> None:
    statement = f"update journal_entries set detail = {change.replace(':', chr(92) + ':')} where subject_id = 'd'"
    await run(sealed, statement)
    assert await verify(sealed) == ["An act of journal block 2 was changed."]


async def test_writing_the_same_again_is_no_change(sealed: AsyncEngine) -> None:
    """The twin: what verify watches is the content, not the row's history or the order of its keys."""
    await run(
        sealed,
        "update journal_entries set detail = detail || detail, actor = actor",
        "update journal_entries set at = at at time zone 'UTC' at time zone 'UTC'",
        "update journal_blocks set entry_count = entry_count, sealed_at = sealed_at + interval '1 day'",
    )
    assert await verify(sealed) == []


@pytest.mark.parametrize(
    ("statements", "finding"),
    [
        (["delete from journal_entries where subject_id = 'c'"], "Journal block 2 holds 1 acts instead of 2."),
        (["delete from journal_entries where block_number = 2"], "Journal block 2 holds 0 acts instead of 2."),
        (
            [
                """insert into journal_entries (at, actor, action, subject_id, detail, block_number)
                values (now(), 'x', 'x', 'x', '{}', 2)"""
            ],
            "Journal block 2 holds 3 acts instead of 2.",
        ),
        (
            [
                "update journal_entries set block_number = 9 where subject_id = 'a'",
                "update journal_entries set block_number = 1 where subject_id = 'c'",
                "update journal_entries set block_number = 2 where subject_id = 'a'",
            ],
            "An act of journal block 1 was changed.",
        ),
        (
            [
                "delete from journal_entries where subject_id = 'c'",
                "update journal_blocks set entry_count = 1 where number = 2",
            ],
            "An act of journal block 2 was changed.",
        ),
        (["delete from journal_blocks where number = 1"], "Journal block 1 is missing."),
        (["delete from journal_blocks where number in (1, 2)"], "Journal block 1 is missing."),
    ],
    ids=lambda value: value[0][:45] if isinstance(value, list) else "",
)
async def test_acts_and_blocks_that_go_come_or_move_are_named(
    sealed: AsyncEngine, statements: Sequence[str], finding: str
) -> None:
    await run(sealed, *statements)
    assert finding in await verify(sealed)


async def test_swapping_the_content_of_two_acts_is_named(sealed: AsyncEngine) -> None:
    await run(
        sealed,
        "update journal_entries set subject_id = case subject_id when 'c' then 'd' else 'c' end where block_number = 2",
    )
    assert await verify(sealed) == ["An act of journal block 2 was changed."]


async def acts_of(engine: AsyncEngine, number: int) -> list[Act]:
    query = text("select id, at, actor, action, subject_id, detail from journal_entries where block_number = :number")
    async with snapshot(engine) as session:
        return [Act(*row) for row in await session.execute(query, {"number": number})]


async def test_a_block_whose_hash_was_made_to_fit_breaks_the_next(sealed: AsyncEngine) -> None:
    """Whoever knows the encoding mends the changed block; its successor still names the old hash."""
    await run(sealed, "update journal_entries set actor = 'nobody' where subject_id = 'a'")
    forged = block_hash(GENESIS_HASH, 1, await acts_of(sealed, 1))
    await run(sealed, f"update journal_blocks set hash = decode('{forged.hex()}', 'hex') where number = 1")
    assert await verify(sealed) == ["Journal block 2 does not follow the block before it."]


async def test_a_chain_that_was_rewritten_whole_has_another_head(sealed: AsyncEngine) -> None:
    """The journal alone cannot tell; the head that was anchored elsewhere can."""
    async with snapshot(sealed) as session:
        anchored = await journal.head(session)
    await run(sealed, "update journal_entries set actor = 'nobody' where subject_id = 'a'")
    previous = GENESIS_HASH
    for number in (1, 2, 3):
        hash_ = block_hash(previous, number, await acts_of(sealed, number))
        await run(
            sealed,
            f"update journal_blocks set previous_hash = decode('{previous.hex()}', 'hex'),"
            f" hash = decode('{hash_.hex()}', 'hex') where number = {number}",
        )
        previous = hash_
    async with snapshot(sealed) as session:
        assert (await journal.verify(session), await journal.head(session)) == ([], previous)
    assert previous != anchored


async def test_what_is_sealed_stays_whole_while_more_is_written(sealed: AsyncEngine) -> None:
    async with snapshot(sealed) as session:
        before = await journal.head(session)
        async with transaction(sealed) as writing:
            await journal.record(writing, at=NOW, actor="a", action="b", subject_id="g", detail={})
        await tasks.seal(sealed)
        assert (await journal.verify(session), await journal.head(session)) == ([], before), "one snapshot, one chain"
    async with snapshot(sealed) as session:
        assert (await journal.verify(session), await journal.head(session) != before) == ([], True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
ACTS = st.builds(
    Act,
    id=st.integers(1, 2**63 - 1),
    at=st.datetimes(timezones=st.just(UTC)),
    actor=st.text(max_size=6),
    action=st.text(max_size=6),
    subject_id=st.text(max_size=6),
    detail=st.dictionaries(st.text(max_size=4), JSON, max_size=3),
)


@given(ACTS, ACTS)
def test_two_acts_are_encoded_alike_only_if_they_are_alike(one: Act, other: Act) -> None:
    assert (act_bytes(one) == act_bytes(other)) == (one == other)
    assert b"\n" not in act_bytes(one), "acts are told apart by line ends"


@given(st.lists(ACTS, min_size=1, max_size=4, unique_by=lambda act: act.id), st.data())
def test_a_block_is_bound_to_its_place_its_past_and_each_of_its_acts(acts: list[Act], data: st.DataObject) -> None:
    number = data.draw(st.integers(1, 2**32))
    whole = block_hash(GENESIS_HASH, number, acts)
    assert block_hash(GENESIS_HASH, number + 1, acts) != whole
    assert block_hash(whole, number, acts) != whole
    assert block_hash(GENESIS_HASH, number, acts[1:]) != whole
    assert block_hash(GENESIS_HASH, number, data.draw(st.permutations(acts))) == whole


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2100, 1, 1)), st.integers(-23, 23))  # noqa: DTZ001  bounds are naive
def test_an_instant_has_one_form_to_the_microsecond(naive: datetime, hours: int) -> None:
    at = naive.replace(tzinfo=UTC)
    act = Act(1, at, "a", "b", "c", {})
    assert f'"at":"{naive.isoformat(timespec="microseconds")}Z"'.encode() in act_bytes(act)
    assert act_bytes(replace(act, at=at.astimezone(timezone(timedelta(hours=hours))))) == act_bytes(act)
    assert act_bytes(replace(act, at=at + timedelta(microseconds=1))) != act_bytes(act)
