"""Goods, deliveries, objects and surveys in the matrix of authorisations. Partner A keeps and sends the goods."""

from datetime import UTC, datetime
from typing import Any

from api.expected import EVERYBODY, NO_MEMBER, ONLY_OPERATOR, Expected, Request, at
from api.world import SECRET, ApiWorld
from mereau.core.db import transaction
from mereau.outbox import service as outbox
from mereau.rewards import service as rewards
from mereau.rewards.fulfilment import service as deliveries
from mereau.rewards.surveys import service as surveys
from mereau.rewards.surveys.domain import survey_code

ADDRESS = {"name": "Camille Roy", "line_1": "12 rue des Lilas", "postal_code": "59800", "city": "Lille"}
PDF_BASE64 = "JVBERi0xLjcgYSBwcm9vZg=="


def some_goods(world: ApiWorld) -> dict[str, Any]:
    number = next(world.numbers)
    return {
        "external_id": f"goods-{number}",
        "partner_id": world.ids["partner_a"],
        "name_fr": "Un tee-shirt",
        "name_en": "A T-shirt",
        "supplier": "Filature du Nord",
        "cost_minor": 640,
        "variants": [{"sku": f"TEE-{number}", "size": "M", "colour": "red"}],
    }


async def furnish_goods(world: ApiWorld) -> None:
    """Approved goods of a thousand pieces, and a reward of one token that brings them; once."""
    if "goods" in world.ids:
        return
    body = some_goods(world)
    made = await world.made("operator", "/goods", body)
    world.ids |= {"goods": made["id"], "sku": body["variants"][0]["sku"]}
    await world.made("operator", f"/goods/{made['id']}/status", {"status": "approved"})
    received = {"sku": world.ids["sku"], "kind": "received", "pieces": 1_000, "reason": "order 4711"}
    await world.made("partner_a", f"/goods/{made['id']}/movements", received)
    reward = {
        "external_id": f"gift-{next(world.numbers)}",
        "partner_id": world.ids["partner_a"],
        "name_fr": "Un tee-shirt",
        "name_en": "A T-shirt",
        "price_tokens": 1,
        "terms": {"kind": "gift", "goods": [body["external_id"]]},
    }
    world.ids["gift"] = (await world.made("operator", "/rewards", reward))["id"]
    terms = {"personalisation": "text", "proof_by": "member"}
    response = await world.send("operator", "PUT", f"/rewards/{world.ids['gift']}/goods", terms)
    assert response.status_code == 200, response.text


def an_order(world: ApiWorld, **changes: Any) -> dict[str, Any]:
    return {"reward_id": world.ids["gift"], "skus": [world.ids["sku"]], "address": ADDRESS} | changes


async def ordered(world: ApiWorld, **changes: Any) -> str:
    """A delivery that member A has just ordered; its id."""
    await furnish_goods(world)
    body = an_order(world, **changes)
    return str((await world.made("member_a", f"/members/{world.ids['member_a']}/deliveries", body))["id"])


async def hear(world: ApiWorld) -> None:
    """What the worker does: vouchers, deliveries and surveys follow the events."""
    for _ in range(3):
        async with transaction(world.engine) as session:
            events = await outbox.read_after(session, "test", 1_000)
            if events:
                now = datetime.now(UTC)
                await rewards.on_events(session, events, SECRET, now)
                await deliveries.on_events(session, events, now)
                await surveys.on_events(session, events, SECRET, now)
                await outbox.advance(session, "test", events[-1].seq)


async def cleared(world: ApiWorld, **changes: Any) -> str:
    """A delivery whose tokens are burned for good; its id."""
    delivery_id = await ordered(world, **changes)
    await world.mine_everything()
    await hear(world)
    return delivery_id


async def step(world: ApiWorld, delivery_id: str, *steps: str) -> None:
    for name in steps:
        await world.made("partner_a", "/deliveries/steps", {"step": name, "deliveries": [{"id": delivery_id}]})


async def kept(world: ApiWorld, name: str, **changes: Any) -> str:
    """A delivery that several requests may share; its id."""
    if name not in world.ids:
        world.ids[name] = await ordered(world, **changes)
    return world.ids[name]


async def marked(world: ApiWorld, delivery_id: str) -> str:
    """The code of the delivery's object."""
    made = await world.made("partner_a", f"/deliveries/{delivery_id}/objects", {"line_number": 1})
    return str(made["data"][0]["code"])


async def shipped_object(world: ApiWorld) -> str:
    """The code of an object that has left; one for all, out again each time."""
    await world.hand.write("update goods_objects set taken_back_at = null, outcome = null")
    if "shipped_code" not in world.ids:
        delivery_id = await cleared(world)
        world.ids["shipped_code"] = await marked(world, delivery_id)
        await step(world, delivery_id, "prepared", "shipped")
    return world.ids["shipped_code"]


async def open_survey(world: ApiWorld) -> str:
    """The code of a survey; the same one, not answered again."""
    if "survey" not in world.ids:
        delivery_id = await cleared(world)
        await step(world, delivery_id, "prepared", "shipped", "delivered")
        await hear(world)
        listed = (await world.get("member_a", "/surveys")).json()["data"]
        world.ids["survey"] = listed[0]["id"]
    await world.hand.write("update surveys set score = null, comment = null, answered_at = null")
    return survey_code(SECRET, world.ids["survey"])


async def _new_goods(world: ApiWorld) -> Request:
    return "/goods", some_goods(world)


async def _goods(world: ApiWorld) -> Request:
    await furnish_goods(world)
    return f"/goods/{world.ids['goods']}", None


async def _status(world: ApiWorld) -> Request:
    await furnish_goods(world)
    return f"/goods/{world.ids['goods']}/status", {"status": "approved"}


async def _new_movement(world: ApiWorld) -> Request:
    await furnish_goods(world)
    body = {"sku": world.ids["sku"], "kind": "received", "pieces": 1, "reason": "found"}
    return f"/goods/{world.ids['goods']}/movements", body


async def _movements(world: ApiWorld) -> Request:
    await furnish_goods(world)
    return f"/goods/{world.ids['goods']}/movements", None


async def _new_offer(world: ApiWorld) -> Request:
    await furnish_goods(world)
    return f"/rewards/{world.ids['gift']}/goods", {"personalisation": "text", "proof_by": "member", "more": []}


async def _offer(world: ApiWorld) -> Request:
    await furnish_goods(world)
    return f"/rewards/{world.ids['gift']}/goods", None


async def _new_delivery(world: ApiWorld) -> Request:
    await furnish_goods(world)
    return f"/members/{world.ids['member_a']}/deliveries", an_order(world)


async def _delivery(world: ApiWorld) -> Request:
    return f"/deliveries/{await kept(world, 'delivery')}", None


async def _steps(world: ApiWorld) -> Request:
    if "prepared" not in world.ids:
        world.ids["prepared"] = await cleared(world)
    return "/deliveries/steps", {"step": "prepared", "deliveries": [{"id": world.ids["prepared"]}]}


async def _logo(world: ApiWorld) -> Request:
    delivery_id = await kept(world, "with_logo")
    if "logo" not in world.ids:
        world.ids["logo"] = "there"
        await world.hand.write(
            "insert into delivery_files values ('fil_1', :id, 'logo', 'image/png', :content)",
            id=delivery_id,
            content=b"\x89PNG\r\n\x1a\n",
        )
    return f"/deliveries/{delivery_id}/logo", None


async def _cancel(world: ApiWorld) -> Request:
    return f"/deliveries/{await ordered(world)}/cancel", {"reason": "changed_mind"}


async def _address(world: ApiWorld) -> Request:
    delivery_id = await kept(world, "ended")
    await world.made("member_a", f"/deliveries/{delivery_id}/cancel", {"reason": "changed_mind"})
    return f"/deliveries/{delivery_id}/address", None


async def _new_proof(world: ApiWorld) -> Request:
    delivery_id = await kept(world, "marked", personalisation={"text": "Camille"})
    return f"/deliveries/{delivery_id}/proofs", {"media_type": "application/pdf", "content_base64": PDF_BASE64}


async def _proofs(world: ApiWorld) -> Request:
    return f"/deliveries/{await kept(world, 'marked', personalisation={'text': 'Camille'})}/proofs", None


async def _proof(world: ApiWorld) -> str:
    path, body = await _new_proof(world)
    if "proof" not in world.ids:
        world.ids["marked"] = await ordered(world, personalisation={"text": "Camille"})
        path, body = await _new_proof(world)
        world.ids["proof"] = (await world.made("partner_a", path, body))["id"]
        world.ids["marked"] = await ordered(world, personalisation={"text": "Camille"})
    return world.ids["proof"]


async def _proof_file(world: ApiWorld) -> Request:
    return f"/proofs/{await _proof(world)}/file", None


async def _decision(world: ApiWorld) -> Request:
    return f"/proofs/{await _proof(world)}/decision", {"decision": "approved"}


async def _new_pick_list(world: ApiWorld) -> Request:
    if "ready" not in world.ids:
        world.ids["ready"] = await cleared(world)
    await world.hand.write("update deliveries set pick_list_id = null")
    return "/pick-lists", {"limit": 1, "partner_id": world.ids["partner_a"]}


async def _pick_list(world: ApiWorld) -> str:
    if "pick_list" not in world.ids:
        path, body = await _new_pick_list(world)
        world.ids["pick_list"] = (await world.made("operator", path, body))["id"]
    return world.ids["pick_list"]


def _of_pick_list(tail: str) -> Any:
    async def build(world: ApiWorld) -> Request:
        return f"/pick-lists/{await _pick_list(world)}{tail}", None

    return build


async def _new_objects(world: ApiWorld) -> Request:
    return f"/deliveries/{await ordered(world)}/objects", {"line_number": 1}


async def _activation(world: ApiWorld) -> Request:
    return f"/objects/{await shipped_object(world)}/activate", None


async def _transfer(world: ApiWorld) -> Request:
    """To whom it belongs already: nothing changes, for whoever may ask."""
    if "own_code" not in world.ids:
        world.ids["own_code"] = await marked(world, await ordered(world))
    owner = (await world.get("operator", f"/members/{world.ids['member_a']}")).json()["external_id"]
    return f"/objects/{world.ids['own_code']}/transfer", {"to_external_id": owner}


async def _take_back(world: ApiWorld) -> Request:
    return f"/objects/{await shipped_object(world)}/take-back", {"outcome": "recycled"}


async def _landing(world: ApiWorld) -> Request:
    return f"/../../o/{await shipped_object(world)}", None


async def _answer(world: ApiWorld) -> Request:
    return f"/surveys/{await open_survey(world)}/answers", {"score": 9}


KEEPER = {**NO_MEMBER, "partner_a": 200, "partner_b": 404, "staff": 200, "operator": 200}
SENDER = KEEPER | {"auditor": 403}
OWNER = {"member_a": 200, "member_b": 404, "partner_a": 200, "partner_b": 404, "staff": 200}
BY_MEMBER = {"member_a": 200, "member_b": 404, "partner_a": 403, "partner_b": 403, "staff": 403, "auditor": 403}
FIGURES = {**NO_MEMBER, "partner_a": 200, "partner_b": 200, "staff": 200, "operator": 200, "auditor": 200}

GOODS: dict[str, Expected] = {
    "POST /api/v1/goods": Expected(_new_goods, **ONLY_OPERATOR, operator=201),
    "GET /api/v1/goods": Expected(at("/goods"), **FIGURES),
    "GET /api/v1/goods/figures": Expected(at("/goods/figures"), **FIGURES),
    "GET /api/v1/goods/{goods_id}": Expected(_goods, **KEEPER, auditor=200),
    "POST /api/v1/goods/{goods_id}/status": Expected(_status, **ONLY_OPERATOR, operator=200),
    "POST /api/v1/goods/{goods_id}/movements": Expected(
        _new_movement, **SENDER | {"partner_a": 201, "staff": 201, "operator": 201}
    ),
    "GET /api/v1/goods/{goods_id}/movements": Expected(_movements, **KEEPER, auditor=200),
    "PUT /api/v1/rewards/{reward_id}/goods": Expected(_new_offer, **ONLY_OPERATOR, operator=200),
    "GET /api/v1/rewards/{reward_id}/goods": Expected(_offer, **EVERYBODY),
    "POST /api/v1/members/{member_id}/deliveries": Expected(
        _new_delivery, **BY_MEMBER | {"member_a": 202}, operator=202
    ),
    "GET /api/v1/deliveries": Expected(at("/deliveries"), **EVERYBODY),
    "POST /api/v1/deliveries/steps": Expected(_steps, **SENDER),
    "GET /api/v1/deliveries/{delivery_id}": Expected(_delivery, **OWNER, operator=200, auditor=200),
    "GET /api/v1/deliveries/{delivery_id}/logo": Expected(_logo, **SENDER),
    "POST /api/v1/deliveries/{delivery_id}/cancel": Expected(_cancel, **BY_MEMBER, operator=200),
    "DELETE /api/v1/deliveries/{delivery_id}/address": Expected(
        _address, **SENDER | {"partner_a": 204, "staff": 204, "operator": 204}
    ),
    "POST /api/v1/deliveries/{delivery_id}/proofs": Expected(
        _new_proof, **SENDER | {"partner_a": 201, "staff": 201, "operator": 201}
    ),
    "GET /api/v1/deliveries/{delivery_id}/proofs": Expected(_proofs, **OWNER, operator=200, auditor=200),
    "GET /api/v1/proofs/{proof_id}/file": Expected(_proof_file, **OWNER, operator=200, auditor=200),
    "POST /api/v1/proofs/{proof_id}/decision": Expected(_decision, **BY_MEMBER, operator=200),
    "POST /api/v1/pick-lists": Expected(
        _new_pick_list, **SENDER | {"partner_a": 201, "partner_b": 422, "staff": 201, "operator": 201}
    ),
    "GET /api/v1/pick-lists/{pick_list_id}": Expected(_of_pick_list(""), **SENDER),
    "GET /api/v1/pick-lists/{pick_list_id}/csv": Expected(_of_pick_list("/csv"), **SENDER),
    "GET /api/v1/pick-lists/{pick_list_id}/page": Expected(_of_pick_list("/page"), **SENDER),
    "POST /api/v1/deliveries/{delivery_id}/objects": Expected(
        _new_objects, **SENDER | {"partner_a": 201, "staff": 201, "operator": 201}
    ),
    "POST /api/v1/objects/{code}/activate": Expected(_activation, **BY_MEMBER, operator=403),
    "POST /api/v1/objects/{code}/transfer": Expected(_transfer, **BY_MEMBER, operator=200),
    "POST /api/v1/objects/{code}/take-back": Expected(_take_back, **SENDER),
    "GET /api/v1/objects/{code}/qr": Expected(
        at("/objects/7K2M-9QRT-4VWX-0Z1A/qr"), **SENDER | {"partner_b": 200}
    ),
    "GET /o/{code}": Expected(_landing, **EVERYBODY, stranger=200),
    "GET /api/v1/surveys": Expected(at("/surveys"), **EVERYBODY),
    "GET /api/v1/surveys/results": Expected(at("/surveys/results"), **FIGURES),
    "POST /api/v1/surveys/{code}/answers": Expected(
        _answer, **dict.fromkeys(EVERYBODY, 201), stranger=201
    ),
}  # fmt: skip

OPTIONAL_FIELDS: dict[str, dict[str, Any]] = {
    "POST /api/v1/goods": {
        "variants": [{"sku": "TEE-S", "size": "S", "colour": "red", "buffer": 1, "alert_at": 2}],
    },
    "POST /api/v1/members/{member_id}/deliveries": {
        "address": ADDRESS | {"line_2": "bât. B", "country": "FR", "phone": "+33 6 12 34 56 78"},
        "external_id": "mine-1",
        "personalisation": {"text": "Camille"},
    },
    "POST /api/v1/deliveries/steps": {"restock": True},
    "POST /api/v1/proofs/{proof_id}/decision": {"remarks": "Très bien."},
    "POST /api/v1/surveys/{code}/answers": {"comment": "Vite arrivé."},
}  # fmt: skip
"""What a right request may say besides, for the tests of hostile bodies."""
