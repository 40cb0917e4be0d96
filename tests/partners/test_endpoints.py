"""/partners over HTTP: registration, limits, locations and staff."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


SHOP = {"external_id": "books", "name": "Books", "allowance_tokens": 1_000, "period_cap_tokens": None}


async def admin_orders(world: ApiWorld) -> int:
    return sum(order.kind == "admin" for order in (await world.hand.orders()).values())


async def walked(world: ApiWorld, who: str, path: str) -> list[Any]:
    seen: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await world.get(who, path, limit=1, **cursor)).json()
        seen += page["data"]
        if not page["has_more"]:
            return seen
        cursor = {"cursor": page["next_cursor"]}


async def test_a_partner_is_numbered_and_ordered_on_chain(world: ApiWorld) -> None:
    before = await admin_orders(world)
    partner = await world.made("operator", "/partners", SHOP)
    assert (partner["number"], partner["status"]) == (3, "active")
    assert {name: partner[name] for name in SHOP} == SHOP
    assert await admin_orders(world) == before + 1


async def test_a_taken_external_id_is_a_conflict(world: ApiWorld) -> None:
    before = await world.fingerprint()
    response = await world.post("operator", "/partners", SHOP | {"external_id": "shop-a"})
    assert (response.status_code, response.json()["code"]) == (409, "conflict")
    assert await world.fingerprint() == before


async def test_lists_go_by_number_and_partners_see_themselves(world: ApiWorld) -> None:
    await world.made("operator", "/partners", SHOP)
    assert [partner["number"] for partner in await walked(world, "auditor", "/partners")] == [1, 2, 3]
    for who in ("partner_a", "staff"):
        assert [partner["id"] for partner in await walked(world, who, "/partners")] == [world.ids["partner_a"]]


async def test_a_new_allowance_is_ordered_once(world: ApiWorld) -> None:
    path = f"/partners/{world.ids['partner_a']}/allowance"
    before = await admin_orders(world)
    for _ in range(2):
        response = await world.send("operator", "PUT", path, {"allowance_tokens": 5, "period_cap_tokens": 3})
        assert (response.status_code, response.json()["allowance_tokens"]) == (200, 5)
    assert await admin_orders(world) == before + 1
    response = await world.send("operator", "PUT", path, {"allowance_tokens": None, "period_cap_tokens": None})
    assert (response.json()["period_cap_tokens"], await admin_orders(world)) == (None, before + 2)


@pytest.mark.parametrize("body", [{}, {"allowance_tokens": 1}, {"period_cap_tokens": 1}])
async def test_both_limits_must_be_said(world: ApiWorld, body: dict[str, int]) -> None:
    path = f"/partners/{world.ids['partner_a']}/allowance"
    assert (await world.send("operator", "PUT", path, body)).status_code == 422


@pytest.mark.parametrize("partner_id", ["par_01K9Q2M4T6V8X0Z2B4D6F8H0J2", "par_1", "mem_01K9Q2M4T6V8X0Z2B4D6F8H0J2"])
async def test_an_unknown_partner_is_not_found(world: ApiWorld, partner_id: str) -> None:
    limits = {"allowance_tokens": 5, "period_cap_tokens": 3}
    assert (await world.send("operator", "PUT", f"/partners/{partner_id}/allowance", limits)).status_code == 404
    for what in ("locations", "staff"):
        assert (await world.get("operator", f"/partners/{partner_id}/{what}")).status_code == 404
    place = {"external_id": "x", "name": "X"}
    assert (await world.post("operator", f"/partners/{partner_id}/locations", place)).status_code == 404
    assert (await world.post("operator", f"/partners/{partner_id}/api-keys", {"name": "x"})).status_code == 404


async def test_locations_and_staff_are_listed_by_age(world: ApiWorld) -> None:
    shop = f"/partners/{world.ids['partner_a']}"
    second = await world.made("partner_a", f"{shop}/locations", {"external_id": "second", "name": "Second"})
    person = await world.made(
        "partner_a", f"{shop}/staff", {"external_id": "emp-2", "display_name": "Max", "location_id": second["id"]}
    )
    assert [place["id"] for place in await walked(world, "staff", f"{shop}/locations")] == [
        world.ids["location"], second["id"],
    ]  # fmt: skip
    assert (await walked(world, "auditor", f"{shop}/staff"))[1] == person
    assert (person["location_id"], person["status"]) == (second["id"], "active")


async def test_names_within_a_partner_are_taken_once(world: ApiWorld) -> None:
    shop_a, shop_b = (f"/partners/{world.ids[f'partner_{letter}']}" for letter in "ab")
    place, person = {"external_id": "main", "name": "Main"}, {"external_id": "emp-1", "display_name": "Lou"}
    assert (await world.post("partner_a", f"{shop_a}/locations", place)).status_code == 409
    assert (await world.post("partner_a", f"{shop_a}/staff", person)).status_code == 409
    assert (await world.post("partner_b", f"{shop_b}/locations", place)).status_code == 201
    assert (await world.post("partner_b", f"{shop_b}/staff", person)).status_code == 201


async def test_staff_cannot_work_at_anothers_location(world: ApiWorld) -> None:
    body = {"external_id": "emp-9", "display_name": "Eve", "location_id": world.ids["location"]}
    response = await world.post("partner_b", f"/partners/{world.ids['partner_b']}/staff", body)
    assert response.status_code == 404
