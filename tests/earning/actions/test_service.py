"""Actions at the service's door: told once, in their time, by the schema of their day."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from factories.earning import Shop
from factories.refusals import refused
from factories.rules import fixed
from mereau.core.db import snapshot, transaction
from mereau.core.errors import NotFoundError
from mereau.earning.actions import service
from mereau.earning.actions.domain import AGE_MAX, CLOCK_SKEW_MAX, RESERVED, ActionDraft, FieldSpec
from mereau.earning.actions.models import EventSchema
from mereau.earning.actions.service import RecordedAction
from mereau.earning.errors import RecordedOtherwiseError

MOMENT = timedelta(microseconds=1)
SIZE = FieldSpec("size", "text", required=True, options=("S", "M"))


async def register(shop: Shop, *fields: FieldSpec, name: str = "workshop") -> EventSchema:
    async with transaction(shop.engine) as session:
        return await service.register_schema(session, name, fields, shop.now, actor="key:test")


async def perform(shop: Shop, **changes: Any) -> RecordedAction:
    fields: dict[str, Any] = {
        "member_id": shop.members[0], "source": "key_1", "partner_id": shop.partners[0].id, "type": "review_approved",
        "external_id": "review 17", "occurred_at": shop.now, "attributes": {},
    }  # fmt: skip
    async with transaction(shop.engine) as session:
        return await service.perform(session, ActionDraft(**fields | changes), shop.now, actor="key:test")


async def reward(shop: Shop, trigger: str = "review_approved", tokens: int = 10, **fields: Any) -> None:
    await shop.activate(fixed(tokens) | {"trigger": trigger} | fields, f"{trigger}-{tokens}")


@pytest.mark.parametrize(
    ("offset", "wrong"),
    [
        (timedelta(), []),
        (CLOCK_SKEW_MAX, []),
        (CLOCK_SKEW_MAX + MOMENT, [("/occurred_at", "future")]),
        (-AGE_MAX, []),
        (-AGE_MAX - MOMENT, [("/occurred_at", "too_old")]),
    ],
    ids=str,
)
async def test_an_action_is_told_in_its_time(shop: Shop, offset: timedelta, wrong: list[tuple[str, str]]) -> None:
    assert await refused(perform(shop, occurred_at=shop.now + offset)) == wrong
    assert await shop.count("actions") == (0 if wrong else 1)


async def test_what_was_told_in_time_is_known_long_after(shop: Shop) -> None:
    """A repetition is no new telling: it is not judged by the clock again."""
    await reward(shop)
    at = shop.now
    first = await perform(shop, occurred_at=at)
    shop.now += 10 * AGE_MAX
    again = await perform(shop, occurred_at=at)
    assert (first.duplicate, again.duplicate, again.action.id) == (False, True, first.action.id)
    assert await shop.counters() == (10, 0, 0, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "survey_answered"},
        {"member_id": 1},
        {"partner_id": None},
        {"occurred_at": timedelta(seconds=1)},
        {"attributes": {"stars": 5}},
    ],
    ids=str,
)
async def test_the_same_number_for_something_else_is_a_conflict(shop: Shop, changes: dict[str, Any]) -> None:
    await reward(shop)
    await perform(shop)
    if "member_id" in changes:
        changes = {"member_id": shop.members[1]}
    if "occurred_at" in changes:
        changes = {"occurred_at": shop.now + changes["occurred_at"]}
    with pytest.raises(RecordedOtherwiseError):
        await perform(shop, **changes)
    assert [await shop.counters(member) for member in (0, 1)] == [(10, 0, 0, 0), (0, 0, 0, 0)]


async def test_sources_number_for_themselves(shop: Shop) -> None:
    await reward(shop)
    done = [await perform(shop, source=source) for source in ("key_1", "key_2")]
    assert [one.duplicate for one in done] == [False, False]
    assert await shop.counters() == (20, 0, 0, 0)


async def test_of_many_at_once_one_is_recorded_and_the_others_are_it(shop: Shop) -> None:
    await reward(shop)
    done = await asyncio.gather(*(perform(shop) for _ in range(6)))
    assert sorted(one.duplicate for one in done) == [False] + [True] * 5
    assert len({one.action.id for one in done}) == 1
    assert {one.action.tokens for one in done} == {10}
    assert await shop.counters() == (10, 0, 0, 0)


async def test_what_was_recorded_before_there_was_a_rule_is_not_paid_by_it(shop: Shop) -> None:
    assert (await perform(shop)).action.tokens == 0
    await reward(shop)
    assert (await perform(shop)).action.tokens == 0
    assert await shop.counters() == (0, 0, 0, 0)


@pytest.mark.parametrize("status", ["blocked", "deleted"])
async def test_who_is_not_active_does_nothing(shop: Shop, status: str) -> None:
    await shop.write("update members set status = :status where id = :id", status=status, id=shop.members[0])
    with pytest.raises(NotFoundError):
        await perform(shop)
    assert await shop.count("actions") == 0


@pytest.mark.parametrize(
    "type_", sorted(RESERVED - {"review_approved", "survey_answered", "contest_entered", "social_action"})
)
async def test_what_the_programme_sees_itself_is_claimed_by_nobody(shop: Shop, type_: str) -> None:
    assert await refused(perform(shop, type=type_)) == [("/type", "unknown")]
    assert await refused(register(shop, name=type_)) == [("/name", "reserved")]


class TestSchemas:
    async def test_an_event_is_judged_by_the_schema_of_its_day(self, shop: Shop) -> None:
        assert await refused(perform(shop, type="workshop")) == [("/type", "unknown")]
        await register(shop)
        first = await perform(shop, type="workshop")
        await register(shop, SIZE)
        wrong = await refused(perform(shop, type="workshop", external_id="other"))
        assert wrong == [("/attributes/size", "invalid")]
        second = await perform(shop, type="workshop", external_id="other", attributes={"size": "M"})
        assert [one.action.schema_version for one in (first, second)] == [1, 2]
        assert (await perform(shop, type="workshop")).duplicate, "what was right then stays so"

    async def test_every_finding_is_told_at_once(self, shop: Shop) -> None:
        await register(shop, SIZE, FieldSpec("pieces", "integer", minimum=1))
        late = shop.now - 2 * AGE_MAX
        wrong = await refused(
            perform(shop, type="workshop", occurred_at=late, attributes={"pieces": 0, "colour": "red"})
        )
        assert wrong == [
            ("/occurred_at", "too_old"),
            ("/attributes/colour", "unknown"),
            ("/attributes/size", "invalid"),
            ("/attributes/pieces", "invalid"),
        ]

    async def test_the_newest_again_is_no_new_version_and_an_older_one_is(self, shop: Shop) -> None:
        made = [await register(shop, *fields) for fields in ((), (), (SIZE,), (SIZE,), ())]
        assert [schema.version for schema in made] == [1, 1, 2, 2, 3]
        assert (await register(shop, name="visit")).version == 1
        acts = await shop.rows("select action from journal_entries where action = 'event_schema.registered'")
        assert len(acts) == 4

    async def test_versions_made_at_once_are_numbered_one_after_the_other(self, shop: Shop) -> None:
        made = await asyncio.gather(*(register(shop, FieldSpec(f"field_{n}", "text")) for n in range(5)))
        assert sorted(schema.version for schema in made) == [1, 2, 3, 4, 5]

    async def test_a_name_stands_once_in_a_schema(self, shop: Shop) -> None:
        wrong = await refused(register(shop, SIZE, FieldSpec("pieces", "integer"), SIZE, SIZE))
        assert wrong == [("/fields/2/name", "repeated"), ("/fields/3/name", "repeated")]

    async def test_rules_know_an_event_by_its_name_and_its_fields(self, shop: Shop) -> None:
        await register(shop, SIZE)
        match = {"event": ["workshop"], "size": ["M"]}
        await reward(shop, "custom_event", 30, match=match)
        await reward(shop, "custom_event", 4, condition="attributes.event == 'workshop'")
        tokens = [
            (await perform(shop, type="workshop", external_id=size, attributes={"size": size})).action.tokens
            for size in ("S", "M")
        ]
        assert tokens == [4, 34]


async def test_actions_are_listed_newest_first_and_for_a_partner_its_own(shop: Shop) -> None:
    mine, theirs = (partner.id for partner in shop.partners)
    made = [
        (await perform(shop, external_id=str(n), partner_id=partner)).action.id
        for n, partner in enumerate((mine, theirs, mine, None))
    ]
    await perform(shop, member_id=shop.members[1], external_id="else")

    async def listed(partner_id: str | None, before_id: str | None = None) -> list[str]:
        async with snapshot(shop.engine) as session:
            found = await service.actions_of(session, shop.members[0], partner_id, before_id, 10)
        return [action.id for action in found]

    assert await listed(None) == sorted(made, reverse=True)
    assert await listed(mine) == sorted([made[0], made[2]], reverse=True)
    assert await listed(None, sorted(made)[2]) == sorted(made, reverse=True)[2:]
