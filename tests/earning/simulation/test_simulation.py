"""Dry runs tell what would happen, happen as they told, and write nothing."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world

DOUBLE = {"external_id": "double", "multiplier": {"percent": 200}}


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


async def tried(world: ApiWorld, **body: Any) -> dict[str, Any]:
    response = await world.post("operator", "/earning-rules/simulate", body)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def a_rule(world: ApiWorld, *, active: bool = True, **spec: Any) -> dict[str, Any]:
    rule = await world.made("operator", "/earning-rules", spec)
    return await world.made("operator", f"/earning-rules/{rule['id']}/activate", None) if active else rule


async def test_a_tried_rule_stands_beside_the_active_ones_and_nothing_is_written(world: ApiWorld) -> None:
    before = await world.fingerprint()
    done = await tried(world, sale=world.a_sale(), rule=DOUBLE)
    assert (done["tokens"], done["eligible_minor"], done["skipped"]) == (24, 1_200, [])
    assert [(fired["external_id"], fired["tokens"]) for fired in done["fired"]] == [("base", 12), ("double", 12)]
    assert done["fired"][0]["line_tokens"] == [12]
    assert await world.fingerprint() == before


async def test_what_was_told_is_what_happens(world: ApiWorld) -> None:
    await a_rule(world, **DOUBLE)
    await a_rule(world, external_id="visit", fixed={"tokens": 5, "per": "visit"})
    sale = world.a_sale(partner_id=world.ids["partner_a"])
    told = await tried(world, sale=sale)
    done = await world.made("partner_a", "/sales", sale)
    assert [(fired["rule"], fired["tokens"]) for fired in told["fired"]] == [
        (award["rule"], award["tokens"]) for award in done["awards"]
    ]
    again = await tried(world, sale=world.a_sale(partner_id=world.ids["partner_a"]))
    assert [(skipped["external_id"], skipped["code"]) for skipped in again["skipped"]] == [("visit", "limit_reached")]


async def test_a_draft_takes_the_place_of_its_active_version(world: ApiWorld) -> None:
    draft = await a_rule(world, active=False, external_id="base", rate={"tokens": 3, "per_minor": 100})
    done = await tried(world, sale=world.a_sale(), rule_id=draft["id"])
    assert [(fired["rule"], fired["tokens"]) for fired in done["fired"]] == [(f"{draft['id']}@2", 36)]


async def test_without_a_member_a_newcomer_stands_in(world: ApiWorld) -> None:
    sale = world.a_sale()
    del sale["member"]
    rule = {"external_id": "welcome", "fixed": {"tokens": 100}, "first_only": True}
    assert [fired["tokens"] for fired in (await tried(world, sale=sale, rule=rule))["fired"]] == [12, 100]
    known = await tried(world, sale=world.a_sale(), rule=rule)
    assert [skipped["code"] for skipped in known["skipped"]] == ["first_only"]


async def test_other_occasions_are_tried_by_their_trigger(world: ApiWorld) -> None:
    rule = {
        "external_id": "visit", "trigger": "custom_event", "fixed": {"tokens": 7},
        "match": {"event": ["visit"]}, "issuer_partner_id": world.ids["partner_a"],
    }  # fmt: skip
    occasion = {"trigger": "custom_event", "occurred_at": "2026-01-06T10:00:00Z", "attributes": {"event": "visit"}}
    done = await tried(world, occasion=occasion, rule=rule)
    assert (done["tokens"], done["eligible_minor"], done["fired"][0]["line_tokens"]) == (7, 0, [])
    other = await tried(world, occasion=occasion | {"attributes": {"event": "call", "minutes": 3}}, rule=rule)
    assert [skipped["code"] for skipped in other["skipped"]] == ["attribute"]


@pytest.mark.parametrize(
    ("change", "status", "pointer"),
    [
        ({"sale": None}, 422, ""),
        ({"rule_id": f"rul_{'0' * 26}"}, 422, ""),
        ({"rule": DOUBLE | {"multiplier": {"percent": 100}}}, 422, "/rule/multiplier/percent"),
        ({"rule": DOUBLE | {"trigger": "birthday"}}, 422, "/rule/multiplier"),
        ({"rule": {"external_id": "x", "trigger": "birthday", "fixed": {"tokens": 1}}}, 422, "/rule/trigger"),
        ({"rule": DOUBLE | {"audience": {"tiers": ["none"]}}}, 422, "/rule/audience/tiers"),
        ({"rule": {"external_id": "x", "amount": "nope + 1"}}, 422, "/rule/amount"),
        ({"rule": None, "rule_id": f"rul_{'0' * 26}"}, 404, None),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_cannot_be_tried_is_refused(
    world: ApiWorld, change: dict[str, Any], status: int, pointer: str | None
) -> None:
    body = {"sale": world.a_sale(), "rule": DOUBLE} | change
    response = await world.post("operator", "/earning-rules/simulate", body)
    assert response.status_code == status, response.text
    assert [error["pointer"] for error in response.json()["errors"]][:1] == ([] if pointer is None else [pointer])


async def test_an_unknown_member_is_named(world: ApiWorld) -> None:
    response = await world.post(
        "operator", "/earning-rules/simulate", {"sale": world.a_sale(member={"external_id": "nobody"})}
    )
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/member")


async def test_a_trigger_without_rules_cannot_be_tried(world: ApiWorld) -> None:
    occasion = {"trigger": "birthday", "occurred_at": "2026-01-06T10:00:00Z"}
    response = await world.post("operator", "/earning-rules/simulate", {"occasion": occasion})
    assert (response.status_code, response.json()["code"]) == (409, "no_active_rule")
    sale = await world.post("operator", "/earning-rules/simulate", {"occasion": occasion | {"trigger": "sale"}})
    assert sale.status_code == 422
