"""Enrolment: once per external id, set-based, safe side by side."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import snapshot, transaction
from mereau.core.errors import InvalidInputError, NotFoundError
from mereau.members import service as members
from mereau.members.service import MemberDraft

NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def ensure(engine: AsyncEngine, *external_ids: str) -> dict[str, str]:
    async with transaction(engine) as session:
        return await members.ensure_members(session, [MemberDraft(key) for key in external_ids], NOW)


async def test_members_are_enrolled_in_the_order_of_their_drafts(engine: AsyncEngine) -> None:
    drafts = [MemberDraft("b", "Bé", "b@example.org", "en"), MemberDraft("a"), MemberDraft("b", "Other")]
    async with transaction(engine) as session:
        made = await members.enrol(session, drafts, NOW)
    assert [member.external_id for member in made] == ["b", "a", "b"]
    assert (made[0].display_name, made[0].email, made[0].locale, made[0].status) == (
        "Bé",
        "b@example.org",
        "en",
        "active",
    )
    assert (made[1].display_name, made[1].locale, made[1].created_at) == (None, "fr", NOW)
    assert made[0].id == made[2].id
    assert made[0].id.startswith("mem_")


async def test_who_is_known_stays_as_they_are(engine: AsyncEngine) -> None:
    first = await ensure(engine, "a")
    async with transaction(engine) as session:
        (member,) = await members.enrol(session, [MemberDraft("a", "New name")], NOW)
    assert (member.id, member.display_name) == (first["a"], None)


async def test_each_new_member_is_told_once_without_personal_data(engine: AsyncEngine) -> None:
    async with transaction(engine) as session:
        await members.enrol(session, [MemberDraft("a", "Ada", "ada@example.org")], NOW)
    await ensure(engine, "a", "b")
    async with snapshot(engine) as session:
        rows = (await session.execute(text("select type, payload from outbox_events order by seq"))).all()
    assert [tuple(row) for row in rows] == [
        ("member.enrolled", {"external_id": "a"}),
        ("member.enrolled", {"external_id": "b"}),
    ]


async def test_thousands_take_as_many_statements_as_one(engine: AsyncEngine) -> None:
    statements: list[str] = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    await ensure(engine, "first")
    one = len(statements)
    statements.clear()
    assert len(await ensure(engine, *(f"m{index}" for index in range(2000)))) == 2000
    assert len(statements) == one


async def test_bulk_enrolments_side_by_side_agree_and_never_deadlock(engine: AsyncEngine) -> None:
    keys = [f"m{index}" for index in range(50)]
    answers = await asyncio.gather(*(ensure(engine, *keys[start:], *keys[:start]) for start in range(0, 48, 8)))
    assert all(answer == answers[0] for answer in answers)
    assert len(answers[0]) == 50


async def test_nobody_is_enrolled_by_an_empty_list(engine: AsyncEngine) -> None:
    assert await ensure(engine) == {}


@pytest.mark.parametrize("blank", ["", "  "])
async def test_an_external_id_is_needed(engine: AsyncEngine, blank: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        await ensure(engine, "a", blank)
    assert [found.pointer for found in refusal.value.errors] == ["/1/external_id"]
    async with snapshot(engine) as session:
        assert await members.find_by_external_id(session, "a") is None


async def test_members_are_found_by_either_id(engine: AsyncEngine) -> None:
    ids = await ensure(engine, "a")
    async with snapshot(engine) as session:
        by_number = await members.find_by_external_id(session, "a")
        assert by_number is not None
        assert (await members.get(session, ids["a"])).external_id == "a"
        assert by_number.id == ids["a"]
        with pytest.raises(NotFoundError):
            await members.get(session, "mem_none")
