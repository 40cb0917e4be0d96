"""Segments over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world
from mereau.core.clock import SystemClock
from mereau.segments import tasks

BODY = {"external_id": "fr", "name_fr": "Francophones", "name_en": "French speakers"}
FRENCH = {"locale": {"in": ["fr"]}}
UNKNOWN = "seg_01K9Q2M4T6V8X0Z2B4D6F8H0J2"


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


async def test_a_segment_is_tried_saved_filled_and_refreshed(world: ApiWorld) -> None:
    tried = await world.made("auditor", "/segments/preview", {"filter": FRENCH})
    assert tried == {"member_count": 2, "facts_as_of": None}
    made = await world.made("operator", "/segments", BODY | {"filter": FRENCH})
    assert (made["kind"], made["state"], made["member_count"]) == ("dynamic", "queued", 0)
    await tasks.refresh_due(world.engine, SystemClock().now())
    path = f"/segments/{made['id']}"
    seen = (await world.get("auditor", path)).json()
    assert (seen["state"], seen["member_count"], seen["entered_count"]) == ("idle", 2, 2)
    assert (await world.made("operator", "/segments/preview", {"filter": FRENCH}))["facts_as_of"] is not None
    asked = await world.post("operator", f"{path}/refresh")
    assert (asked.status_code, asked.json()["state"]) == (202, "queued")
    mine = (await world.get("operator", f"/members/{world.ids['member_a']}/segments")).json()
    assert [segment["external_id"] for segment in mine["data"]] == ["fr"]
    changed = await world.send("operator", "PUT", path, BODY | {"name_en": "French", "filter": FRENCH})
    assert changed.json()["name_en"] == "French"
    assert (await world.send("operator", "DELETE", path)).status_code == 204
    assert (await world.get("operator", path)).status_code == 404


async def test_lists_are_pages(world: ApiWorld) -> None:
    for index in range(3):
        made = await world.made("operator", "/segments", BODY | {"external_id": f"list-{index}"})
        await world.made("operator", f"/segments/{made['id']}/members", {"add": {"ids": [world.ids["member_a"]]}})
    for path in ("/segments", f"/members/{world.ids['member_a']}/segments"):
        page = (await world.get("auditor", path, limit=2)).json()
        rest = (await world.get("auditor", path, limit=2, cursor=page["next_cursor"])).json()
        names = [segment["external_id"] for segment in page["data"] + rest["data"]]
        assert names == ["list-0", "list-1", "list-2"]
        assert not rest["has_more"]


async def test_members_leave_as_a_file_and_it_is_noted_who_took_them(world: ApiWorld) -> None:
    made = await world.made("operator", "/segments", BODY)
    await world.hand.write("update members set email = '+ada@example.org' where id = :id", id=world.ids["member_a"])
    named = {"add": {"external_ids": ["card-a", "card-b"]}}
    assert (await world.made("operator", f"/segments/{made['id']}/members", named))["member_count"] == 2
    path = f"/segments/{made['id']}/members.csv"
    plain = await world.get("auditor", path)
    assert plain.headers["content-type"] == "text/csv; charset=utf-8"
    lines = plain.content.decode("utf-8-sig").splitlines()
    ids = sorted(((world.ids["member_a"], "card-a"), (world.ids["member_b"], "card-b")))
    assert lines == ["id;external_id", *(f"{id_};{external_id}" for id_, external_id in ids)]
    assert (await world.get("auditor", path, personal="true")).status_code == 403
    personal = (await world.get("operator", path, personal="true")).text
    assert "'+ada@example.org" in personal
    query = "select actor, detail from journal_entries where action = 'segment.exported' order by id"
    noted = await world.hand.rows(query)
    assert [(row.actor, row.detail["personal"]) for row in noted] == [
        (world.key_ids["auditor"], False),
        (world.key_ids["operator"], True),
    ]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (BODY | {"filter": {}}, "/filter"),
        (BODY | {"filter": {"any": [FRENCH, {"tier": {"in": ["gold"]}}]}}, "/filter"),
        (BODY | {"filter": {"any": [FRENCH, {"rfm": {"recency": {"max": 9}}}]}}, "/filter/any/1/rfm/recency/max"),
        (BODY | {"filter": 1}, "/filter"),
        ({"external_id": "x", "name_fr": "x"}, "/name_en"),
    ],
)
async def test_what_is_wrong_is_pointed_at_and_changes_nothing(
    world: ApiWorld, body: dict[str, Any], pointer: str
) -> None:
    before = await world.fingerprint()
    response = await world.post("operator", "/segments", body)
    assert (response.status_code, [found["pointer"] for found in response.json()["errors"]]) == (422, [pointer])
    assert await world.fingerprint() == before


async def test_refusals(world: ApiWorld) -> None:
    made = await world.made("operator", "/segments", BODY)
    taken = await world.post("operator", "/segments", BODY)
    wrong = await world.post("operator", f"/segments/{made['id']}/refresh")
    assert [(answer.status_code, answer.json()["code"]) for answer in (taken, wrong)] == [
        (409, "conflict"),
        (409, "wrong_kind"),
    ]
    unknown = await world.post("operator", f"/segments/{made['id']}/members", {"add": {"external_ids": ["who"]}})
    assert unknown.json()["errors"][0]["pointer"] == "/add/external_ids/0"
    for path in (f"/segments/{UNKNOWN}", "/segments/seg_1", f"/segments/{UNKNOWN}/members.csv"):
        assert (await world.get("operator", path)).status_code == 404
    assert (await world.get("operator", "/members/mem_01K9Q2M4T6V8X0Z2B4D6F8H0J2/segments")).status_code == 404
