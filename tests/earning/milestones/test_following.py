"""Milestones that events tell of: each earns once, whatever is read twice."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world
from factories.actions import a_rule, credited, follow, join
from mereau.core.db import transaction
from mereau.earning.milestones import tasks
from mereau.outbox import service as outbox
from mereau.outbox.service import Event

YES = {
    "kind": "newsletter", "state": "given", "occurred_at": "2026-01-05T10:00:00Z", "source": "web",
    "text_version": "1",
}  # fmt: skip


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        await tasks.follow_events(world.engine, datetime.now(UTC))
        yield world


async def tell(world: ApiWorld, *events: Event) -> None:
    async with transaction(world.engine) as session:
        await outbox.publish(session, events, datetime.now(UTC))
    await follow(world)


async def test_whoever_joins_is_welcomed_once(world: ApiWorld) -> None:
    await a_rule(world, "sign_up", 100)
    await join(world, "new")
    await follow(world)
    await follow(world)
    assert await credited(world, "new") == [100]
    assert await credited(world) == [], "who was a member before the rule is not welcomed"


async def test_events_read_again_earn_nothing_more(world: ApiWorld) -> None:
    """A worker that dies between the credit and its place reads the same events again."""
    await a_rule(world, "sign_up", 100)
    await join(world, "new")
    await follow(world)
    await world.hand.write("delete from outbox_cursors")
    await follow(world)
    assert await credited(world, "new") == [100]


async def test_two_workers_at_once_credit_once(world: ApiWorld) -> None:
    await a_rule(world, "sign_up", 100)
    for number in range(5):
        await join(world, f"new-{number}")
    now = datetime.now(UTC)
    await asyncio.gather(*(tasks.follow_events(world.engine, now) for _ in range(4)))
    assert [await credited(world, f"new-{number}") for number in range(5)] == [[100]] * 5


async def test_a_consent_to_the_newsletter_earns_once(world: ApiWorld) -> None:
    await a_rule(world, "newsletter_opt_in")
    path = f"/members/{world.ids['member_a']}/consents"
    await world.made("member_a", path, YES | {"kind": "profiling"})
    await follow(world)
    assert await credited(world) == []
    for day, state in ((5, "given"), (6, "withdrawn"), (7, "given")):
        await world.made("member_a", path, YES | {"state": state, "occurred_at": f"2026-01-0{day}T10:00:00Z"})
        await follow(world)
    assert await credited(world) == [10]


async def test_a_complete_profile_earns_once(world: ApiWorld) -> None:
    await a_rule(world, "profile_completed")
    await world.send("operator", "PUT", "/profile-requirements", {"fields": ["email", "phone"]})
    path = f"/members/{world.ids['member_a']}"
    for change in ({"email": "a@b.cd"}, {"phone": "+33612345678"}, {"phone": None}, {"phone": "+33612345679"}):
        await world.send("member_a", "PATCH", path, change)
        await follow(world)
    assert await credited(world) == [10]
    await join(world, "whole", email="w@b.cd", phone="+33612345670")
    await join(world, "half", email="h@b.cd")
    await follow(world)
    assert (await credited(world, "whole"), await credited(world, "half")) == ([10], [])


async def test_only_the_first_purchase_is_the_first(world: ApiWorld) -> None:
    await a_rule(world, "first_purchase", 40)
    new = await join(world, "new")
    for number in (2, 1, 3):
        at = (datetime.now(UTC) - timedelta(hours=number)).isoformat()
        await world.made("partner_b", "/sales", world.a_sale(member={"id": new}, occurred_at=at))
    await world.made("partner_a", "/sales", world.a_sale())
    await follow(world)
    await world.made("partner_b", "/sales", world.a_sale(member={"id": new}))
    await follow(world)
    assert await credited(world, "new") == [40]
    assert await credited(world) == [], "member A had bought before"
    rows = await world.hand.rows("select partner_id from entries where member_id = :id and tokens = 40", id=new)
    assert [row.partner_id for row in rows] == [world.ids["partner_b"]], "where it was bought, it is paid"


async def test_a_sale_to_nobody_is_nobodys_first(world: ApiWorld) -> None:
    await a_rule(world, "first_purchase")
    sale = world.a_sale()
    del sale["member"]
    await world.made("partner_a", "/sales", sale)
    await follow(world)
    assert await world.hand.rows("select 1 from entries where reason_code = 'bonus'") == []


async def test_a_tier_is_reached_once_however_often_one_climbs(world: ApiWorld) -> None:
    await a_rule(world, "tier_reached", 70)
    member = world.ids["member_a"]
    steps = [("joined", "tie_1"), ("up", "tie_2"), ("down", "tie_1"), ("up", "tie_2"), ("kept", "tie_2")]
    for direction, tier in steps:
        payload = {"member_id": member, "from": None, "to": tier, "direction": direction}
        await tell(world, Event("tier.changed", member, payload))
    assert await credited(world) == [70, 70]


@pytest.mark.parametrize(
    ("kind", "trigger"),
    [
        ("object.activated", "object_activated"),
        ("object.taken_back", "object_taken_back"),
        ("survey.answered", "survey_answered"),
    ],
)
async def test_an_object_earns_once_each(world: ApiWorld, kind: str, trigger: str) -> None:
    await a_rule(world, trigger, match={"sku": ["mug"]})
    said = {"member_id": world.ids["member_a"], "sku": "mug"}
    await tell(world, Event(kind, "obj_1", said), Event(kind, "obj_1", said), Event(kind, "obj_2", said))
    await tell(world, Event(kind, "obj_3", said | {"sku": "cap"}), Event(kind, "obj_4", {"sku": "mug"}))
    assert await credited(world) == [10, 10]


async def test_who_is_blocked_passes_no_milestone(world: ApiWorld) -> None:
    await a_rule(world, "object_activated")
    await world.made("operator", f"/members/{world.ids['member_a']}/block", {"reason": "fraud_suspected"})
    await tell(world, Event("object.activated", "obj_1", {"member_id": world.ids["member_a"]}))
    assert await credited(world) == []


async def test_many_events_are_read_in_passes(world: ApiWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "EVENTS_PER_PASS", 3)
    await a_rule(world, "sign_up")
    names = [f"new-{number}" for number in range(8)]
    for name in names:
        await join(world, name)
    assert await tasks.follow_events(world.engine, datetime.now(UTC)) >= 8
    assert [await credited(world, name) for name in names] == [[10]] * 8
    assert await tasks.follow_events(world.engine, datetime.now(UTC)) == 0
