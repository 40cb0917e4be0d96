"""Who may do what with tiers and segments; see `authorisation.py`."""

from typing import Any

from api.expected import EVERYBODY, ONLY_INSIDE, ONLY_OPERATOR, Build, Expected, Request, at
from api.world import ApiWorld

TIERS = {"tiers": [{"external_id": "gold", "name_fr": "Or", "name_en": "Gold", "threshold": 10}]}


async def _tiers_draft(world: ApiWorld) -> Request:
    await world.send("operator", "PUT", "/tiers/draft", TIERS)
    return "/tiers/draft", None


async def _tiers_preview(world: ApiWorld) -> Request:
    await _tiers_draft(world)
    return "/tiers/preview", None


async def _tiers_activation(world: ApiWorld) -> Request:
    draft = (await world.send("operator", "PUT", "/tiers/draft", TIERS)).json()
    return "/tiers/activate", {"version": draft["version"]}


async def _tier_assignment(world: ApiWorld) -> Request:
    path, body = await _tiers_activation(world)
    await world.made("operator", path, body)
    return f"/members/{world.ids['member_a']}/tier-assignment", {"tier": "gold", "reason": "apology"}


async def _assigned_tier(world: ApiWorld) -> Request:
    path, body = await _tier_assignment(world)
    await world.send("operator", "PUT", path, body)
    return path, None


async def _new_segment(world: ApiWorld) -> Request:
    number = next(world.numbers)
    return "/segments", {"external_id": f"list-{number}", "name_fr": "Une liste", "name_en": "A list"}


def _segment(path: str, body: Any = None) -> Build:
    async def build(world: ApiWorld) -> Request:
        made = await world.made("operator", *(await _new_segment(world)))
        said = {name: made[name] for name in ("external_id", "name_fr", "name_en")} if body == "same" else body
        return path.format(segment=made["id"], **world.ids), said

    return build


async def _refresh(world: ApiWorld) -> Request:
    path, body = await _new_segment(world)
    made = await world.made("operator", path, body | {"filter": {"locale": {"in": ["fr"]}}})
    return f"/segments/{made['id']}/refresh", None


SORTING: dict[str, Expected] = {
    "GET /api/v1/tiers": Expected(at("/tiers"), **EVERYBODY),
    "GET /api/v1/tiers/draft": Expected(
        _tiers_draft, member_a=404, member_b=404, partner_a=404, partner_b=404, staff=404, operator=200, auditor=200
    ),
    "PUT /api/v1/tiers/draft": Expected(at("/tiers/draft", TIERS), **ONLY_OPERATOR, operator=200),
    "DELETE /api/v1/tiers/draft": Expected(_tiers_draft, **ONLY_OPERATOR, operator=204),
    "POST /api/v1/tiers/preview": Expected(_tiers_preview, **ONLY_OPERATOR, operator=200),
    "POST /api/v1/tiers/activate": Expected(_tiers_activation, **ONLY_OPERATOR, operator=200),
    "GET /api/v1/members/{member_id}/tier": Expected(
        at("/members/{member_a}/tier"),
        member_a=200, member_b=404, partner_a=200, partner_b=404, staff=200, operator=200, auditor=200,
    ),
    "GET /api/v1/members/{member_id}/tier-changes": Expected(
        at("/members/{member_a}/tier-changes"),
        member_a=200, member_b=404, partner_a=200, partner_b=404, staff=200, operator=200, auditor=200,
    ),
    "PUT /api/v1/members/{member_id}/tier-assignment": Expected(_tier_assignment, **ONLY_OPERATOR, operator=200),
    "DELETE /api/v1/members/{member_id}/tier-assignment": Expected(_assigned_tier, **ONLY_OPERATOR, operator=200),
    "POST /api/v1/segments": Expected(_new_segment, **ONLY_OPERATOR, operator=201),
    "GET /api/v1/segments": Expected(at("/segments"), **ONLY_INSIDE),
    "POST /api/v1/segments/preview": Expected(
        at("/segments/preview", {"filter": {"locale": {"in": ["fr"]}}}), **ONLY_INSIDE
    ),
    "GET /api/v1/segments/{segment_id}": Expected(_segment("/segments/{segment}"), **ONLY_INSIDE),
    "PUT /api/v1/segments/{segment_id}": Expected(
        _segment("/segments/{segment}", "same"), **ONLY_OPERATOR, operator=200
    ),
    "DELETE /api/v1/segments/{segment_id}": Expected(_segment("/segments/{segment}"), **ONLY_OPERATOR, operator=204),
    "POST /api/v1/segments/{segment_id}/refresh": Expected(_refresh, **ONLY_OPERATOR, operator=202),
    "POST /api/v1/segments/{segment_id}/members": Expected(
        _segment("/segments/{segment}/members", {"add": {"external_ids": ["card-a"]}}), **ONLY_OPERATOR, operator=200
    ),
    "GET /api/v1/segments/{segment_id}/members.csv": Expected(
        _segment("/segments/{segment}/members.csv"), **ONLY_INSIDE
    ),
    "GET /api/v1/members/{member_id}/segments": Expected(at("/members/{member_a}/segments"), **ONLY_INSIDE),
}  # fmt: skip
