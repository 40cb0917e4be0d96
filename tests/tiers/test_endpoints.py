"""Tiers over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world
from mereau.core.clock import SystemClock
from mereau.tiers import tasks

SET = {
    "qualification": {"basis": "tokens_earned", "window": "since_joining", "grace_days": 10},
    "tiers": [
        {"external_id": "bronze", "name_fr": "Bronze", "name_en": "Bronze", "threshold": 0},
        {
            "external_id": "gold", "name_fr": "Or", "name_en": "Gold", "threshold": 200, "multiplier_percent": 150,
            "entitlements": ["free_returns", "free_returns"], "description_fr": "Le plus haut\nde tous",
            "picture_url": "https://cdn.example/or.png",
        },
    ],
}  # fmt: skip


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


async def enforced(world: ApiWorld, **changes: Any) -> dict[str, Any]:
    draft = (await world.send("operator", "PUT", "/tiers/draft", SET | changes)).json()
    made = await world.made("operator", "/tiers/activate", {"version": draft["version"]})
    now = SystemClock().now()
    await tasks.walk_all(world.engine, now)
    await tasks.follow(world.engine, now)
    return made


async def test_before_the_first_set_there_is_none(world: ApiWorld) -> None:
    assert (await world.get("member_a", "/tiers")).json() == {
        "version": None, "status": None, "activated_at": None, "qualification": None, "tiers": [],
    }  # fmt: skip
    found = (await world.get("member_a", f"/members/{world.ids['member_a']}/tier")).json()
    assert {found[name] for name in ("tier", "figure", "to_next", "to_keep", "basis")} == {None}
    assert (await world.get("operator", "/tiers/draft")).status_code == 404
    assert (await world.post("operator", "/tiers/preview")).status_code == 404


async def test_a_set_is_drafted_previewed_and_put_in_force(world: ApiWorld) -> None:
    draft = (await world.send("operator", "PUT", "/tiers/draft", SET)).json()
    assert (draft["status"], draft["qualification"]["window_months"]) == ("draft", None)
    assert [(tier["id"], tier["rank"]) for tier in draft["tiers"]] == [(None, 1), (None, 2)]
    preview = await world.made("operator", "/tiers/preview", None)
    assert preview["moves"] == [{"from_tier": None, "to_tier": "bronze", "direction": "joined", "members": 2}]
    assert (await world.get("member_a", "/tiers")).json()["tiers"] == []
    made = await world.made("operator", "/tiers/activate", {"version": draft["version"]})
    seen = (await world.get("member_b", "/tiers")).json()
    assert seen == made
    gold = seen["tiers"][1]
    assert gold["id"].startswith("tie_")
    assert (gold["multiplier_percent"], gold["entitlements"]) == (150, ["free_returns"])
    assert (await world.send("operator", "DELETE", "/tiers/draft")).status_code == 404


async def test_a_member_sees_what_is_missing_and_how_it_came(world: ApiWorld) -> None:
    await enforced(world)
    path = f"/members/{world.ids['member_a']}"
    found = (await world.get("member_a", f"{path}/tier")).json()
    assert (found["tier"]["external_id"], found["figure"], found["basis"]) == ("bronze", 120, "tokens_earned")
    assert found["to_next"] == {"tier": "gold", "threshold": 200, "missing": 80, "until": None}
    assert found["to_keep"] == {"tier": "bronze", "threshold": 0, "missing": 0, "until": None}
    changes = (await world.get("member_a", f"{path}/tier-changes")).json()["data"]
    assert [(change["direction"], change["cause"]) for change in changes] == [("joined", "activation")]
    assert changes[0]["to_tier_id"] == found["tier"]["id"]


async def test_why_a_tier_was_given_stays_inside(world: ApiWorld) -> None:
    await enforced(world)
    path = f"/members/{world.ids['member_a']}"
    body = {"tier": "gold", "reason": "lost parcel", "ends_at": "2099-01-01T00:00:00Z"}
    given = await world.send("operator", "PUT", f"{path}/tier-assignment", body)
    assert given.json()["assignment"] == {"reason": "lost parcel", "ends_at": "2099-01-01T00:00:00Z"}
    for who, reason in (("member_a", None), ("partner_a", None), ("auditor", "lost parcel")):
        seen = (await world.get(who, f"{path}/tier")).json()
        assert (seen["tier"]["external_id"], seen["assignment"]["reason"]) == ("gold", reason)
    taken = await world.send("operator", "DELETE", f"{path}/tier-assignment")
    assert (taken.json()["tier"]["external_id"], taken.json()["assignment"]) == ("bronze", None)
    assert (await world.send("operator", "DELETE", f"{path}/tier-assignment")).status_code == 404
    page = (await world.get("member_a", f"{path}/tier-changes", limit=2)).json()
    rest = (await world.get("member_a", f"{path}/tier-changes", limit=2, cursor=page["next_cursor"])).json()
    assert [change["direction"] for change in page["data"] + rest["data"]] == ["down", "up", "joined"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"qualification": {"basis": "fame"}}, "/qualification/basis"),
        ({"qualification": {"window": "since_joining", "window_months": 3}}, "/qualification/window_months"),
        ({"tiers": []}, "/tiers"),
        ({"tiers": [SET["tiers"][1], SET["tiers"][0]]}, "/tiers/1/threshold"),  # type: ignore[index] # a list
        ({"tiers": [SET["tiers"][0] | {"threshold": -1}]}, "/tiers/0/threshold"),  # type: ignore[index,operator] # as above
        ({"tiers": [SET["tiers"][0] | {"picture_url": "http://x.example/a.png"}]}, "/tiers/0/picture_url"),  # type: ignore[index,operator] # as above
        ({"surprise": 1}, "/surprise"),
    ],
)
async def test_what_is_wrong_is_pointed_at_and_changes_nothing(
    world: ApiWorld, changes: dict[str, Any], pointer: str
) -> None:
    before = await world.fingerprint()
    response = await world.send("operator", "PUT", "/tiers/draft", SET | changes)
    assert (response.status_code, [found["pointer"] for found in response.json()["errors"]]) == (422, [pointer])
    assert await world.fingerprint() == before


async def test_a_rolling_window_is_a_year_where_nothing_is_said(world: ApiWorld) -> None:
    draft = (await world.send("operator", "PUT", "/tiers/draft", {"tiers": SET["tiers"]})).json()
    assert (draft["qualification"]["window"], draft["qualification"]["window_months"]) == ("rolling", 12)


async def test_refusals_of_activation_and_assignment(world: ApiWorld) -> None:
    path = f"/members/{world.ids['member_a']}/tier-assignment"
    body = {"tier": "gold", "reason": "x"}
    none = await world.send("operator", "PUT", path, body)
    assert (none.status_code, none.json()["code"]) == (409, "no_tiers")
    draft = (await world.send("operator", "PUT", "/tiers/draft", SET)).json()
    other = await world.post("operator", "/tiers/activate", {"version": draft["version"] + 1})
    assert (other.status_code, other.json()["code"]) == (409, "other_draft")
    await world.made("operator", "/tiers/activate", {"version": draft["version"]})
    unknown = await world.send("operator", "PUT", path, body | {"tier": "diamond"})
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (422, "/tier")
    missing = "/members/mem_01K9Q2M4T6V8X0Z2B4D6F8H0J2/tier"
    assert (await world.get("operator", missing)).status_code == 404
