"""API keys over HTTP: shown once, bounded by who grants them, and dead soon after their revocation."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, client_of, serve
from mereau.auth.dependencies import CACHE_TTL_S, Keyring, _Allowed
from mereau.auth.domain import Role, Scope, format_key
from mereau.core.clock import ManualClock
from mereau.core.errors import UnauthenticatedError
from mereau.core.http import make_site, site_of

REVOKED_WITHIN_S = 5.0


def keys_of(world: ApiWorld, letter: str = "a") -> str:
    return f"/partners/{world.ids[f'partner_{letter}']}/api-keys"


async def test_a_new_key_works_and_is_shown_once(world: ApiWorld) -> None:
    response = await world.post("partner_a", keys_of(world), {"name": "Till 4", "scopes": ["sales:write"]})
    made = response.json()
    assert (response.status_code, response.headers["cache-control"]) == (201, "no-store")
    assert (made["role"], made["scopes"], made["partner_id"]) == ("partner", ["sales:write"], world.ids["partner_a"])
    world.keys["till"] = made["key"]
    assert (await world.post("till", "/sales", world.a_sale())).status_code == 201
    assert (await world.get("till", "/rewards")).status_code == 403
    listed = await world.get("partner_a", "/api-keys")
    assert made["key"] not in listed.text
    assert made["hint"] in listed.text


async def test_a_staff_key_signs_with_its_person(world: ApiWorld) -> None:
    body = {"name": "Lou", "role": "staff", "staff_id": world.ids["staff"]}
    world.keys["lou"] = (await world.made("partner_a", keys_of(world), body))["key"]
    sale = await world.made("lou", "/sales", world.a_sale())
    assert (await world.get("operator", f"/sales/{sale['id']}")).json()["staff_id"] == world.ids["staff"]


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"role": "staff"}, 422, "/staff_id"),
        ({"role": "staff", "staff_id": "stf_01K9Q2M4T6V8X0Z2B4D6F8H0J2"}, 422, "/staff_id"),
        ({"role": "operator"}, 422, "/role"),
        ({"scopes": ["partners:write"]}, 403, "/scopes"),
        ({"scopes": ["ledger:read"]}, 403, "/scopes"),
        ({"scopes": ["moon:write"]}, 422, "/scopes/0"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, 422, "/expires_at"),
    ],
)
async def test_a_partner_cannot_make_any_key(world: ApiWorld, body: dict[str, Any], status: int, pointer: str) -> None:
    before = await world.fingerprint()
    response = await world.post("partner_a", keys_of(world), {"name": "x"} | body)
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (status, pointer)
    assert await world.fingerprint() == before


async def test_a_narrow_key_cannot_widen_itself(world: ApiWorld) -> None:
    narrow = {"name": "keys only", "scopes": ["keys:write", "sales:read"]}
    world.keys["narrow"] = (await world.made("partner_a", keys_of(world), narrow))["key"]
    wider = await world.post("narrow", keys_of(world), {"name": "x", "scopes": ["sales:write"]})
    assert (wider.status_code, wider.json()["code"]) == (403, "excessive_scope")
    same = await world.made("narrow", keys_of(world), {"name": "x"})
    assert same["scopes"] == ["keys:write", "sales:read"]


async def test_an_operator_makes_keys_for_everybody(world: ApiWorld) -> None:
    partner, staff, member = world.ids["partner_a"], world.ids["staff"], world.ids["member_a"]
    for body in (
        {"role": "operator"},
        {"role": "auditor", "mode": "test"},
        {"role": "partner", "partner_id": partner},
        {"role": "staff", "partner_id": partner, "staff_id": staff},
        {"role": "member", "member_id": member},
    ):
        made = await world.made("operator", "/api-keys", {"name": "x"} | body)
        world.keys["new"] = made["key"]
        assert made["key"].startswith(f"mk_{body.get('mode', 'live')}_")
        assert (await world.get("new", "/rewards")).status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"role": "partner", "partner_id": "par_01K9Q2M4T6V8X0Z2B4D6F8H0J2"}, "/partner_id"),
        ({"role": "member", "member_id": "mem_01K9Q2M4T6V8X0Z2B4D6F8H0J2"}, "/member_id"),
        ({"role": "auditor", "member_id": "{member_a}"}, "/member_id"),
        ({"role": "staff", "partner_id": "{partner_b}", "staff_id": "{staff}"}, "/staff_id"),
    ],
)
async def test_an_owner_must_exist_and_fit(world: ApiWorld, body: dict[str, str], pointer: str) -> None:
    filled = {name: value.format(**world.ids) for name, value in body.items()}
    response = await world.post("operator", "/api-keys", {"name": "x"} | filled)
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_lists_are_pages_without_gaps(world: ApiWorld) -> None:
    for index in range(7):
        await world.made("partner_a", keys_of(world), {"name": f"k{index}"})
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await world.get("partner_a", "/api-keys", limit=3, **cursor)).json()
        seen += [key["id"] for key in page["data"]]
        assert page["has_more"] is (page["next_cursor"] is not None)
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == sorted(set(seen), reverse=True)
    # The key of the world, the staff's, and seven more; nothing of partner B.
    assert len(seen) == 9


async def test_a_revoked_key_is_refused_by_every_worker_in_time(world: ApiWorld, engine: AsyncEngine) -> None:
    """Two applications on one database, both of which know the key; measured from the answer of the revocation."""
    made = await world.made("partner_a", keys_of(world), {"name": "short-lived"})
    async with client_of(serve(engine), made["key"]) as first, client_of(serve(engine), made["key"]) as second:
        for client in (first, second):
            assert (await client.get("/rewards")).status_code == 200
        assert (await world.send("partner_a", "DELETE", f"/api-keys/{made['id']}")).status_code == 204
        revoked_at_s = time.monotonic()
        for client in (first, second):
            while (await client.get("/rewards")).status_code != 401:
                assert time.monotonic() - revoked_at_s < REVOKED_WITHIN_S
                await asyncio.sleep(0.05)
    assert CACHE_TTL_S < REVOKED_WITHIN_S / 2


async def test_revoking_again_changes_nothing(world: ApiWorld) -> None:
    made = await world.made("partner_a", keys_of(world), {"name": "short-lived"})
    assert (await world.send("partner_a", "DELETE", f"/api-keys/{made['id']}")).status_code == 204
    before = await world.fingerprint()
    assert (await world.send("operator", "DELETE", f"/api-keys/{made['id']}")).status_code == 204
    assert await world.fingerprint() == before


@pytest.mark.parametrize("key_id", ["key_01K9Q2M4T6V8X0Z2B4D6F8H0J2", "mem_01K9Q2M4T6V8X0Z2B4D6F8H0J2", "x", "key_"])
async def test_an_unknown_key_cannot_be_revoked(world: ApiWorld, key_id: str) -> None:
    assert (await world.send("operator", "DELETE", f"/api-keys/{key_id}")).status_code == 404


async def test_the_last_operator_key_stays(world: ApiWorld) -> None:
    response = await world.send("operator", "DELETE", f"/api-keys/{world.key_ids['operator']}")
    assert (response.status_code, response.json()["code"]) == (409, "conflict")


async def test_the_keyring_asks_once_a_second_and_watches_expiry(world: ApiWorld, engine: AsyncEngine) -> None:
    now = datetime.now(UTC)
    clock = ManualClock(now)
    site, keyring = make_site(engine, clock), Keyring(ttl_s=60)
    await world.add_key("brief", Role.AUDITOR, expires_at=now + timedelta(minutes=1))
    header = f"Bearer {world.keys['brief']}"
    first = await keyring.authenticate(site, header)
    assert await keyring.authenticate(site, header) is first
    clock.advance(timedelta(minutes=1))
    with pytest.raises(UnauthenticatedError):
        await keyring.authenticate(site, header)


async def test_the_keyring_forgets_the_oldest(
    world: ApiWorld, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mereau.auth.dependencies._CACHE_KEYS_MAX", 1)
    site, keyring = make_site(engine, ManualClock(datetime.now(UTC))), Keyring(ttl_s=60)
    first = await keyring.authenticate(site, f"Bearer {world.keys['operator']}")
    await keyring.authenticate(site, f"Bearer {world.keys['auditor']}")
    assert await keyring.authenticate(site, f"Bearer {world.keys['operator']}") is not first


async def test_requests_that_miss_a_key_together_ask_once(world: ApiWorld, engine: AsyncEngine) -> None:
    site, keyring = make_site(engine, ManualClock(datetime.now(UTC))), Keyring()
    header = f"Bearer {world.keys['operator']}"
    tasks = [asyncio.create_task(keyring.authenticate(site, header)) for _ in range(5)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert all(principal is found[1] for principal in found[1:])
    assert not keyring._loading


async def test_unknown_keys_are_not_remembered(world: ApiWorld, engine: AsyncEngine) -> None:
    keyring = Keyring()
    with pytest.raises(UnauthenticatedError):
        await keyring.authenticate(
            make_site(engine, ManualClock(datetime.now(UTC))), f"Bearer {format_key('live', bytes(32))}"
        )
    assert not keyring._known


async def test_an_application_that_nobody_composed_is_a_bug(world: ApiWorld) -> None:
    request: Any = type(
        "Request", (), {"app": type("App", (), {"state": type("State", (), {"keyring": None, "site": None})})}
    )
    with pytest.raises(TypeError):
        await _Allowed(Scope.SALES_READ)(request)
    with pytest.raises(TypeError):
        site_of(request)
