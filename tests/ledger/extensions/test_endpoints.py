"""Extensions over HTTP: what an operator asks for once happens once, and what makes no sense is named."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    """Member A's 120 tokens expire in thirty days."""
    async with open_world(engine) as world:
        await world.hand.write("update lots set expires_at = :at", at=datetime.now(UTC) + timedelta(days=30))
        yield world


def of(world: ApiWorld, member: str = "member_a") -> str:
    return f"/members/{world.ids[member]}/extensions"


def a_wish(**changes: Any) -> dict[str, Any]:
    return {"until": (datetime.now(UTC) + timedelta(days=400)).isoformat(), "reason_code": "closure"} | changes


async def test_the_member_sees_the_later_date_and_why(world: ApiWorld) -> None:
    body = a_wish()
    extended = await world.made("operator", of(world), body)
    assert (extended["lots"], extended["tokens"]) == (1, 120)
    path = f"/members/{world.ids['member_a']}"
    entry = (await world.get("member_a", f"{path}/entries")).json()["data"][0]
    assert (entry["id"], entry["kind"], entry["status"], entry["reason_code"]) == (
        extended["id"], "extend", "final", "closure",
    )  # fmt: skip
    (lot,) = (await world.get("member_a", f"{path}/lots")).json()["data"]
    assert datetime.fromisoformat(lot["expires_at"]) == datetime.fromisoformat(body["until"])
    balance = (await world.get("member_a", f"{path}/balance")).json()
    assert (balance["available"], balance["expiring_next"]["at"]) == (120, lot["expires_at"])


async def test_one_key_extends_once(world: ApiWorld) -> None:
    body = a_wish()
    first = await world.post("operator", of(world), body, key="k-1")
    again = await world.post("operator", of(world), body, key="k-1")
    assert (first.status_code, again.content) == (201, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert (await world.post("operator", of(world), body, key="k-2")).status_code == 409


@pytest.mark.parametrize(
    ("changes", "status", "pointers"),
    [
        ({"until": "2026-01-01T00:00:00Z"}, 422, ["/until"]),
        ({"until": "2100-01-01T00:00:00Z"}, 422, ["/until"]),
        ({"until": "tomorrow"}, 422, ["/until"]),
        ({"reason_code": "because"}, 422, ["/reason_code"]),
        ({"until": (datetime.now(UTC) + timedelta(days=3)).isoformat()}, 409, []),
    ],
)
async def test_what_cannot_be_changes_nothing(
    world: ApiWorld, changes: dict[str, Any], status: int, pointers: list[str]
) -> None:
    before = await world.fingerprint()
    answer = await world.post("operator", of(world), a_wish(**changes))
    assert answer.status_code == status
    assert [found["pointer"] for found in answer.json()["errors"]] == pointers
    assert await world.fingerprint() == before


async def test_who_has_nothing_gets_no_time(world: ApiWorld) -> None:
    assert (await world.post("operator", of(world, "member_b"), a_wish())).status_code == 409
    assert (await world.post("operator", "/members/mem_x/extensions", a_wish())).status_code == 404
