"""Changing and blocking side by side: what is announced, what is journalled, and what is not."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.ledger import LedgerWorld, make_world
from factories.refusals import refused
from mereau.core.db import snapshot, transaction
from mereau.core.errors import ConflictError, MereauError, NotFoundError
from mereau.core.ids import new_id
from mereau.members import service as members
from mereau.members.errors import BirthDateLockedError
from mereau.members.models import Member
from mereau.members.profile import service
from mereau.members.profile.domain import BIRTH_DATE_LOCK
from mereau.members.profile.service import Edit
from mereau.members.service import MemberDraft

NOW = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
MAY, JUNE = date(1990, 5, 1), date(1990, 6, 1)


@pytest.fixture
async def world(engine: AsyncEngine) -> LedgerWorld:
    """Ada and Ben, whom no partner enrolled."""
    return await make_world(engine, now=NOW)


async def change(
    world: LedgerWorld, values: Mapping[str, object], now: datetime = NOW, *, member: int = 0, **edit: Any
) -> Member:
    reason, partner_id = edit.pop("reason", None), edit.pop("partner_id", None)
    async with transaction(world.engine) as session:
        said = Edit(values, "key:test", reason)
        return await service.change(session, world.members[member], said, now, partner_id=partner_id)


async def told(world: LedgerWorld) -> list[tuple[str, Any]]:
    rows = await world.rows(
        "select type, payload from outbox_events where type like 'member.%' and type <> 'member.enrolled' order by seq"
    )
    return [(row.type, row.payload) for row in rows]


async def journalled(world: LedgerWorld, action: str) -> list[Any]:
    rows = await world.rows("select detail from journal_entries where action = :action order by id", action=action)
    return [row.detail for row in rows]


async def stored(world: LedgerWorld, member: int = 0) -> Any:
    (row,) = await world.rows("select * from members where id = :id", id=world.members[member])
    return row


class TestChange:
    async def test_fields_are_told_and_their_values_are_not(self, world: LedgerWorld) -> None:
        """Events and the journal outlive a member; what they said of themselves must not."""
        await change(world, {"phone": "+33612345678", "display_name": "Ada King", "locale": "en"})
        fields = {"fields": ["display_name", "locale", "phone"]}
        assert await told(world) == [("member.changed", fields)]
        assert await journalled(world, "member.changed") == [fields]

    async def test_only_what_differs_is_told(self, world: LedgerWorld) -> None:
        await change(world, {"display_name": "Ada Lovelace", "locale": "en"})
        await change(world, {"locale": "en"})
        assert await told(world) == [("member.changed", {"fields": ["locale"]})]

    @pytest.mark.parametrize(
        ("email", "key"), [("A.d.a+x@GMail.com", "ada@gmail.com"), ("Ben@Example.org", "ben@example.org"), (None, None)]
    )
    async def test_the_mailbox_follows_the_address(
        self, world: LedgerWorld, email: str | None, key: str | None
    ) -> None:
        await change(world, {"email": email})
        row = await stored(world)
        assert (row.email, row.email_key) == (email, key)

    async def test_a_change_of_something_else_leaves_the_mailbox(self, world: LedgerWorld) -> None:
        before = (await stored(world)).email_key
        await change(world, {"phone": "+33612345678"})
        assert (await stored(world)).email_key == before == "ada@example.org"

    async def test_two_who_change_different_fields_at_once_both_have_their_way(self, world: LedgerWorld) -> None:
        await asyncio.gather(change(world, {"locale": "de"}), change(world, {"phone": "+33612345678"}))
        row = await stored(world)
        assert (row.locale, row.phone) == ("de", "+33612345678")

    async def test_a_partner_changes_only_whom_it_enrolled(self, world: LedgerWorld) -> None:
        mine, theirs = (partner.id for partner in world.partners)
        async with transaction(world.engine) as session:
            (made,) = await members.enrol(session, [MemberDraft("M9", enrolled_by_partner_id=mine)], NOW)
        world.members.append(made.id)
        assert (await change(world, {"locale": "en"}, member=2, partner_id=mine)).locale == "en"
        for member, partner_id in ((2, theirs), (0, mine)):
            with pytest.raises(NotFoundError):
                await change(world, {"locale": "de"}, member=member, partner_id=partner_id)

    async def test_a_blocked_member_may_still_be_corrected(self, world: LedgerWorld) -> None:
        async with transaction(world.engine) as session:
            await service.block(session, world.members[0], "fraud_suspected", NOW, actor="key:test")
        assert (await change(world, {"locale": "en"})).status == "blocked"


class TestBirthDate:
    @pytest.mark.parametrize(
        ("after", "is_free"),
        [(BIRTH_DATE_LOCK - timedelta(microseconds=1), False), (BIRTH_DATE_LOCK, True), (2 * BIRTH_DATE_LOCK, True)],
    )
    async def test_the_year_ends_to_the_moment(self, world: LedgerWorld, after: timedelta, *, is_free: bool) -> None:
        await change(world, {"birth_date": MAY})
        refusal = await refused(change(world, {"birth_date": JUNE}, NOW + after))
        assert refusal == ([] if is_free else [("/birth_date", "locked")])
        assert ((await stored(world)).birth_date == JUNE) is is_free

    async def test_saying_it_again_does_not_begin_the_year_anew(self, world: LedgerWorld) -> None:
        await change(world, {"birth_date": MAY})
        await change(world, {"birth_date": MAY}, NOW + timedelta(days=300))
        assert (await stored(world)).birth_date_set_at == NOW

    async def test_an_operators_correction_begins_the_year_anew(self, world: LedgerWorld) -> None:
        await change(world, {"birth_date": MAY})
        later = NOW + timedelta(days=200)
        await change(world, {"birth_date": JUNE}, later, reason="typing_error")
        assert (await stored(world)).birth_date_set_at == later
        with pytest.raises(BirthDateLockedError):
            await change(world, {"birth_date": MAY}, NOW + BIRTH_DATE_LOCK)
        assert (await journalled(world, "member.changed"))[-1] == {"fields": ["birth_date"], "reason": "typing_error"}

    async def test_a_refused_date_changes_nothing_beside_it(self, world: LedgerWorld) -> None:
        await change(world, {"birth_date": MAY})
        with pytest.raises(BirthDateLockedError):
            await change(world, {"birth_date": JUNE, "locale": "en"})
        assert (await stored(world)).locale == "fr"
        assert len(await told(world)) == 1

    @pytest.mark.parametrize(("day", "is_born"), [(NOW.date(), True), (NOW.date() + timedelta(days=1), False)])
    async def test_nobody_is_born_after_today(self, world: LedgerWorld, day: date, *, is_born: bool) -> None:
        refusal = await refused(change(world, {"birth_date": day}, reason="document_seen"))
        assert refusal == ([] if is_born else [("/birth_date", "future")])
        assert ((await stored(world)).birth_date == day) is is_born

    async def test_of_two_first_dates_at_once_one_stays(self, world: LedgerWorld) -> None:
        """Or two open windows would be two birthdays."""
        done = await asyncio.gather(
            *(change(world, {"birth_date": day}) for day in (MAY, JUNE)), return_exceptions=True
        )
        assert sorted(type(one).__name__ for one in done) == ["BirthDateLockedError", "Member"]


class TestStatus:
    async def status(self, world: LedgerWorld, verb: str, reason: Any = "fraud_suspected", member: str = "") -> Member:
        act = service.block if verb == "block" else service.unblock
        async with transaction(world.engine) as session:
            return await act(session, member or world.members[0], reason, NOW, actor="key:test")

    async def test_each_turn_is_told_once_with_its_reason(self, world: LedgerWorld) -> None:
        for verb, reason in (
            ("unblock", "resolved"), ("block", "terms_breached"), ("block", "duplicate_account"),
            ("unblock", "resolved"), ("unblock", "member_request"),
        ):  # fmt: skip
            await self.status(world, verb, reason)
        assert await told(world) == [
            ("member.blocked", {"reason": "terms_breached"}),
            ("member.unblocked", {"reason": "resolved"}),
        ]
        assert await journalled(world, "member.blocked") == [{"reason": "terms_breached"}]
        assert await journalled(world, "member.unblocked") == [{"reason": "resolved"}]

    async def test_many_who_block_at_once_block_once(self, world: LedgerWorld) -> None:
        done = await asyncio.gather(*(self.status(world, "block") for _ in range(6)))
        assert {member.status for member in done} == {"blocked"}
        assert len(await told(world)) == 1

    @pytest.mark.parametrize("verb", ["block", "unblock"])
    async def test_who_left_or_never_was_has_no_status(self, world: LedgerWorld, verb: str) -> None:
        await world.write("update members set status = 'deleted' where id = :id", id=world.members[1])
        refusals: list[type[MereauError]] = []
        for member in (world.members[1], new_id("mem", NOW)):
            with pytest.raises(MereauError) as refusal:
                await self.status(world, verb, member=member)
            refusals.append(refusal.type)
        assert refusals == [ConflictError, NotFoundError]
        assert await told(world) == []

    async def test_what_a_blocked_member_has_stays_theirs(self, world: LedgerWorld) -> None:
        await world.credit(40)
        await self.status(world, "block")
        assert await world.counters() == (40, 0, 0, 0)


class TestRequirements:
    async def require(self, world: LedgerWorld, *fields: str) -> None:
        async with transaction(world.engine) as session:
            await service.require_fields(session, fields, NOW, actor="key:test")

    async def test_the_same_in_another_order_is_no_change(self, world: LedgerWorld) -> None:
        await self.require(world, "phone", "email")
        await self.require(world, "email", "phone", "email")
        await self.require(world)
        assert await journalled(world, "profile_requirements.changed") == [
            {"fields": ["email", "phone"]}, {"fields": []},
        ]  # fmt: skip

    async def test_operators_at_once_leave_one_list_whole(self, world: LedgerWorld) -> None:
        lists = [("email",), ("phone", "birth_date"), ("display_name", "email"), ("attributes.size",)]
        await asyncio.gather(*(self.require(world, *fields) for fields in lists))
        async with snapshot(world.engine) as session:
            assert await service.required_fields(session) in [sorted(fields) for fields in lists]

    @pytest.mark.parametrize(
        ("values", "is_complete"),
        [
            ({"display_name": "\u2003 \t"}, False),
            ({"display_name": "\u2003Ada"}, True),
            ({"display_name": None}, False),
            ({"display_name": "Ada", "attributes": {"size": "\u3000"}}, True),
        ],
    )
    async def test_a_name_of_blanks_completes_nothing(
        self, world: LedgerWorld, values: dict[str, object], *, is_complete: bool
    ) -> None:
        """The single question in Python and the set in SQL give one answer."""
        await self.require(world, "display_name")
        member = await change(world, values)
        async with transaction(world.engine) as session:
            assert (await service.missing(session, member) == []) is is_complete
            assert (world.members[0] in await service.complete_members(session, world.members)) is is_complete
