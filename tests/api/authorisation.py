"""Who may do what: every route with every identity, and the status that each must get.

The objects are member A's and partner A's. `staff` works for partner A. A route that is not here fails the suite.
"""

from datetime import UTC, datetime, timedelta

from api.authorisation_earning import EARNING
from api.authorisation_files import FILES
from api.authorisation_sorting import SORTING
from api.expected import EVERYBODY, NO_MEMBER, ONLY_OPERATOR, Build, Expected, Request, at
from api.goods import GOODS
from api.world import RULE, ApiWorld


async def _new_member(world: ApiWorld) -> Request:
    return "/members", {"external_id": f"new-{next(world.numbers)}"}


async def _new_sale(world: ApiWorld) -> Request:
    """An operator must say whose sale it is; a partner may say that it is its own."""
    return "/sales", world.a_sale(partner_id=world.ids["partner_a"])


async def _new_batch(world: ApiWorld) -> Request:
    return "/sales/batch", {"sales": [world.a_sale(partner_id=world.ids["partner_a"])]}


async def _new_return(world: ApiWorld) -> Request:
    sale = await world.made("partner_a", "/sales", world.a_sale())
    body = {
        "external_id": f"T-{next(world.numbers)}",
        "occurred_at": "2026-01-06T10:00:00Z",
        "lines": [{"line_number": 1, "quantity": 1}],
    }
    return f"/sales/{sale['id']}/returns", body


async def _new_rule(world: ApiWorld) -> Request:
    return "/earning-rules", RULE | {"external_id": f"rule-{next(world.numbers)}"}


async def _dry_run(world: ApiWorld) -> Request:
    return "/earning-rules/simulate", {"sale": world.a_sale(), "rule_id": world.ids["rule"]}


async def _new_reward(world: ApiWorld) -> Request:
    return "/rewards", {
        "external_id": f"reward-{next(world.numbers)}",
        "partner_id": world.ids["partner_a"],
        "name_fr": "Un thé",
        "name_en": "A tea",
        "price_tokens": 10,
    }


async def _reward_of_codes(world: ApiWorld) -> Request:
    _, body = await _new_reward(world)
    terms = {"kind": "discount", "form": "free_delivery", "codes": "pool"}
    reward = await world.made("operator", "/rewards", body | {"terms": terms})
    return f"/rewards/{reward['id']}/codes", {"codes": ["FREE-1", "FREE-2"]}


async def _at_the_till(world: ApiWorld) -> Request:
    path, body = await _new_redemption(world)
    drawn = await world.made("member_a", path.replace("redemptions", "redemption-codes"), None)
    return "/redemptions", body | {"code": drawn["code"]}


async def _granted_redemption(world: ApiWorld) -> Request:
    path, _ = await _voucher(world)
    return path.replace("/use", "/refund"), {"reason": "changed_mind"}


async def _redemption_to_cancel(world: ApiWorld) -> Request:
    path, _ = await _redemption(world)
    return f"{path}/cancel", {"reason": "changed_mind"}


async def _new_redemption(world: ApiWorld) -> Request:
    sale = world.a_sale(lines=[{"sku": "cake", "amount_minor": 5_000}])
    await world.made("partner_a", "/sales", sale)
    return f"/members/{world.ids['member_a']}/redemptions", {"reward_id": world.ids["reward"]}


async def _extension(world: ApiWorld) -> Request:
    await world.hand.write("update lots set expires_at = activates_at + interval '30 days' where state = 'active'")
    until = datetime.now(UTC) + timedelta(days=400)
    return f"/members/{world.ids['member_a']}/extensions", {"until": until.isoformat(), "reason_code": "goodwill"}


async def _pending_entry(world: ApiWorld) -> Request:
    await world.hand.write("update programs set activation_delay_s = 86400")
    sale = await world.made("partner_a", "/sales", world.a_sale(occurred_at=datetime.now(UTC).isoformat()))
    return f"/entries/{sale['entry']['id']}/activate", None


async def _adjustment(world: ApiWorld) -> Request:
    return f"/members/{world.ids['member_a']}/adjustments", {
        "direction": "credit", "tokens": 2, "reason_code": "goodwill", "note": "A long wait.",
        "partner_id": world.ids["partner_a"],
    }  # fmt: skip


def _request_of_staff(word: str) -> Build:
    """A credit that one person alone does not give, asked for by partner A's staff."""

    async def build(world: ApiWorld) -> Request:
        path, body = await _adjustment(world)
        adjustment = await world.made("staff", path, body | {"tokens": 1_000})
        return f"/adjustments/{adjustment['id']}/{word}", {"note": "Known at the counter."}

    return build


async def _redemption(world: ApiWorld) -> Request:
    path, body = await _new_redemption(world)
    redemption = await world.made("member_a", path, body)
    return f"/redemptions/{redemption['id']}", None


async def _voucher(world: ApiWorld) -> Request:
    path, body = await _new_redemption(world)
    redemption = await world.made("member_a", path, body)
    return f"/redemptions/{redemption['id']}/use", {"code": await world.grant(redemption)}


async def _new_partner(world: ApiWorld) -> Request:
    return "/partners", {"external_id": f"shop-{next(world.numbers)}", "name": "Shop"}


def _part_of_partner(collection: str, *fields: str) -> Build:
    async def build(world: ApiWorld) -> Request:
        body = {field: f"{field}-{next(world.numbers)}" for field in fields}
        return f"/partners/{world.ids['partner_a']}/{collection}", body

    return build


async def _key_to_revoke(world: ApiWorld) -> Request:
    path = f"/partners/{world.ids['partner_a']}/api-keys"
    key = await world.made("partner_a", path, {"name": "short-lived"})
    return f"/api-keys/{key['id']}", None


async def _new_consent(world: ApiWorld) -> Request:
    said_at = datetime(2026, 1, 5, tzinfo=UTC) + timedelta(seconds=next(world.numbers))
    return f"/members/{world.ids['member_a']}/consents", {
        "kind": "terms", "state": "given", "occurred_at": said_at.isoformat(), "source": "till", "text_version": "1",
    }  # fmt: skip


async def _new_card(world: ApiWorld) -> Request:
    token = f"tok_of_a_connector_{next(world.numbers)}"
    await world.hand.write("delete from payment_cards")
    return f"/members/{world.ids['member_a']}/cards", {"token": token}


async def _card_to_remove(world: ApiWorld) -> Request:
    path, body = await _new_card(world)
    card = await world.made("member_a", path, body)
    return f"{path}/{card['id']}", None


EXPECTED: dict[str, Expected] = {
    "GET /healthz": Expected(at("/../../healthz"), **EVERYBODY, stranger=200),
    "GET /readyz": Expected(at("/../../readyz"), **EVERYBODY, stranger=200),
    "GET /metrics": Expected(at("/../../metrics"), **EVERYBODY, stranger=200),
    "GET /api/v1/openapi.json": Expected(at("/openapi.json"), **EVERYBODY, stranger=200),
    "POST /api/v1/members": Expected(
        _new_member, **NO_MEMBER, partner_a=201, partner_b=201, staff=201, operator=201, auditor=403
    ),
    "GET /api/v1/members/{member_id}": Expected(
        at("/members/{member_a}"),
        member_a=200, member_b=404, partner_a=200, partner_b=404, staff=200, operator=200, auditor=200,
    ),
    "PATCH /api/v1/members/{member_id}": Expected(
        at("/members/{member_a}", {"locale": "en"}),
        member_a=200, member_b=404, partner_a=200, partner_b=404, staff=200, operator=200, auditor=403,
    ),
    "GET /api/v1/members/{member_id}/profile": Expected(
        at("/members/{member_a}/profile"),
        member_a=200, member_b=404, partner_a=200, partner_b=404, staff=200, operator=200, auditor=200,
    ),
    "POST /api/v1/members/{member_id}/block": Expected(
        at("/members/{member_b}/block", {"reason": "fraud_suspected"}), **ONLY_OPERATOR, operator=200
    ),
    "POST /api/v1/members/{member_id}/unblock": Expected(
        at("/members/{member_b}/unblock", {"reason": "resolved"}), **ONLY_OPERATOR, operator=200
    ),
    "POST /api/v1/members/{member_id}/consents": Expected(
        _new_consent, member_a=201, member_b=404, partner_a=201, partner_b=404, staff=201, operator=201, auditor=403
    ),
    "GET /api/v1/members/{member_id}/consents": Expected(
        at("/members/{member_a}/consents"),
        member_a=200, member_b=404, partner_a=200, partner_b=404, staff=200, operator=200, auditor=200,
    ),
    "POST /api/v1/members/{member_id}/cards": Expected(
        _new_card, member_a=201, member_b=404, partner_a=201, partner_b=404, staff=201, operator=201, auditor=403
    ),
    "GET /api/v1/members/{member_id}/cards": Expected(
        at("/members/{member_a}/cards"),
        member_a=200, member_b=404, partner_a=200, partner_b=404, staff=200, operator=200, auditor=200,
    ),
    "DELETE /api/v1/members/{member_id}/cards/{card_id}": Expected(
        _card_to_remove, member_a=204, member_b=404, partner_a=204, partner_b=404, staff=204, operator=204, auditor=403
    ),
    "GET /api/v1/program": Expected(at("/program"), **EVERYBODY),
    "PATCH /api/v1/program": Expected(at("/program", {"notice_days": [30]}), **ONLY_OPERATOR, operator=200),
    "GET /api/v1/profile-requirements": Expected(at("/profile-requirements"), **EVERYBODY),
    "PUT /api/v1/profile-requirements": Expected(
        at("/profile-requirements", {"fields": ["email"]}), **ONLY_OPERATOR, operator=200
    ),
    "GET /api/v1/members/{member_id}/balance": Expected(
        at("/members/{member_a}/balance"),
        member_a=200, member_b=404, partner_a=403, partner_b=403, staff=403, operator=200, auditor=200,
    ),
    "GET /api/v1/members/{member_id}/entries": Expected(
        at("/members/{member_a}/entries"),
        member_a=200, member_b=404, partner_a=403, partner_b=403, staff=403, operator=200, auditor=200,
    ),
    "GET /api/v1/members/{member_id}/lots": Expected(
        at("/members/{member_a}/lots"),
        member_a=200, member_b=404, partner_a=403, partner_b=403, staff=403, operator=200, auditor=200,
    ),
    "POST /api/v1/members/{member_id}/extensions": Expected(_extension, **ONLY_OPERATOR, operator=201),
    "POST /api/v1/entries/{entry_id}/activate": Expected(_pending_entry, **ONLY_OPERATOR, operator=200),
    "POST /api/v1/members/{member_id}/adjustments": Expected(
        _adjustment, **NO_MEMBER, partner_a=201, partner_b=422, staff=201, operator=201, auditor=403
    ),
    "GET /api/v1/adjustments": Expected(
        at("/adjustments"), **NO_MEMBER, partner_a=200, partner_b=200, staff=200, operator=200, auditor=200
    ),
    "POST /api/v1/adjustments/{adjustment_id}/approve": Expected(
        _request_of_staff("approve"), **NO_MEMBER, partner_a=200, partner_b=404, staff=403, operator=200, auditor=403
    ),
    "POST /api/v1/adjustments/{adjustment_id}/reject": Expected(
        _request_of_staff("reject"), **NO_MEMBER, partner_a=200, partner_b=404, staff=403, operator=200, auditor=403
    ),
    "POST /api/v1/members/{member_id}/gifts": Expected(
        at("/members/{member_a}/gifts", {"to_member_id": "mem_01K9Q2M4T6V8X0Z2B4D6F8H0J2", "tokens": 5}),
        member_a=409, member_b=404, partner_a=403, partner_b=403, staff=403, operator=409, auditor=403,
    ),
    "POST /api/v1/members/{member_id}/redemptions": Expected(
        _new_redemption,
        member_a=202, member_b=404, partner_a=403, partner_b=403, staff=403, operator=202, auditor=403,
    ),
    "POST /api/v1/sales": Expected(
        _new_sale, **NO_MEMBER, partner_a=201, partner_b=422, staff=201, operator=201, auditor=403
    ),
    "POST /api/v1/sales/batch": Expected(
        _new_batch, **NO_MEMBER, partner_a=200, partner_b=200, staff=200, operator=200, auditor=403
    ),
    "GET /api/v1/sales/{sale_id}": Expected(
        at("/sales/{sale}"),
        member_a=200, member_b=404, partner_a=200, partner_b=404, staff=200, operator=200, auditor=200,
    ),
    "POST /api/v1/sales/{sale_id}/returns": Expected(
        _new_return, **NO_MEMBER, partner_a=201, partner_b=404, staff=201, operator=201, auditor=403
    ),
    "POST /api/v1/earning-rules": Expected(_new_rule, **ONLY_OPERATOR, operator=201),
    "GET /api/v1/earning-rules": Expected(
        at("/earning-rules"), **NO_MEMBER, partner_a=200, partner_b=200, staff=200, operator=200, auditor=200
    ),
    "POST /api/v1/earning-rules/{rule_id}/activate": Expected(
        at("/earning-rules/{rule}/activate"), **ONLY_OPERATOR, operator=200
    ),
    "POST /api/v1/earning-rules/simulate": Expected(_dry_run, **ONLY_OPERATOR, operator=200),
    "GET /api/v1/earning-rules/{rule_id}": Expected(
        at("/earning-rules/{rule}"), **NO_MEMBER, partner_a=200, partner_b=200, staff=200, operator=200, auditor=200
    ),
    "POST /api/v1/earning-rules/{rule_id}/deactivate": Expected(
        at("/earning-rules/{rule}/deactivate"), **ONLY_OPERATOR, operator=200
    ),
    "POST /api/v1/rewards": Expected(_new_reward, **ONLY_OPERATOR, operator=201),
    "GET /api/v1/rewards": Expected(at("/rewards"), **EVERYBODY),
    "GET /api/v1/rewards/{reward_id}": Expected(at("/rewards/{reward}"), **EVERYBODY),
    "PATCH /api/v1/rewards/{reward_id}": Expected(
        at("/rewards/{reward}", {"category": "drinks"}), **ONLY_OPERATOR, operator=200
    ),
    "GET /api/v1/rewards/{reward_id}/versions": Expected(
        at("/rewards/{reward}/versions"),
        member_a=404, member_b=404, partner_a=404, partner_b=404, staff=404, operator=200, auditor=200,
    ),
    "POST /api/v1/rewards/{reward_id}/codes": Expected(
        _reward_of_codes, **ONLY_OPERATOR, operator=200
    ),
    "GET /api/v1/members/{member_id}/rewards": Expected(
        at("/members/{member_a}/rewards"),
        member_a=200, member_b=404, partner_a=404, partner_b=404, staff=404, operator=200, auditor=200,
    ),
    "GET /api/v1/members/{member_id}/redemptions": Expected(
        at("/members/{member_a}/redemptions"),
        member_a=200, member_b=404, partner_a=404, partner_b=404, staff=404, operator=200, auditor=200,
    ),
    "POST /api/v1/redemptions/{redemption_id}/cancel": Expected(
        _redemption_to_cancel,
        member_a=200, member_b=404, partner_a=403, partner_b=403, staff=403, operator=200, auditor=403,
    ),
    "GET /api/v1/redemptions/{redemption_id}": Expected(
        _redemption,
        member_a=200, member_b=404, partner_a=200, partner_b=404, staff=200, operator=200, auditor=200,
    ),
    "POST /api/v1/redemptions/{redemption_id}/refund": Expected(
        _granted_redemption, **NO_MEMBER, partner_a=200, partner_b=404, staff=403, operator=200, auditor=403
    ),
    "GET /api/v1/members/{member_id}/entitlements": Expected(
        at("/members/{member_a}/entitlements"),
        member_a=200, member_b=404, partner_a=200, partner_b=200, staff=200, operator=200, auditor=200,
    ),
    "POST /api/v1/members/{member_id}/redemption-codes": Expected(
        at("/members/{member_a}/redemption-codes"),
        member_a=201, member_b=404, partner_a=403, partner_b=403, staff=403, operator=201, auditor=403,
    ),
    "POST /api/v1/redemptions": Expected(
        _at_the_till, **NO_MEMBER, partner_a=202, partner_b=404, staff=202, operator=202, auditor=403
    ),
    "POST /api/v1/redemptions/{redemption_id}/use": Expected(
        _voucher, **NO_MEMBER, partner_a=200, partner_b=404, staff=200, operator=200, auditor=403
    ),
    "POST /api/v1/partners": Expected(_new_partner, **ONLY_OPERATOR, operator=201),
    "GET /api/v1/partners": Expected(
        at("/partners"), **NO_MEMBER, partner_a=200, partner_b=200, staff=200, operator=200, auditor=200
    ),
    "PUT /api/v1/partners/{partner_id}/allowance": Expected(
        at("/partners/{partner_a}/allowance", {"allowance_tokens": 1_000, "period_cap_tokens": None}),
        **ONLY_OPERATOR, operator=200,
    ),
    "POST /api/v1/partners/{partner_id}/locations": Expected(
        _part_of_partner("locations", "external_id", "name"),
        **NO_MEMBER, partner_a=201, partner_b=404, staff=403, operator=201, auditor=403,
    ),
    "GET /api/v1/partners/{partner_id}/locations": Expected(
        at("/partners/{partner_a}/locations"),
        **NO_MEMBER, partner_a=200, partner_b=404, staff=200, operator=200, auditor=200,
    ),
    "POST /api/v1/partners/{partner_id}/staff": Expected(
        _part_of_partner("staff", "external_id", "display_name"),
        **NO_MEMBER, partner_a=201, partner_b=404, staff=403, operator=201, auditor=403,
    ),
    "GET /api/v1/partners/{partner_id}/staff": Expected(
        at("/partners/{partner_a}/staff"),
        **NO_MEMBER, partner_a=200, partner_b=404, staff=200, operator=200, auditor=200,
    ),
    "POST /api/v1/partners/{partner_id}/api-keys": Expected(
        at("/partners/{partner_a}/api-keys", {"name": "till"}),
        **NO_MEMBER, partner_a=201, partner_b=404, staff=403, operator=201, auditor=403,
    ),
    "POST /api/v1/api-keys": Expected(
        at("/api-keys", {"name": "auditor", "role": "auditor"}), **ONLY_OPERATOR, operator=201
    ),
    "GET /api/v1/api-keys": Expected(
        at("/api-keys"), **NO_MEMBER, partner_a=200, partner_b=200, staff=403, operator=200, auditor=200
    ),
    "DELETE /api/v1/api-keys/{key_id}": Expected(
        _key_to_revoke, **NO_MEMBER, partner_a=204, partner_b=404, staff=403, operator=204, auditor=403
    ),
    "GET /api/v1/batches": Expected(
        at("/batches"), **NO_MEMBER, partner_a=403, partner_b=403, staff=403, operator=200, auditor=200
    ),
    "GET /api/v1/batches/{batch_id}": Expected(
        at("/batches/{batch}"), **NO_MEMBER, partner_a=403, partner_b=403, staff=403, operator=200, auditor=200
    ),
    "GET /api/v1/supply": Expected(at("/supply"), **EVERYBODY),
    "GET /api/v1/chain/status": Expected(at("/chain/status"), **EVERYBODY),
    **EARNING,
    "GET /api/v1/daily-runs": Expected(
        at("/daily-runs"), **NO_MEMBER, partner_a=403, partner_b=403, staff=403, operator=200, auditor=200
    ),
    **SORTING,
    **FILES,
    **GOODS,
}  # fmt: skip
