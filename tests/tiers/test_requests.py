"""Tiers over HTTP, at the edges: what is just taken, what is just refused, and who sees what."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world
from mereau.core.amounts import MAX_TOKENS
from mereau.core.clock import SystemClock
from mereau.tiers import tasks

BRONZE = {"external_id": "bronze", "name_fr": "Bronze", "name_en": "Bronze", "threshold": 0}
GOLD = {"external_id": "gold", "name_fr": "Or", "name_en": "Gold", "threshold": 200}
RULE = {"basis": "spend", "window": "since_joining"}
UNKNOWN = "mem_01K9Q2M4T6V8X0Z2B4D6F8H0J2"


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


def a_set(rule: dict[str, Any] | None = None, **tier: Any) -> dict[str, Any]:
    return {"qualification": RULE | (rule or {}), "tiers": [BRONZE, GOLD | tier]}


def twenty(count: int) -> dict[str, Any]:
    return {"tiers": [BRONZE | {"external_id": f"t{i}", "threshold": i} for i in range(count)]}


EDGES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    # what is taken, what is not, and where it is wrong
    (a_set(name_fr="x" * 200), a_set(name_fr="x" * 201), "/tiers/1/name_fr"),
    (a_set(external_id="x" * 128), a_set(external_id="x" * 129), "/tiers/1/external_id"),
    (a_set(threshold=1), a_set(threshold=0), "/tiers/1/threshold"),
    (a_set(threshold=MAX_TOKENS), a_set(threshold=MAX_TOKENS + 1), "/tiers/1/threshold"),
    (a_set(multiplier_percent=0), a_set(multiplier_percent=-1), "/tiers/1/multiplier_percent"),
    (a_set(multiplier_percent=10_000), a_set(multiplier_percent=10_001), "/tiers/1/multiplier_percent"),
    (a_set(description_en="x" * 2_000), a_set(description_en="x" * 2_001), "/tiers/1/description_en"),
    (a_set(description_en="two\nlines"), a_set(description_en="a bell\x07"), "/tiers/1/description_en"),
    (a_set(picture_url="https://a"), a_set(picture_url="javascript:alert(1)"), "/tiers/1/picture_url"),
    (a_set(picture_url="https://a/b"), a_set(picture_url="https://a/ b"), "/tiers/1/picture_url"),
    (a_set(entitlements=["x" * 64]), a_set(entitlements=["x" * 65]), "/tiers/1/entitlements/0"),
    (a_set(entitlements=["a"] * 50), a_set(entitlements=["a"] * 51), "/tiers/1/entitlements"),
    (a_set({"grace_days": 3_660}), a_set({"grace_days": 3_661}), "/qualification/grace_days"),
    (a_set({"grace_days": 0}), a_set({"grace_days": -1}), "/qualification/grace_days"),
    (
        a_set({"window": "rolling", "window_months": 120}),
        a_set({"window": "rolling", "window_months": 121}),
        "/qualification/window_months",
    ),
    (
        a_set({"window": "rolling", "window_months": 1}),
        a_set({"window": "rolling", "window_months": 0}),
        "/qualification/window_months",
    ),
    (
        a_set({"basis": "balance", "window": "rolling"}),
        a_set({"basis": "balance", "window": "rolling", "window_months": 12}),
        "/qualification/window_months",
    ),
    (a_set({"downgrade": "never"}), a_set({"downgrade": "two_steps"}), "/qualification/downgrade"),
    (a_set({"window": "since_change"}), a_set({"window": "forever"}), "/qualification/window"),
    (twenty(20), twenty(21), "/tiers"),
]


async def test_every_field_has_its_edge(world: ApiWorld) -> None:
    for taken, refused, pointer in EDGES:
        draft = await world.send("operator", "PUT", "/tiers/draft", taken)
        assert draft.status_code == 200, (taken, draft.text)
        response = await world.send("operator", "PUT", "/tiers/draft", refused)
        assert response.status_code == 422, refused
        assert [error["pointer"] for error in response.json()["errors"]] == [pointer], refused
        assert (await world.get("operator", "/tiers/draft")).json() == draft.json()


async def put_in_force(world: ApiWorld, body: dict[str, Any]) -> dict[str, Any]:
    draft = (await world.send("operator", "PUT", "/tiers/draft", body)).json()
    made = await world.made("operator", "/tiers/activate", {"version": draft["version"]})
    now = SystemClock().now()
    await tasks.walk_all(world.engine, now)
    return made


async def test_a_draft_is_seen_inside_alone_and_forgotten_once(world: ApiWorld) -> None:
    await world.send("operator", "PUT", "/tiers/draft", a_set())
    seen = {
        who: (await world.get(who, "/tiers/draft")).status_code
        for who in ("member_a", "partner_a", "staff", "operator", "auditor")
    }
    assert seen == {"member_a": 404, "partner_a": 404, "staff": 404, "operator": 200, "auditor": 200}
    assert [(await world.send("operator", "DELETE", "/tiers/draft")).status_code for _ in range(2)] == [204, 404]
    assert (await world.get("operator", "/tiers/draft")).status_code == 404
    activated = await world.post("operator", "/tiers/activate", {"version": 1})
    assert activated.status_code == 404


async def test_putting_in_force_twice_is_once(world: ApiWorld) -> None:
    made = await put_in_force(world, a_set())
    again = await world.made("operator", "/tiers/activate", {"version": made["version"]})
    assert again == made
    acts = await world.hand.rows("select 1 from journal_entries where action = 'tiers.activated'")
    assert len(acts) == 1
    for version in (0, 2**31, "1", None):
        refused = await world.post("operator", "/tiers/activate", {"version": version})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/version")


async def test_a_preview_says_who_would_move_and_moves_nobody(world: ApiWorld) -> None:
    """Member A bought for 120.00, member B for nothing."""
    await put_in_force(world, a_set())
    for threshold, moved in ((12_000, 1), (12_001, 0)):
        await world.send("operator", "PUT", "/tiers/draft", a_set(external_id="top", threshold=threshold))
        before = await world.fingerprint()
        seen = await world.made("operator", "/tiers/preview", None)
        assert [move["members"] for move in seen["moves"] if move["direction"] == "up"] == [1] * moved
        assert seen["on_notice"] + seen["unchanged"] + sum(move["members"] for move in seen["moves"]) == 2
        assert await world.fingerprint() == before


async def test_members_see_their_own_tier_alone(world: ApiWorld) -> None:
    await put_in_force(world, a_set(threshold=12_000))
    path = f"/members/{world.ids['member_a']}"
    for tail in ("/tier", "/tier-changes"):
        assert (await world.get("member_b", path + tail)).status_code == 404
        assert (await world.get(None, path + tail)).status_code == 401
        assert (await world.get("operator", f"/members/{UNKNOWN}{tail}")).status_code == 404
    found = (await world.get("member_a", f"{path}/tier")).json()
    assert (found["tier"]["external_id"], found["basis"], found["figure"]) == ("gold", "spend", 12_000)
    assert found["to_next"] is None
    assert found["to_keep"] == {"tier": "gold", "threshold": 12_000, "missing": 0, "until": None}


WRONG_ASSIGNMENTS: list[tuple[dict[str, Any], str]] = [
    ({"tier": "silver"}, "/tier"),
    ({"tier": ""}, "/tier"),
    ({"tier": None}, "/tier"),
    ({"reason": ""}, "/reason"),
    ({"reason": "x" * 201}, "/reason"),
    ({"ends_at": "2020-01-01T00:00:00Z"}, "/ends_at"),
    ({"ends_at": "2099-01-01T00:00:00"}, "/ends_at"),
    ({"ends_at": "2099-02-30T00:00:00Z"}, "/ends_at"),
    ({"until": "2099-01-01T00:00:00Z"}, "/until"),
]


async def test_wrong_assignments_are_pointed_at_and_give_nothing(world: ApiWorld) -> None:
    await put_in_force(world, a_set())
    path = f"/members/{world.ids['member_b']}/tier-assignment"
    for changes, pointer in WRONG_ASSIGNMENTS:
        body = {"tier": "gold", "reason": "x"} | changes
        response = await world.send("operator", "PUT", path, body)
        assert response.status_code == 422, changes
        assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
    for who in ("member_b", "partner_a", "staff", "auditor"):
        assert (await world.send(who, "PUT", path, {"tier": "gold", "reason": "x"})).status_code == 403
        assert (await world.send(who, "DELETE", path)).status_code == 403
    lost = await world.send("operator", "PUT", f"/members/{UNKNOWN}/tier-assignment", {"tier": "gold", "reason": "x"})
    assert lost.status_code == 404
    seen = (await world.get("operator", f"/members/{world.ids['member_b']}/tier")).json()
    assert (seen["tier"]["external_id"], seen["assignment"]) == ("bronze", None)


async def test_an_end_is_read_in_any_zone(world: ApiWorld) -> None:
    await put_in_force(world, a_set())
    path = f"/members/{world.ids['member_b']}/tier-assignment"
    body = {"tier": "gold", "reason": "x" * 200, "ends_at": "2099-01-01T01:00:00+01:00"}
    given = (await world.send("operator", "PUT", path, body)).json()
    assert given["assignment"] == {"reason": "x" * 200, "ends_at": "2099-01-01T00:00:00Z"}
    assert given["to_keep"]["until"] == "2099-01-01T00:00:00Z"
    endless = (await world.send("operator", "PUT", path, {"tier": "gold", "reason": "x"})).json()
    assert endless["assignment"]["ends_at"] is None
    assert endless["to_keep"]["until"] is None
