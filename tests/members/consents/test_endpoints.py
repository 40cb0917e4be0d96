"""Consents over HTTP: append-only, and the last word counts."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world

YES = {
    "kind": "newsletter", "state": "given", "occurred_at": "2026-01-05T10:00:00Z", "source": "web_form",
    "text_version": "2026-01",
}  # fmt: skip
NO = YES | {"state": "withdrawn", "occurred_at": "2026-01-07T10:00:00Z"}


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


def path(world: ApiWorld, member: str = "member_a") -> str:
    return f"/members/{world.ids[member]}/consents"


async def told(world: ApiWorld) -> list[str]:
    rows = await world.hand.rows("select type from outbox_events where type like 'consent.%' order by seq")
    return [row.type for row in rows]


async def current(world: ApiWorld) -> dict[str, str]:
    rows = (await world.get("member_a", path(world), current="true")).json()["data"]
    return {row["kind"]: row["state"] for row in rows}


async def test_records_stay_and_the_last_word_counts(world: ApiWorld) -> None:
    first = await world.post("member_a", path(world), YES)
    await world.made("member_a", path(world), NO)
    await world.made("partner_a", path(world), YES | {"kind": "terms"})
    history = (await world.get("operator", path(world))).json()["data"]
    assert first.status_code == 201
    assert [(row["kind"], row["state"]) for row in history] == [
        ("terms", "given"), ("newsletter", "withdrawn"), ("newsletter", "given"),
    ]  # fmt: skip
    assert await current(world) == {"newsletter": "withdrawn", "terms": "given"}


async def test_the_same_again_is_the_same_record(world: ApiWorld) -> None:
    first = await world.made("member_a", path(world), YES)
    before = await world.fingerprint()
    again = await world.post("member_a", path(world), YES)
    assert (again.status_code, again.json()) == (200, first)
    other = await world.post("member_a", path(world), YES | {"state": "withdrawn"})
    assert other.status_code == 409
    assert await world.fingerprint() == before


async def test_only_what_changes_the_last_word_is_announced(world: ApiWorld) -> None:
    """History that is handed in late pays no newsletter bonus."""
    await world.made("member_a", path(world), NO)
    assert await told(world) == [], "never to have said yes is no"
    await world.made("member_a", path(world), YES)
    assert await told(world) == [], "it was withdrawn later"
    await world.made("member_a", path(world), YES | {"occurred_at": "2026-01-08T10:00:00Z"})
    await world.made("member_a", path(world), YES | {"occurred_at": "2026-01-09T10:00:00Z"})
    await world.made("member_a", path(world), NO | {"occurred_at": "2026-01-10T10:00:00Z"})
    assert await told(world) == ["consent.given", "consent.withdrawn"]


async def test_ten_at_once_are_one_record(world: ApiWorld) -> None:
    answers = await asyncio.gather(*(world.post("member_a", path(world), YES) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await told(world) == ["consent.given"]


@pytest.mark.parametrize("who", ["member_b", "partner_b"])
async def test_anothers_member_does_not_exist(world: ApiWorld, who: str) -> None:
    assert (await world.post(who, path(world), YES)).status_code == 404
    assert (await world.get(who, path(world))).status_code == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "cookies"), ("state", "perhaps"), ("source", ""), ("text_version", "x" * 65),
        ("occurred_at", "2026-01-05"), ("occurred_at", "2099-01-05T10:00:00Z"), ("recorded_by", "me"),
    ],
)  # fmt: skip
async def test_wrong_fields_are_named(world: ApiWorld, field: str, value: Any) -> None:
    before = await world.fingerprint()
    response = await world.post("member_a", path(world), YES | {field: value})
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, f"/{field}")
    assert await world.fingerprint() == before


async def test_a_page_at_a_time(world: ApiWorld) -> None:
    for hour in range(3):
        await world.made("member_a", path(world), YES | {"occurred_at": f"2026-01-05T1{hour}:00:00Z"})
    page = (await world.get("member_a", path(world), limit=2)).json()
    rest = (await world.get("member_a", path(world), limit=2, cursor=page["next_cursor"])).json()
    assert [len(page["data"]), len(rest["data"]), rest["has_more"]] == [2, 1, False]
