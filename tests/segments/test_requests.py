"""Segments over HTTP, at the edges: fields, lists of ten thousand, files that leave, and who may have them."""

import csv
from collections.abc import AsyncIterator
from io import StringIO
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world
from mereau.core.clock import SystemClock
from mereau.segments import tasks
from mereau.segments.schemas import LISTED_MAX

LIST = {"external_id": "vip", "name_fr": "Invités", "name_en": "Guests"}
FRENCH = {"locale": {"in": ["fr"]}}
UNKNOWN = "mem_01K9Q2M4T6V8X0Z2B4D6F8H0J2"


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


def pointers(response: Any) -> list[str]:
    return [error["pointer"] for error in response.json()["errors"]]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"external_id": ""}, "/external_id"),
    ({"external_id": "x" * 129}, "/external_id"),
    ({"name_fr": "x" * 201}, "/name_fr"),
    ({"name_en": "a\x01b"}, "/name_en"),
    ({"kind": "static"}, "/kind"),
    ({"filter": []}, "/filter"),
    ({"filter": "fr"}, "/filter"),
    ({"filter": {"all": [FRENCH, {"birthday": {"within_days": 365}}]}}, "/filter/all/1/birthday/within_days"),
    ({"filter": {"static_list": {"in": ["vip"]}}}, "/filter"),
    ({"filter": {"locale": {"in": ["a\x00b"]}}}, "/filter/locale/in/0"),
]


async def test_wrong_segments_are_pointed_at_and_not_saved(world: ApiWorld) -> None:
    for changes, pointer in WRONG:
        response = await world.post("operator", "/segments", LIST | changes)
        assert (response.status_code in {400, 422}, pointers(response)) == (True, [pointer]), changes
        if "filter" in changes:
            tried = await world.post("auditor", "/segments/preview", {"filter": changes["filter"]})
            assert pointers(tried) == [pointer]
    assert (await world.get("operator", "/segments")).json()["data"] == []


async def test_nobody_outside_sees_who_belongs_where(world: ApiWorld) -> None:
    """Not even members themselves: what they are taken for is the programme's own business."""
    made = await world.made("operator", "/segments", LIST)
    paths = ("/segments", f"/segments/{made['id']}", f"/segments/{made['id']}/members.csv")
    for who, status in (("member_a", 403), ("partner_a", 403), ("staff", 403), (None, 401)):
        for path in (*paths, f"/members/{world.ids['member_a']}/segments"):
            assert (await world.get(who, path)).status_code == status, (who, path)
    named = {"add": {"external_ids": ["card-a"]}}
    for who in ("auditor", "partner_a"):
        refused = await world.post(who, f"/segments/{made['id']}/members", named)
        assert refused.status_code == 403
    assert (await world.get("auditor", f"/segments/{made['id']}")).json()["member_count"] == 0


async def test_lists_take_ten_thousand_at_a_time(world: ApiWorld) -> None:
    made = await world.made("operator", "/segments", LIST)
    path = f"/segments/{made['id']}/members"
    full = await world.post("operator", path, {"add": {"external_ids": ["card-a"] * LISTED_MAX}})
    assert (full.status_code, full.json()["member_count"]) == (200, 1)
    over = await world.post("operator", path, {"add": {"ids": [world.ids["member_b"]] * (LISTED_MAX + 1)}})
    assert (over.status_code, pointers(over)) == (422, ["/add/ids"])
    body = {"add": {"ids": [world.ids["member_b"], UNKNOWN]}, "remove": {"external_ids": ["card-a", "nobody"]}}
    unknown = await world.post("operator", path, body)
    assert (unknown.status_code, pointers(unknown)) == (422, ["/add/ids/1", "/remove/external_ids/1"])
    for empty in ({}, {"add": {}}, {"add": {"ids": []}, "remove": {"external_ids": []}}):
        refused = await world.post("operator", path, empty)
        assert (refused.status_code, pointers(refused)) == (422, ["/add"])
    assert (await world.get("operator", f"/segments/{made['id']}")).json()["member_count"] == 1


async def test_a_list_and_a_filter_stay_what_they_are(world: ApiWorld) -> None:
    named = await world.made("operator", "/segments", LIST)
    found = await world.made("operator", "/segments", LIST | {"external_id": "fr", "filter": FRENCH})
    wrong: list[tuple[str, str, str, dict[str, Any] | None]] = [
        ("PUT", f"/segments/{named['id']}", "wrong_kind", LIST | {"filter": FRENCH}),
        ("PUT", f"/segments/{found['id']}", "wrong_kind", LIST | {"external_id": "fr"}),
        ("PUT", f"/segments/{found['id']}", "conflict", LIST | {"external_id": "en", "filter": FRENCH}),
        ("POST", f"/segments/{named['id']}/refresh", "wrong_kind", None),
        ("POST", f"/segments/{found['id']}/members", "wrong_kind", {"add": {"external_ids": ["card-a"]}}),
        ("POST", "/segments", "conflict", LIST),
    ]
    for method, path, code, body in wrong:
        response = await world.send("operator", method, path, body)
        assert (response.status_code, response.json()["code"]) == (409, code), (method, path)
    assert [one["kind"] for one in (await world.get("operator", "/segments")).json()["data"]] == ["static", "dynamic"]


async def rows_of(world: ApiWorld, who: str, segment_id: str, **query: str) -> list[list[str]]:
    answer = await world.get(who, f"/segments/{segment_id}/members.csv", **query)
    assert (answer.status_code, answer.headers["content-disposition"]) == (200, "attachment")
    return list(csv.reader(StringIO(answer.content.decode("utf-8-sig"), newline=""), delimiter=";"))


HOSTILE = ("=1+1", "+1", "-1", "@x", 'a;"b"', '=HYPERLINK("http://x")', "é;è")


async def test_a_file_brings_texts_back_and_runs_none(world: ApiWorld) -> None:
    made = await world.made("operator", "/segments", LIST)
    await world.made("operator", f"/segments/{made['id']}/members", {"add": {"ids": [world.ids["member_a"]]}})
    for hostile in HOSTILE:
        await world.hand.write(
            "update members set external_id = cast(:text as text), display_name = cast(:text as text),"
            " email = cast(:text as text) where id = :id",
            text=hostile,
            id=world.ids["member_a"],
        )
        header, row = await rows_of(world, "operator", made["id"], personal="true")
        assert header == ["id", "external_id", "display_name", "email", "locale"]
        shown = f"'{hostile}" if hostile[0] in "=+-@" else hostile
        assert row == [world.ids["member_a"], shown, shown, shown, "fr"]
        assert await rows_of(world, "auditor", made["id"]) == [header[:2], row[:2]]


async def test_a_file_holds_who_is_there_when_it_leaves(world: ApiWorld) -> None:
    made = await world.made("operator", "/segments", LIST | {"filter": FRENCH})
    assert await rows_of(world, "auditor", made["id"]) == [["id", "external_id"]]
    await tasks.refresh_due(world.engine, SystemClock().now())
    ids = sorted([world.ids["member_a"], world.ids["member_b"]])
    assert [row[0] for row in (await rows_of(world, "auditor", made["id"]))[1:]] == ids
    # Who left the programme since the last refresh is in no file any more.
    await world.hand.write("update members set status = 'blocked' where id = :id", id=world.ids["member_a"])
    assert [row[0] for row in (await rows_of(world, "auditor", made["id"]))[1:]] == [world.ids["member_b"]]
    for query in ({"personal": "maybe"}, {"personal": "2"}):
        assert (await world.get("operator", f"/segments/{made['id']}/members.csv", **query)).status_code == 422
    noted = await world.hand.rows("select 1 from journal_entries where action = 'segment.exported'")
    assert len(noted) == 3


async def test_a_refused_export_is_not_noted(world: ApiWorld) -> None:
    made = await world.made("operator", "/segments", LIST)
    path = f"/segments/{made['id']}/members.csv"
    assert (await world.get("auditor", path, personal="true")).status_code == 403
    assert (await world.get("operator", path.replace(made["id"], "seg_01K9Q2M4T6V8X0Z2B4D6F8H0J2"))).status_code == 404
    assert await world.hand.rows("select 1 from journal_entries where action = 'segment.exported'") == []
