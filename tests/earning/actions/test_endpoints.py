"""Actions and event schemas over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world
from factories.actions import a_rule, credited


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


def path(world: ApiWorld, member: str = "member_a") -> str:
    return f"/members/{world.ids[member]}/actions"


def a_review(world: ApiWorld, **changes: Any) -> dict[str, Any]:
    return {
        "type": "review_approved",
        "external_id": f"review-{next(world.numbers)}",
        "occurred_at": datetime.now(UTC).isoformat(),
        "attributes": {"rating": 5},
    } | changes


async def a_schema(world: ApiWorld, *fields: dict[str, Any], name: str = "workshop") -> dict[str, Any]:
    return await world.made("operator", "/event-schemas", {"name": name, "fields": list(fields)})


class TestRecording:
    @pytest.mark.parametrize("who", ["partner_a", "operator"])
    async def test_an_action_is_recorded_and_earns(self, world: ApiWorld, who: str) -> None:
        await a_rule(world, "review_approved", 500)
        response = await world.post(who, path(world), a_review(world))
        action = response.json()
        assert (response.status_code, action["tokens"], action["duplicate"]) == (201, 500, False)
        assert action["partner_id"] == (world.ids["partner_a"] if who == "partner_a" else None)
        assert await credited(world) == [500]
        assert (await world.get("member_a", path(world))).json()["data"][0]["id"] == action["id"]

    async def test_without_a_rule_it_is_recorded_and_earns_nothing(self, world: ApiWorld) -> None:
        await a_rule(world, "survey_answered")
        assert (await world.made("partner_a", path(world), a_review(world)))["tokens"] == 0
        assert await credited(world) == []

    async def test_the_same_again_earns_nothing_more(self, world: ApiWorld) -> None:
        """S2: by the source's own number, whatever the Idempotency-Key."""
        await a_rule(world, "review_approved")
        review = a_review(world)
        first = await world.made("partner_a", path(world), review)
        again = await world.post("partner_a", path(world), review)
        assert (again.status_code, again.json()) == (200, first | {"duplicate": True})
        other = await world.post("partner_a", path(world), review | {"attributes": {"rating": 4}})
        assert (other.status_code, other.json()["code"]) == (409, "recorded_otherwise")
        elsewhere = await world.post("partner_a", path(world, "member_b"), review)
        assert elsewhere.status_code == 409
        assert await credited(world) == [10]

    async def test_twenty_at_once_are_one(self, world: ApiWorld) -> None:
        await a_rule(world, "review_approved")
        review = a_review(world)
        answers = await asyncio.gather(*(world.post("partner_a", path(world), review) for _ in range(20)))
        assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
        assert {answer.json()["tokens"] for answer in answers} == {10}
        assert await credited(world) == [10]

    async def test_two_sources_number_for_themselves(self, world: ApiWorld) -> None:
        """S3: what one partner numbered does not stand in another's way."""
        await a_rule(world, "review_approved")
        review = a_review(world)
        for who in ("partner_a", "partner_b", "operator"):
            assert (await world.post(who, path(world), review)).status_code == 201
        assert await credited(world) == [10, 10, 10]
        seen = (await world.get("partner_b", path(world))).json()["data"]
        assert [action["partner_id"] for action in seen] == [world.ids["partner_b"]]

    @pytest.mark.parametrize("who", ["member_a", "staff", "auditor"])
    async def test_who_profits_does_not_tell(self, world: ApiWorld, who: str) -> None:
        """S1: neither members nor staff pay themselves."""
        await a_rule(world, "review_approved")
        assert (await world.post(who, path(world), a_review(world))).status_code == 403
        assert await credited(world) == []

    async def test_partners_pay_themselves_alone(self, world: ApiWorld) -> None:
        foreign = await world.post("partner_a", path(world), a_review(world, partner_id=world.ids["partner_b"]))
        unknown = await world.post("operator", path(world), a_review(world, partner_id=f"par_{'0' * 26}"))
        assert [answer.json()["errors"][0]["code"] for answer in (foreign, unknown)] == ["not_yours", "unknown"]
        await a_rule(world, "review_approved")
        named = await world.made("operator", path(world), a_review(world, partner_id=world.ids["partner_b"]))
        rows = await world.hand.rows("select partner_id from entries where source_id = :id", id=named["id"])
        assert [row.partner_id for row in rows] == [world.ids["partner_b"]]

    @pytest.mark.parametrize(
        ("change", "pointer"),
        [
            ({"type": "birthday"}, "/type"),
            ({"type": "sign_up"}, "/type"),
            ({"type": "sale"}, "/type"),
            ({"type": "custom_event"}, "/type"),
            ({"type": "unheard_of"}, "/type"),
            ({"type": "Review"}, "/type"),
            ({"occurred_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}, "/occurred_at"),
            ({"occurred_at": (datetime.now(UTC) - timedelta(days=40)).isoformat()}, "/occurred_at"),
            ({"attributes": {"deep": {}}}, "/attributes/deep"),
            ({"tokens": 5}, "/tokens"),
        ],
    )
    async def test_what_the_programme_sees_itself_is_not_claimed(
        self, world: ApiWorld, change: dict[str, Any], pointer: str
    ) -> None:
        before = await world.fingerprint()
        response = await world.post("operator", path(world), a_review(world, **change))
        assert response.status_code == 422
        assert response.json()["errors"][0]["pointer"].startswith(pointer)
        assert await world.fingerprint() == before

    async def test_who_is_blocked_earns_nothing(self, world: ApiWorld) -> None:
        await a_rule(world, "review_approved")
        await world.made("operator", f"/members/{world.ids['member_a']}/block", {"reason": "fraud_suspected"})
        assert (await world.post("partner_a", path(world), a_review(world))).status_code == 404

    async def test_a_members_actions_are_their_own(self, world: ApiWorld) -> None:
        assert (await world.get("member_b", path(world))).status_code == 404
        await world.made("partner_a", path(world), a_review(world))
        await world.made("operator", path(world), a_review(world))
        page = (await world.get("member_a", path(world), limit=1)).json()
        rest = (await world.get("member_a", path(world), limit=1, cursor=page["next_cursor"])).json()
        assert (len(page["data"]), len(rest["data"]), rest["has_more"]) == (1, 1, False)


class TestEvents:
    async def test_a_custom_event_keeps_to_its_newest_schema(self, world: ApiWorld) -> None:
        await a_schema(world, {"name": "hours", "type": "integer"})
        newest = await a_schema(world, {"name": "hours", "type": "integer", "required": True, "maximum": 8})
        event = a_review(world, type="workshop", attributes={})
        for attributes in ({}, {"hours": 9}, {"hours": 2, "room": "A"}):
            response = await world.post("partner_a", path(world), event | {"attributes": attributes})
            assert response.status_code == 422
            assert response.json()["errors"][0]["pointer"].startswith("/attributes/")
        done = await world.made("partner_a", path(world), event | {"attributes": {"hours": 8}})
        assert (newest["version"], done["schema_version"]) == (2, 2)

    async def test_rules_tell_events_apart_by_name(self, world: ApiWorld) -> None:
        await a_schema(world)
        await a_schema(world, name="walk")
        await a_rule(world, "custom_event", 30, match={"event": ["workshop"]})
        for name in ("workshop", "walk"):
            await world.made("partner_a", path(world), a_review(world, type=name, attributes={}))
        assert await credited(world) == [30]

    async def test_the_same_schema_again_is_no_new_version(self, world: ApiWorld) -> None:
        first = await a_schema(world, {"name": "hours", "type": "integer"})
        assert await a_schema(world, {"name": "hours", "type": "integer"}) == first
        listed = (await world.get("partner_a", "/event-schemas")).json()["data"]
        assert [(schema["name"], schema["version"]) for schema in listed] == [("workshop", 1)]

    async def test_versions_side_by_side_are_numbered_once(self, world: ApiWorld) -> None:
        made = await asyncio.gather(*(a_schema(world, {"name": f"f{index}", "type": "text"}) for index in range(6)))
        assert sorted(schema["version"] for schema in made) == [1, 2, 3, 4, 5, 6]

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"name": "sale"}, "/name"),
            ({"name": "review_approved"}, "/name"),
            ({"name": "Workshop"}, "/name"),
            ({"fields": [{"name": "a", "type": "text"}, {"name": "a", "type": "integer"}]}, "/fields/1/name"),
            ({"fields": [{"name": "a", "type": "float"}]}, "/fields/0/type"),
            ({"fields": [{"name": "a", "type": "integer", "options": ["x"]}]}, "/fields/0"),
            ({"fields": [{"name": "a", "type": "boolean", "maximum": 1}]}, "/fields/0"),
            ({"fields": [{"name": "a", "type": "integer", "minimum": 2, "maximum": 1}]}, "/fields/0"),
            ({"fields": [{"name": "event", "type": "text"}]}, "/fields/0"),
        ],
    )
    async def test_a_schema_that_cannot_be_is_refused(
        self, world: ApiWorld, body: dict[str, Any], pointer: str
    ) -> None:
        response = await world.post("operator", "/event-schemas", {"name": "workshop", "fields": []} | body)
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, pointer)
