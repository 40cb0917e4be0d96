"""Consents as records: who said what when, in whatever order it is handed in."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.ledger import LedgerWorld, make_world
from factories.refusals import refused
from mereau.core.db import snapshot, transaction
from mereau.core.errors import ConflictError, NotFoundError
from mereau.members import service as members
from mereau.members.consents import service
from mereau.members.consents.domain import ConsentDraft
from mereau.members.models import Consent
from mereau.members.service import MemberDraft

NOW = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
SAID = st.tuples(st.sampled_from(["newsletter", "profiling"]), st.booleans(), st.integers(0, 5))


@pytest.fixture
async def world(engine: AsyncEngine) -> LedgerWorld:
    return await make_world(engine, now=NOW)


def yes(**changes: Any) -> ConsentDraft:
    fields: dict[str, Any] = {
        "kind": "newsletter", "state": "given", "occurred_at": NOW, "source": "web_form", "text_version": "2026-01",
    }  # fmt: skip
    return ConsentDraft(**fields | changes)


async def record(world: LedgerWorld, draft: ConsentDraft, member: int = 0, **changes: Any) -> tuple[Consent, bool]:
    async with transaction(world.engine) as session:
        return await service.record(session, world.members[member], draft, NOW, actor="key:test", **changes)


async def current(world: LedgerWorld, member: int = 0) -> dict[str, str]:
    async with snapshot(world.engine) as session:
        return {one.kind: one.state for one in await service.current(session, world.members[member])}


async def told(world: LedgerWorld, member: int = 0) -> list[tuple[str, str]]:
    rows = await world.rows(
        "select type, payload ->> 'kind' from outbox_events"
        " where type like 'consent.%' and subject_id = :id order by seq",
        id=world.members[member],
    )
    return [(row[0].removeprefix("consent."), row[1]) for row in rows]


async def test_a_record_says_who_took_it_down_and_under_which_text(world: LedgerWorld) -> None:
    consent, is_new = await record(world, yes(occurred_at=NOW - HOUR))
    assert is_new
    assert (consent.recorded_by, consent.text_version, consent.source) == ("key:test", "2026-01", "web_form")
    assert (consent.occurred_at, consent.created_at) == (NOW - HOUR, NOW)
    (row,) = await world.rows("select actor, subject_id, detail from journal_entries where action = 'consent.recorded'")
    assert (row.actor, row.subject_id, row.detail["state"]) == ("key:test", world.members[0], "given")
    (event,) = await world.events("consent.given")
    assert event.payload == {
        "kind": "newsletter", "consent_id": consent.id, "occurred_at": (NOW - HOUR).isoformat(),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("ahead", "is_taken"),
    [(timedelta(minutes=10), True), (timedelta(minutes=10, microseconds=1), False), (timedelta(days=-4_000), True)],
)
async def test_nobody_agrees_tomorrow(world: LedgerWorld, ahead: timedelta, *, is_taken: bool) -> None:
    refusal = await refused(record(world, yes(occurred_at=NOW + ahead)))
    assert refusal == ([] if is_taken else [("/occurred_at", "future")])
    assert await current(world) == ({"newsletter": "given"} if is_taken else {})


@pytest.mark.parametrize("change", [{"state": "withdrawn"}, {"source": "paper"}, {"text_version": "2026-02"}], ids=str)
async def test_one_instant_holds_one_word_of_a_kind(world: LedgerWorld, change: dict[str, Any]) -> None:
    await record(world, yes())
    with pytest.raises(ConflictError):
        await record(world, yes(**change))
    assert (await record(world, yes(kind="terms", **change)))[1], "another kind is another matter"
    assert (await record(world, yes(**change), member=1))[1], "so is another member"


async def test_kinds_do_not_speak_for_each_other(world: LedgerWorld) -> None:
    await record(world, yes(kind="prospecting_email"))
    await record(world, yes(kind="prospecting_sms", state="withdrawn"))
    assert await current(world) == {"prospecting_email": "given", "prospecting_sms": "withdrawn"}
    assert await told(world) == [("given", "prospecting_email")]


async def test_a_new_version_of_the_text_is_a_record_and_no_news(world: LedgerWorld) -> None:
    await record(world, yes(kind="terms"))
    await record(world, yes(kind="terms", text_version="2026-02", occurred_at=NOW + timedelta(minutes=1)))
    async with snapshot(world.engine) as session:
        (counts,) = await service.current(session, world.members[0])
    assert counts.text_version == "2026-02"
    assert await told(world) == [("given", "terms")]


async def test_opposite_words_at_once_are_both_kept_and_the_later_counts(world: LedgerWorld) -> None:
    later = yes(state="withdrawn", occurred_at=NOW + timedelta(minutes=1))
    await asyncio.gather(*(record(world, draft) for draft in (yes(), later, yes(), later)))
    assert await world.rows("select count(*) from consents") == [(2,)]
    assert await current(world) == {"newsletter": "withdrawn"}


async def test_only_its_own_partner_speaks_for_a_member(world: LedgerWorld) -> None:
    mine, theirs = (partner.id for partner in world.partners)
    async with transaction(world.engine) as session:
        (made,) = await members.enrol(session, [MemberDraft("M9", enrolled_by_partner_id=mine)], NOW)
    world.members.append(made.id)
    assert (await record(world, yes(), member=2, partner_id=mine))[1]
    for member, partner_id in ((2, theirs), (0, mine)):
        with pytest.raises(NotFoundError):
            await record(world, yes(kind="terms"), member=member, partner_id=partner_id)


@pytest.mark.parametrize(("status", "may"), [("active", True), ("blocked", True), ("deleted", False)])
async def test_a_blocked_member_may_still_withdraw(world: LedgerWorld, status: str, *, may: bool) -> None:
    """Consent is theirs to take back whatever the programme thinks of them."""
    await record(world, yes(occurred_at=NOW - HOUR))
    await world.write("update members set status = :status where id = :id", status=status, id=world.members[0])
    try:
        await record(world, yes(state="withdrawn"))
    except NotFoundError:
        assert not may
    assert await current(world) == {"newsletter": "withdrawn" if may else "given"}


@settings(max_examples=25)
@given(said=st.lists(SAID, max_size=7, unique_by=lambda one: (one[0], one[2])))
async def test_in_whatever_order_it_comes_the_last_said_counts(
    world: LedgerWorld, said: list[tuple[str, bool, int]]
) -> None:
    """Each example is a member of its own; `told` follows what counted, step by step."""
    async with transaction(world.engine) as session:
        (made,) = await members.enrol(session, [MemberDraft(world.next_id("M"))], NOW)
    world.members.append(made.id)
    counted: dict[str, tuple[int, bool]] = {}
    news: list[tuple[str, str]] = []
    for kind, is_given, hour in said:
        state = "given" if is_given else "withdrawn"
        await record(world, yes(kind=kind, state=state, occurred_at=NOW - (6 - hour) * HOUR), member=-1)
        before = counted.get(kind, (-1, False))
        if hour > before[0]:
            counted[kind] = (hour, is_given)
            if is_given != before[1]:
                news.append((state, kind))
    expected = {kind: "given" if is_given else "withdrawn" for kind, (_, is_given) in counted.items()}
    assert await current(world, -1) == expected
    assert await told(world, -1) == news
