"""Whatever the body, a clear problem document, never a 5xx, and nothing changed."""

from typing import Any

import httpx
import pytest

from api.authorisation import EXPECTED
from api.goods import OPTIONAL_FIELDS
from api.hostile import JSON, corpus, encodings, media, text
from api.world import SOLD_AT, ApiWorld


def full_sale(world: ApiWorld) -> dict[str, Any]:
    line = {"sku": "bread", "category": "food", "quantity": 2, "discount_minor": 10, "tax_minor": 5}
    return world.a_sale(
        partner_id=world.ids["partner_a"],
        location_id=world.ids["location"],
        staff_id=world.ids["staff"],
        shipping_minor=100,
        lines=[line | {"unit_price_minor": 300}, line | {"amount_minor": 700}],
    )


async def right_request(world: ApiWorld, route: str) -> tuple[str, dict[str, Any]]:
    """A request that is right, with every field that the route knows."""
    path, body = await EXPECTED[route].build(world)
    if route == "POST /api/v1/sales":
        return path, full_sale(world)
    if route == "POST /api/v1/sales/batch":
        return path, {"sales": [full_sale(world), full_sale(world)]}
    optional: dict[str, dict[str, Any]] = {
        "POST /api/v1/members": {"display_name": "Ada", "email": "ada@example.org", "locale": "en"},
        "POST /api/v1/earning-rules": {
            "basis": "pre_discount", "include_tax": False, "include_shipping": True, "excluded_skus": ["gift"],
            "excluded_categories": ["tobacco"], "minimum_minor": 100,
        },
        "POST /api/v1/rewards": {"stock": 5, "validity_days": 30, "status": "active"},
        "POST /api/v1/partners": {"allowance_tokens": 1_000, "period_cap_tokens": 100},
        "PUT /api/v1/partners/{partner_id}/allowance": {"period_cap_tokens": 100},
        "POST /api/v1/partners/{partner_id}/staff": {"location_id": world.ids["location"]},
        "POST /api/v1/partners/{partner_id}/api-keys": {
            "role": "staff", "staff_id": world.ids["staff"], "scopes": ["sales:write"], "mode": "test",
            "expires_at": "2099-01-01T00:00:00Z",
        },
        "POST /api/v1/api-keys": {"scopes": ["sales:read"], "mode": "test", "expires_at": "2099-01-01T00:00:00Z"},
        "POST /api/v1/members/{member_id}/redemptions": {"external_id": "mine-1"},
        "PATCH /api/v1/members/{member_id}": {
            "display_name": "Ada", "email": "ada@example.org", "phone": "+33612345678", "birth_date": "1990-02-28",
            "labels": ["vip"],
        },
        "PATCH /api/v1/program": {
            "name_fr": "Nous", "name_en": "We", "activation": {"mode": "delay", "delay_s": 86_400},
            "return_policy": "debt",
        },
        "PATCH /api/v1/rewards/{reward_id}": {
            "name_fr": "Un thé", "name_en": "A tea", "price_tokens": 60, "stock": 5, "validity_days": 30,
            "status": "active", "brand": "Kusmi", "labels": ["hot"], "featured_position": 1,
            "visible_from": "2026-01-01T00:00:00Z", "audience": {"channels": ["web"]},
            "limits": [{"per": "member", "pieces": 1, "period": "day"}],
        },
        "PUT /api/v1/earning-terms": {
            "win_back_after_days": 60, "claim_within_days": 30, "referral_minimum_minor": 2_000,
            "referral_within_days": 90, "referral_return_days": 30, "referral_cap": 10,
            "referral_cap_period": "month", "referral_link_base": "https://shop.example/r/",
        },
        "POST /api/v1/sales/{sale_id}/returns": {"staff_id": world.ids["staff"]},
    } | OPTIONAL_FIELDS  # fmt: skip
    return path, body | optional.get(route, {})


BODILESS = frozenset({
    "POST /api/v1/earning-rules/{rule_id}/activate",
    "POST /api/v1/earning-rules/{rule_id}/deactivate",
    "POST /api/v1/code-pools/{pool_id}/close",
    "POST /api/v1/entries/{entry_id}/activate",
    "POST /api/v1/members/{member_id}/referral-code",
    "POST /api/v1/members/{member_id}/redemption-codes",
    "POST /api/v1/objects/{code}/activate",
    "POST /api/v1/redemptions/{redemption_id}/links",
    "POST /api/v1/tiers/preview",
    "POST /api/v1/segments/{segment_id}/refresh",
})  # fmt: skip
RAW = frozenset({"POST /api/v1/files"})
"""Their bodies are files, and no documents: what is wrong with those is tried where files are."""
BODY_ROUTES = sorted(
    route for route in EXPECTED if route.partition(" ")[0] in {"POST", "PUT", "PATCH"} and route not in BODILESS | RAW
)
MAY_BE_EMPTY = frozenset({
    "PATCH /api/v1/members/{member_id}", "PATCH /api/v1/program", "PATCH /api/v1/rewards/{reward_id}",
    "PUT /api/v1/earning-terms",
})  # fmt: skip
"""An empty object is a right body of theirs: it changes nothing, or goes back to every default."""
NEVER = {"POST /api/v1/members/{member_id}/gifts": "transfers_closed"}
"""Right bodies that are refused all the same: the contract decides."""
COUNTS_OF_GUESSES = frozenset({"attempts", "redemption_code_misses"})
"""What must grow when somebody types a wrong code."""


async def untouched(world: ApiWorld) -> dict[str, tuple[int, str]]:
    found = await world.fingerprint()
    assert found.keys() >= COUNTS_OF_GUESSES
    return {table: rows for table, rows in found.items() if table not in COUNTS_OF_GUESSES}


def fault(response: httpx.Response) -> str | None:
    """What is wrong with a refusal, None where it is as it must be."""
    if not 400 <= response.status_code < 500:
        return f"status {response.status_code}"
    if response.headers["content-type"] != "application/problem+json":
        return "no problem document"
    problem = response.json()
    if problem["status"] != response.status_code or problem["request_id"] != response.headers["x-request-id"]:
        return "the document says something else than the response"
    return None


@pytest.mark.parametrize("route", BODY_ROUTES)
async def test_hostile_bodies_are_refused_and_change_nothing(world: ApiWorld, route: str) -> None:
    path, body = await right_request(world, route)
    hostile = [case for case in corpus(body) if not (case.content == b"{}" and route in MAY_BE_EMPTY)]
    assert len(hostile) >= 170
    before = await untouched(world)
    faults = {}
    for case in hostile:
        response = await world.send(
            "operator", route.partition(" ")[0], path, content=case.content, headers=case.headers
        )
        if found := fault(response):
            faults[case.name] = found
    assert faults == {}
    assert await untouched(world) == before
    twin = await world.send("operator", route.partition(" ")[0], path, body)
    assert twin.status_code in {200, 201, 202} or twin.json()["code"] == NEVER.get(route), twin.text


@pytest.mark.parametrize("route", sorted(BODILESS))
async def test_a_body_that_nobody_asked_for_is_not_read(world: ApiWorld, route: str) -> None:
    expected = EXPECTED[route]
    who = next(name for name in ("operator", "member_a") if expected.status_for(name) < 300)
    path, body = await expected.build(world)
    assert body is None
    unasked = [*encodings("{}"), *media("{}"), text("deep", "[" * 30_000), text("long", "x" * (2 * 1024 * 1024))]
    answers = set()
    for case in unasked:
        answers.add((await world.send(who, "POST", path, content=case.content, headers=case.headers)).status_code)
    assert answers == {expected.status_for(who)}


async def test_every_route_with_a_body_is_attacked(world: ApiWorld) -> None:
    document = (await world.get(None, "/openapi.json")).json()
    with_body = {
        f"{verb.upper()} {path}"
        for path, operations in document["paths"].items()
        for verb, operation in operations.items()
        if "requestBody" in operation
    }
    assert with_body == set(BODY_ROUTES) | RAW


async def test_pointers_name_the_place(world: ApiWorld) -> None:
    sale = world.a_sale(lines=[{"sku": "a", "amount_minor": 1}, {"sku": "b", "amount_minor": "1", "a/b~c": 1}])
    response = await world.post("partner_a", "/sales", sale)
    assert response.status_code == 422
    assert [(error["pointer"], error["code"]) for error in response.json()["errors"]] == [
        ("/lines/1/amount_minor", "int_type"),
        ("/lines/1/a~1b~0c", "extra_forbidden"),
    ]


async def test_a_refusal_does_not_repeat_what_was_sent(world: ApiWorld) -> None:
    response = await world.post("partner_a", "/members", {"external_id": "x", "email": "Ada Lovelace, London"})
    assert response.status_code == 422
    assert "Lovelace" not in response.text


async def test_a_body_in_chunks_is_measured_while_it_comes(world: ApiWorld) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while sent < 100:
            sent += 1
            yield b" " * 8_192

    response = await world.send("partner_a", "POST", "/sales", content=endless(), headers=JSON)
    assert (response.status_code, response.json()["code"]) == (413, "payload_too_large")
    assert sent <= 10


async def test_a_stated_length_beyond_the_limit_is_refused_unread(world: ApiWorld) -> None:
    for length in ("65537", "9" * 30):
        headers = JSON | {"content-length": length}
        response = await world.send("partner_a", "POST", "/sales", content=b"{}", headers=headers)
        assert response.status_code == 413


async def test_the_batch_route_takes_longer_bodies(world: ApiWorld) -> None:
    sales = [world.a_sale(lines=[{"sku": "s" * 60, "amount_minor": 100}] * 10) for _ in range(100)]
    assert len(str(sales)) > 64 * 1024
    response = await world.post("partner_a", "/sales/batch", {"sales": sales})
    assert response.status_code == 200
    assert {item["status"] for item in response.json()["results"]} == {201}


@pytest.mark.parametrize(
    "at",
    [
        "2026-01-05T09:30:00", "2026-01-05", "2026-01-05T09:30:00Z\n", "2026-02-30T00:00:00Z", "2026-01-05T24:00:00Z",
        "2026-01-05T23:59:60Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1969-12-31T23:59:59Z",
        "2026-01-05T09:30:00+24:00", "2026-01-05T09:30:00.Z", "\N{FULLWIDTH DIGIT TWO}026-01-05T09:30:00Z",
        "1767605400", "2026-W02-1",
        "2026-01-05 09:30:00Z", "2026-01-05T09:30Z", "2999-01-01T00:00:00Z",
    ],
)  # fmt: skip
async def test_times_are_rfc_3339_or_refused(world: ApiWorld, at: str) -> None:
    response = await world.post("partner_a", "/sales", world.a_sale(occurred_at=at))
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/occurred_at"


@pytest.mark.parametrize("at", [SOLD_AT, "2026-01-05T10:30:00+01:00", "2026-01-05t09:30:00.123456789z"])
async def test_times_with_an_offset_are_understood(world: ApiWorld, at: str) -> None:
    sale = await world.made("partner_a", "/sales", world.a_sale(occurred_at=at))
    shown = (await world.get("partner_a", f"/sales/{sale['id']}")).json()["occurred_at"]
    assert shown.startswith("2026-01-05T09:30:00")
    assert shown.endswith("Z")
