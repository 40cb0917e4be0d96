"""Who may do what with actions, codes and referrals; see `authorisation.py`."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from api.expected import NO_MEMBER, ONLY_OPERATOR, Build, Expected, Request, at
from api.world import ApiWorld
from factories.actions import a_rule


async def _new_action(world: ApiWorld) -> Request:
    return f"/members/{world.ids['member_a']}/actions", {
        "type": "review_approved",
        "external_id": f"review-{next(world.numbers)}",
        "occurred_at": datetime.now(UTC).isoformat(),
    }


async def _new_pool(world: ApiWorld) -> Request:
    return "/code-pools", {"external_id": f"pool-{next(world.numbers)}"}


def _pool(tail: str, body: Any = None) -> Build:
    async def build(world: ApiWorld) -> Request:
        pool = await world.made("operator", *await _new_pool(world))
        return f"/code-pools/{pool['id']}{tail}", body

    return build


async def _code_to_claim(world: ApiWorld) -> Request:
    """A code that member A has: a member's key claims for nobody else."""
    if not (await world.get("operator", "/earning-rules", trigger="code")).json()["data"]:
        await a_rule(world, "code")
    pool = await world.made("operator", *await _new_pool(world))
    codes = await world.made("operator", f"/code-pools/{pool['id']}/codes", {"generate": 1})
    return "/codes/claim", {"code": codes["codes"][0], "member": {"id": world.ids["member_a"]}}


async def _receipt(world: ApiWorld) -> Request:
    """A receipt of partner A's for nobody known, claimed by whoever asks for member A."""
    sale = world.a_sale(occurred_at=datetime.now(UTC).isoformat())
    del sale["member"]
    await world.made("partner_a", "/sales", sale)
    return "/receipts/claim", {
        "external_id": sale["external_id"],
        "amount_minor": 1_200,
        "day": datetime.now(ZoneInfo("Europe/Paris")).date().isoformat(),
        "partner_id": world.ids["partner_a"],
        "member": {"id": world.ids["member_a"]},
    }


async def _brought_member(world: ApiWorld) -> Request:
    """Member B says that somebody new brought them."""
    path = f"/members/{world.ids['member_a']}"
    code = await world.made("member_a", f"{path}/referral-code", None)
    await world.hand.write("delete from referrals")
    return f"/members/{world.ids['member_b']}/referral", {"code": code["code"]}


EARNING: dict[str, Expected] = {
    "POST /api/v1/members/{member_id}/actions": Expected(
        _new_action, **NO_MEMBER, partner_a=201, partner_b=201, staff=403, operator=201, auditor=403
    ),
    "GET /api/v1/members/{member_id}/actions": Expected(
        at("/members/{member_a}/actions"),
        member_a=200, member_b=404, partner_a=200, partner_b=200, staff=200, operator=200, auditor=200,
    ),
    "POST /api/v1/event-schemas": Expected(
        at("/event-schemas", {"name": "workshop", "fields": []}), **ONLY_OPERATOR, operator=201
    ),
    "GET /api/v1/event-schemas": Expected(
        at("/event-schemas"), **NO_MEMBER, partner_a=200, partner_b=200, staff=200, operator=200, auditor=200
    ),
    "GET /api/v1/earning-terms": Expected(
        at("/earning-terms"), **NO_MEMBER, partner_a=200, partner_b=200, staff=200, operator=200, auditor=200
    ),
    "PUT /api/v1/earning-terms": Expected(at("/earning-terms", {}), **ONLY_OPERATOR, operator=200),
    "POST /api/v1/code-pools": Expected(_new_pool, **ONLY_OPERATOR, operator=201),
    "GET /api/v1/code-pools": Expected(
        at("/code-pools"), **NO_MEMBER, partner_a=403, partner_b=403, staff=403, operator=200, auditor=200
    ),
    "GET /api/v1/code-pools/{pool_id}": Expected(
        _pool(""), **NO_MEMBER, partner_a=403, partner_b=403, staff=403, operator=200, auditor=200
    ),
    "POST /api/v1/code-pools/{pool_id}/codes": Expected(
        _pool("/codes", {"generate": 1}), **ONLY_OPERATOR, operator=201
    ),
    "POST /api/v1/code-pools/{pool_id}/close": Expected(_pool("/close"), **ONLY_OPERATOR, operator=200),
    "POST /api/v1/codes/claim": Expected(
        _code_to_claim, member_a=201, member_b=422, partner_a=201, partner_b=201, staff=201, operator=201, auditor=403
    ),
    "POST /api/v1/receipts/claim": Expected(
        _receipt, member_a=201, member_b=422, partner_a=201, partner_b=422, staff=201, operator=201, auditor=403
    ),
    "POST /api/v1/members/{member_id}/referral-code": Expected(
        at("/members/{member_a}/referral-code"),
        member_a=200, member_b=404, partner_a=200, partner_b=404, staff=200, operator=200, auditor=403,
    ),
    "POST /api/v1/members/{member_id}/referral": Expected(
        _brought_member, member_a=404, member_b=201, partner_a=404, partner_b=201, staff=404, operator=201, auditor=403
    ),
    "GET /api/v1/members/{member_id}/referrals": Expected(
        at("/members/{member_a}/referrals"),
        member_a=200, member_b=404, partner_a=403, partner_b=403, staff=403, operator=200, auditor=200,
    ),
    "GET /api/v1/referrals": Expected(
        at("/referrals"),
        member_a=200, member_b=200, partner_a=403, partner_b=403, staff=403, operator=200, auditor=200,
    ),
}  # fmt: skip
