"""Whom a caller sees, and texts that members bring."""

from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.auth.domain import EVERYTHING, Reach
from mereau.core.db import snapshot, transaction
from mereau.members import queries
from mereau.members import service as members
from mereau.members.service import MemberDraft
from mereau.partners import service as partners
from mereau.partners.service import PartnerDraft

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def ids(engine: AsyncEngine) -> dict[str, str]:
    """Members a and b of partner P, c of partner Q, d of nobody; and the partners' own ids."""
    async with transaction(engine) as session:
        shops = {name: (await partners.create(session, PartnerDraft(name, name), NOW)).id for name in "PQ"}
        owners = {"a": shops["P"], "b": shops["P"], "c": shops["Q"], "d": None}
        drafts = [MemberDraft(name, enrolled_by_partner_id=owner) for name, owner in owners.items()]
        return await members.ensure_members(session, drafts, NOW) | shops


async def seen_by(engine: AsyncEngine, ids: dict[str, str], reach: Reach) -> str:
    async with snapshot(engine) as session:
        return "".join([name for name in "abcd" if await queries.find_member(session, ids[name], reach)])


async def test_each_caller_sees_its_own_members_only(engine: AsyncEngine, ids: dict[str, str]) -> None:
    """M6 and S3: the condition stands in the query."""
    assert await seen_by(engine, ids, EVERYTHING) == "abcd"
    assert await seen_by(engine, ids, Reach(partner_id=ids["P"])) == "ab"
    assert await seen_by(engine, ids, Reach(partner_id=ids["Q"])) == "c"
    assert await seen_by(engine, ids, Reach(member_id=ids["b"])) == "b"
    assert await seen_by(engine, ids, Reach(partner_id="par_none")) == ""
    assert await seen_by(engine, ids, Reach(partner_id=ids["Q"], member_id=ids["b"])) == "", "both must hold"


@pytest.mark.parametrize("text", ["", "%", "mem_%", "mem_" + "0" * 26, "' or 1=1 --"])
async def test_no_pattern_finds_a_member(engine: AsyncEngine, ids: dict[str, str], text: str) -> None:
    async with snapshot(engine) as session:
        assert await queries.find_member(session, text, EVERYTHING) is None
        found = await queries.active_members(session, [text], [text])
    assert (found.ids, found.by_external_id) == (frozenset(), {})


async def test_active_members_are_found_by_either_name_in_one_go(engine: AsyncEngine, ids: dict[str, str]) -> None:
    async with snapshot(engine) as session:
        found = await queries.active_members(session, [ids["a"], "mem_none"], ["c", "none", "a"])
    assert found.ids == {ids["a"], ids["c"]}
    assert found.by_external_id == {"a": ids["a"], "c": ids["c"]}


@pytest.mark.parametrize("status", ["blocked", "deleted"])
async def test_who_is_not_active_is_not_found_as_active(engine: AsyncEngine, ids: dict[str, str], status: str) -> None:
    async with transaction(engine) as session:
        (await members.get(session, ids["a"])).status = status
    async with snapshot(engine) as session:
        found = await queries.active_members(session, [ids["a"], ids["b"]], ["a"])
    assert found.ids == {ids["b"]}


@pytest.mark.parametrize(
    "external_id",
    ["x" * 2_000, "é☕\u2028", "'; delete from members; --", "{a,b}", "NULL", "\\N", " a", "A"],
    ids=ascii,
)
async def test_any_text_may_number_a_member_and_stays_what_it_is(
    engine: AsyncEngine, ids: dict[str, str], external_id: str
) -> None:
    async with transaction(engine) as session:
        made = await members.ensure_members(session, [MemberDraft(external_id), MemberDraft("a")], NOW)
    assert made == {external_id: made[external_id], "a": ids["a"]}
    assert made[external_id] not in ids.values(), "nobody is folded into somebody else"
    async with snapshot(engine) as session:
        found = await members.find_by_external_id(session, external_id)
    assert found is not None
    assert found.external_id == external_id


async def test_an_unknown_partner_enrols_nobody(engine: AsyncEngine) -> None:
    async with transaction(engine) as session:
        with pytest.raises(Exception, match="fk_members_enrolled_by_partner_id"):
            await members.ensure_members(session, [MemberDraft("z", enrolled_by_partner_id="par_none")], NOW)
        await session.rollback()
    async with snapshot(engine) as session:
        assert await members.find_by_external_id(session, "z") is None
