"""Rules over HTTP: read, filtered, ended, and bound to what they name."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world

GOLD = """
insert into tiers (id, external_id, status, rank, threshold, name_fr, name_en, benefits)
values ('tie_1', 'gold', :status, 1, 100, 'Or', 'Gold', '{"multiplier_percent": 150, "entitlements": []}')
"""
STANDING = "insert into tier_standings (member_id, tier_id, since) values (:member, 'tie_1', now())"
REGULARS = """
insert into segments (id, external_id, name_fr, name_en, kind, member_count, entered_count, left_count)
values ('seg_1', 'regulars', 'Habitués', 'Regulars', 'static', 0, 0, 0)
"""
REGULAR = "insert into segment_members (segment_id, member_id, since) values ('seg_1', :member, now())"


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


async def a_draft(world: ApiWorld, **spec: Any) -> str:
    fields = {"external_id": "bonus", "fixed": {"tokens": 5}} | spec
    return str((await world.made("operator", "/earning-rules", fields))["id"])


async def activated(world: ApiWorld, **spec: Any) -> str:
    rule_id = await a_draft(world, **spec)
    await world.made("operator", f"/earning-rules/{rule_id}/activate", None)
    return rule_id


async def test_one_version_is_read_with_all_that_it_says(world: ApiWorld) -> None:
    said = {"window": {"weekdays": ["sat", "sun"]}, "audience": {"channels": ["web", "pos"]}, "priority": 7}
    rule_id = await a_draft(world, **said)
    rule = (await world.get("auditor", f"/earning-rules/{rule_id}")).json()
    assert (rule["status"], rule["trigger"], rule["spec"]["priority"]) == ("draft", "sale", 7)
    assert rule["spec"]["audience"]["channels"] == ["pos", "web"]
    assert rule["spec"]["window"] == {"weekdays": ["sat", "sun"]}
    assert (await world.get("auditor", f"/earning-rules/rul_{'0' * 26}")).status_code == 404


async def test_lists_are_narrowed(world: ApiWorld) -> None:
    birthday = await activated(world, trigger="birthday", issuer_partner_id=world.ids["partner_a"])
    draft = await a_draft(world, external_id="other")

    async def ids(**filters: str) -> list[str]:
        return [rule["id"] for rule in (await world.get("auditor", "/earning-rules", **filters)).json()["data"]]

    assert await ids(trigger="birthday") == [birthday]
    assert await ids(status="draft") == [draft]
    assert await ids(external_id="base", status="active") == [world.ids["rule"]]
    assert await ids(external_id="nobody") == []
    assert (await world.get("auditor", "/earning-rules", trigger="moon")).status_code == 422


async def test_a_rule_that_is_ended_pays_no_longer_and_may_come_back(world: ApiWorld) -> None:
    rule_id = await activated(world)
    assert (await world.made("partner_a", "/sales", world.a_sale()))["tokens"] == 17
    for _ in range(2):
        ended = await world.made("operator", f"/earning-rules/{rule_id}/deactivate", None)
        assert ended["status"] == "inactive"
    assert (await world.made("partner_a", "/sales", world.a_sale()))["tokens"] == 12
    await world.made("operator", f"/earning-rules/{rule_id}/activate", None)
    assert (await world.made("partner_a", "/sales", world.a_sale()))["tokens"] == 17
    acts = await world.hand.rows("select action from journal_entries where subject_id = :id order by id", id=rule_id)
    assert [act.action for act in acts] == ["rule.created", "rule.activated", "rule.deactivated", "rule.activated"]


async def test_a_draft_cannot_be_ended(world: ApiWorld) -> None:
    response = await world.post("operator", f"/earning-rules/{await a_draft(world)}/deactivate")
    assert (response.status_code, response.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("spec", "pointer"),
    [
        ({"audience": {"tiers": ["gold"]}}, "/audience/tiers"),
        ({"audience": {"segments": ["regulars"]}}, "/audience/segments"),
        ({"audience": {"partners": ["par_none"]}}, "/audience/partners"),
        ({"audience": {"locations": ["loc_none"]}}, "/audience/locations"),
        ({"issuer_partner_id": f"par_{'0' * 26}"}, "/issuer_partner_id"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_what_a_rule_names_must_exist_when_it_begins(world: ApiWorld, spec: dict[str, Any], pointer: str) -> None:
    rule_id = await a_draft(world, **spec)
    response = await world.post("operator", f"/earning-rules/{rule_id}/activate")
    assert (response.status_code, [error["pointer"] for error in response.json()["errors"]]) == (422, [pointer])
    assert (await world.get("auditor", f"/earning-rules/{rule_id}")).json()["status"] == "draft"


async def test_a_retired_tier_is_no_audience(world: ApiWorld) -> None:
    await world.hand.write(GOLD, status="retired")
    rule_id = await a_draft(world, audience={"tiers": ["gold"]})
    assert (await world.post("operator", f"/earning-rules/{rule_id}/activate")).status_code == 422


async def test_tiers_and_segments_decide_for_whom_a_rule_is(world: ApiWorld) -> None:
    await world.hand.write(GOLD, status="active")
    await world.hand.write(REGULARS)
    await activated(world, external_id="gold", audience={"tiers": ["gold"]})
    await activated(world, external_id="regulars", audience={"segments": ["regulars"]})
    await activated(world, external_id="by-tier", fixed=None, multiplier={"by_tier": True})
    assert (await world.made("partner_a", "/sales", world.a_sale()))["tokens"] == 12
    await world.hand.write(STANDING, member=world.ids["member_a"])
    assert (await world.made("partner_a", "/sales", world.a_sale()))["tokens"] == 12 + 5 + 8
    await world.hand.write(REGULAR, member=world.ids["member_a"])
    assert (await world.made("partner_a", "/sales", world.a_sale()))["tokens"] == 12 + 5 + 5 + 11


async def test_partners_and_places_decide_where_a_rule_is(world: ApiWorld) -> None:
    await activated(world, external_id="a", audience={"partners": [world.ids["partner_a"]]})
    await activated(world, external_id="main", audience={"locations": [world.ids["location"]]})
    assert (await world.made("partner_b", "/sales", world.a_sale()))["tokens"] == 12
    assert (await world.made("partner_a", "/sales", world.a_sale()))["tokens"] == 17
    assert (await world.made("partner_a", "/sales", world.a_sale(location_id=world.ids["location"])))["tokens"] == 22


async def test_two_exclusive_rules_of_one_group_need_two_priorities(world: ApiWorld) -> None:
    alone = {"stacking": "exclusive", "stacking_group": "promo", "priority": 3}
    await activated(world, external_id="one", **alone)
    other = await a_draft(world, external_id="two", **alone)
    response = await world.post("operator", f"/earning-rules/{other}/activate")
    assert (response.status_code, response.json()["code"]) == (409, "priority_taken")
    assert response.json()["errors"][0]["pointer"] == "/priority"
    await activated(world, external_id="one", **alone)
    await activated(world, external_id="three", **alone | {"priority": 4})
    await activated(world, external_id="four", **alone | {"stacking_group": "other"})


@pytest.mark.parametrize(
    ("spec", "pointer"),
    [
        ({"fixed": None}, "/rate"),
        ({"rate": {"tokens": 1, "per_minor": 1}}, "/rate"),
        ({"amount": "1"}, "/fixed"),
        ({"window": {"starts_at": "2026-01-02T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"}}, "/window/ends_at"),
        ({"window": {"hours": [{"starts": "08:00", "ends": "08:00"}]}}, "/window/hours/0/ends"),
        ({"window": {"hours": [{"starts": "24:00", "ends": "08:00"}]}}, "/window/hours/0/starts"),
        ({"window": {"weekdays": ["lundi"]}}, "/window/weekdays/0"),
        ({"limits": [{"per": "member", "period": "day"}]}, "/limits/0"),
        ({"limits": [{"per": "member", "period": "hour", "uses": 1}]}, "/limits/0/period"),
        ({"trigger": "birthday", "minimum_minor": 5}, "/minimum_minor"),
        ({"trigger": "birthday", "included_skus": ["a"]}, "/included_skus"),
        ({"trigger": "birthday", "fixed": {"tokens": 1, "per": "item"}}, "/fixed/per"),
        ({"trigger": "birthday", "first_only": True}, "/first_only"),
        ({"trigger": "moon"}, "/trigger"),
        ({"fixed": None, "multiplier": {}}, "/multiplier/percent"),
        ({"fixed": None, "multiplier": {"percent": 200, "by_tier": True}}, "/multiplier/percent"),
        ({"condition": "amount_minor >"}, "/condition"),
        ({"condition": "amount_minor > 1.5"}, "/condition"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_a_rule_that_contradicts_itself_is_refused(world: ApiWorld, spec: dict[str, Any], pointer: str) -> None:
    before = await world.fingerprint()
    response = await world.post("operator", "/earning-rules", {"external_id": "x", "fixed": {"tokens": 5}} | spec)
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == pointer
    assert await world.fingerprint() == before


async def test_a_rule_promises_no_less_than_the_deployed_contract_guarantees(world: ApiWorld) -> None:
    """Asked again at activation, for the draft may be older than the contract."""
    short = {"expiry": {"mode": "rolling", "amount": 59}}
    before = await a_draft(world, **short)
    await world.deploy()
    body = {"external_id": "other", "fixed": {"tokens": 5}}
    for path, said in (("/earning-rules", body | short), (f"/earning-rules/{before}/activate", None)):
        refused = await world.post("operator", path, said)
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "shorter_than_guaranteed")
    await world.made("operator", "/earning-rules", body | {"expiry": {"mode": "rolling", "amount": 60}})
    plain = await world.made("operator", "/earning-rules", body)
    assert (await world.post("operator", f"/earning-rules/{plain['id']}/activate")).status_code == 200
