"""Orders, steps, proofs and files over HTTP: what is refused and where, and what is nobody else's business."""

import asyncio
import base64
from typing import Any

from api.goods import ADDRESS, PDF_BASE64, an_order, cleared, ordered, step
from api.world import ApiWorld
from mereau.rewards.fulfilment.domain import BATCH_MAX, FILE_BYTES_MAX

UNKNOWN = "dlv_01K9Q2M4T6V8X0Z2B4D6F8H0J2"
PNG_BASE64 = base64.b64encode(b"\x89PNG\r\n\x1a\n.").decode()


def pointers(response: Any) -> list[str]:
    return [error["pointer"] for error in response.json()["errors"]]


def addressed(**changes: Any) -> dict[str, Any]:
    return {"address": {name: value for name, value in (ADDRESS | changes).items() if value != "absent"}}


WRONG_ORDERS: list[tuple[dict[str, Any], str]] = [
    (addressed(name=""), "/address/name"),
    (addressed(city="absent"), "/address/city"),
    (addressed(line_1="x" * 201), "/address/line_1"),
    (addressed(postal_code="x" * 65), "/address/postal_code"),
    (addressed(country="fr"), "/address/country"),
    (addressed(country="FRA"), "/address/country"),
    (addressed(phone="call me"), "/address/phone"),
    (addressed(phone="1" * 21), "/address/phone"),
    (addressed(floor="3"), "/address/floor"),
    ({"address": None}, "/address"),
    ({"skus": []}, "/skus"),
    ({"skus": ["A"] * 11}, "/skus"),
    ({"skus": ["NONE"]}, "/skus/0"),
    ({"external_id": ""}, "/external_id"),
    ({"reward_id": 5}, "/reward_id"),
    ({"personalisation": {"text": "x" * 65}}, "/personalisation/text"),
    ({"personalisation": {"text": "two\nlines"}}, "/personalisation/text"),
    ({"personalisation": {"logo": {"media_type": "image/png", "content_base64": PNG_BASE64}}}, "/personalisation/logo"),
    (
        {"personalisation": {"logo": {"media_type": "image/svg+xml", "content_base64": PNG_BASE64}}},
        "/personalisation/logo/media_type",
    ),
    (
        {"personalisation": {"logo": {"media_type": "image/png", "content_base64": PDF_BASE64}}},
        "/personalisation/logo/content_base64",
    ),
]


async def test_wrong_orders_are_pointed_at_and_reserve_nothing(stocked_world: ApiWorld) -> None:
    world = stocked_world
    path = f"/members/{world.ids['member_a']}/deliveries"
    for changes, pointer in WRONG_ORDERS:
        response = await world.post("member_a", path, an_order(world) | changes)
        assert (response.status_code, pointers(response)) == (422, [pointer]), changes
    assert (await world.get("operator", "/deliveries")).json()["data"] == []
    (variant,) = (await world.get("staff", f"/goods/{world.ids['goods']}")).json()["variants"]
    assert variant["reserved"] == 0


async def test_orders_are_for_oneself_and_of_what_there_is(stocked_world: ApiWorld) -> None:
    world = stocked_world
    theirs = f"/members/{world.ids['member_b']}/deliveries"
    assert (await world.post("member_a", theirs, an_order(world))).status_code == 404
    mine = f"/members/{world.ids['member_a']}/deliveries"
    for reward_id in ("rwd_01K9Q2M4T6V8X0Z2B4D6F8H0J2", world.ids["reward"]):
        assert (await world.post("member_a", mine, an_order(world, reward_id=reward_id))).status_code == 404
    # Member B has no tokens: the pieces that were about to be reserved stay free.
    poor = await world.post("member_b", theirs, an_order(world))
    assert (poor.status_code, poor.json()["code"]) == (409, "insufficient_balance")
    (variant,) = (await world.get("staff", f"/goods/{world.ids['goods']}")).json()["variants"]
    assert variant["reserved"] == 0


async def test_a_reference_names_one_order(stocked_world: ApiWorld) -> None:
    world = stocked_world
    path = f"/members/{world.ids['member_a']}/deliveries"
    body = an_order(world, external_id="app-7")
    answers = await asyncio.gather(*(world.post("member_a", path, body) for _ in range(4)))
    made = {answer.json()["id"] for answer in answers if answer.status_code == 202}
    assert len(made) == 1
    assert {answer.json()["code"] for answer in answers if answer.status_code != 202} <= {"conflict"}
    again = await world.made("member_a", path, body)
    assert {again["id"]} == made
    (variant,) = (await world.get("staff", f"/goods/{world.ids['goods']}")).json()["variants"]
    assert variant["reserved"] == 1


async def test_parcels_side_by_side_are_seen_by_their_own_alone(stocked_world: ApiWorld) -> None:
    world = stocked_world
    delivery_id = await ordered(world, personalisation={"text": "Camille"})
    seen = {
        who: len((await world.get(who, "/deliveries")).json()["data"])
        for who in ("member_a", "member_b", "partner_a", "partner_b", "staff", "operator", "auditor")
    }
    assert seen == {
        "member_a": 1, "member_b": 0, "partner_a": 1, "partner_b": 0, "staff": 1, "operator": 1, "auditor": 1,
    }  # fmt: skip
    proof = {"media_type": "application/pdf", "content_base64": PDF_BASE64}
    assert (await world.post("partner_b", f"/deliveries/{delivery_id}/proofs", proof)).status_code == 404
    made = await world.made("partner_a", f"/deliveries/{delivery_id}/proofs", proof)
    for who in ("member_b", "partner_b"):
        for path in (f"/deliveries/{delivery_id}", f"/deliveries/{delivery_id}/proofs", f"/proofs/{made['id']}/file"):
            assert (await world.get(who, path)).status_code == 404
    decision = f"/proofs/{made['id']}/decision"
    assert (await world.post("member_b", decision, {"decision": "approved"})).status_code == 404
    cancel = f"/deliveries/{delivery_id}/cancel"
    assert (await world.post("member_b", cancel, {"reason": "mine now"})).status_code == 404
    moved = await world.post(
        "partner_b", "/deliveries/steps", {"step": "prepared", "deliveries": [{"id": delivery_id}]}
    )
    assert (moved.status_code, pointers(moved)) == (404, ["/deliveries/0/id"])
    erased = await world.send("partner_b", "DELETE", f"/deliveries/{delivery_id}/address")
    assert erased.status_code == 404


async def test_a_list_of_parcels_goes_on_page_by_page(stocked_world: ApiWorld) -> None:
    world = stocked_world
    ids = [await ordered(world) for _ in range(3)]
    page = (await world.get("partner_a", "/deliveries", limit=2)).json()
    rest = (await world.get("partner_a", "/deliveries", limit=2, cursor=page["next_cursor"])).json()
    assert {one["id"] for one in page["data"] + rest["data"]} == set(ids)
    assert (page["has_more"], rest["has_more"]) == (True, False)
    assert (await world.get("partner_a", "/deliveries", state="lost")).status_code == 422


async def test_steps_that_cannot_be(stocked_world: ApiWorld) -> None:
    world = stocked_world
    delivery_id = await ordered(world)
    wrong: list[tuple[dict[str, Any], int, list[str]]] = [
        ({"step": "lost", "deliveries": [{"id": delivery_id}]}, 422, ["/step"]),
        ({"step": "prepared", "deliveries": [{"id": delivery_id}] * (BATCH_MAX + 1)}, 422, ["/deliveries"]),
        ({"step": "prepared", "deliveries": []}, 422, ["/deliveries"]),
        ({"step": "prepared", "deliveries": [{"id": delivery_id, "carrier": ""}]}, 422, ["/deliveries/0/carrier"]),
        ({"step": "prepared", "deliveries": [{"id": "dlv_1"}]}, 422, ["/deliveries/0/id"]),
        ({"step": "prepared", "deliveries": [{"id": delivery_id}, {"id": UNKNOWN}]}, 404, ["/deliveries/1/id"]),
        ({"step": "prepared", "pick_list_id": UNKNOWN.replace("dlv", "pck")}, 404, []),
        ({"step": "prepared", "deliveries": [{"id": delivery_id}]}, 409, ["/deliveries/0"]),
    ]
    for body, status, where in wrong:
        response = await world.post("partner_a", "/deliveries/steps", body)
        assert (response.status_code, pointers(response)) == (status, where), body
    assert (await world.get("partner_a", f"/deliveries/{delivery_id}")).json()["state"] == "ordered"


async def test_files_are_taken_to_the_last_byte_and_no_further(stocked_world: ApiWorld) -> None:
    world = stocked_world
    path = f"/deliveries/{await ordered(world, personalisation={'text': 'Camille'})}/proofs"

    async def sent(content: bytes, media_type: str = "application/pdf") -> Any:
        encoded = base64.b64encode(content).decode()
        return await world.post("partner_a", path, {"media_type": media_type, "content_base64": encoded})

    full = b"%PDF-" + bytes(FILE_BYTES_MAX - 5)
    for content, media_type in ((full + b".", "application/pdf"), (b"<html>", "application/pdf"), (full, "image/jpeg")):
        refused = await sent(content, media_type)
        assert (refused.status_code, pointers(refused)) == (422, ["/content_base64"])
    assert (await world.get("partner_a", path)).json()["data"] == []
    made = await sent(full)
    assert made.status_code == 201
    proof_id = made.json()["id"]
    file = await world.get("member_a", f"/proofs/{proof_id}/file")
    assert (len(file.content), file.headers["x-content-type-options"]) == (FILE_BYTES_MAX, "nosniff")
    assert file.headers["content-disposition"].endswith('.pdf"')
    wordless = await world.post("operator", f"/proofs/{proof_id}/decision", {"decision": "refused"})
    assert (wordless.status_code, pointers(wordless)) == (422, ["/remarks"])
    told = await world.made("operator", f"/proofs/{proof_id}/decision", {"decision": "refused", "remarks": "Coupé."})
    assert (told["state"], told["remarks"]) == ("refused", "Coupé.")


async def test_an_address_is_forgotten_once_the_parcel_has_arrived(stocked_world: ApiWorld) -> None:
    world = stocked_world
    delivery_id = await cleared(world)
    path = f"/deliveries/{delivery_id}/address"
    early = await world.send("partner_a", "DELETE", path)
    assert (early.status_code, early.json()["code"]) == (409, "conflict")
    await step(world, delivery_id, "prepared", "shipped", "delivered")
    for _ in range(2):
        assert (await world.send("partner_a", "DELETE", path)).status_code == 204
    for who in ("member_a", "partner_a", "operator"):
        assert (await world.get(who, f"/deliveries/{delivery_id}")).json()["address"] is None


async def test_tokens_come_back_before_shipping_and_never_after(stocked_world: ApiWorld) -> None:
    world = stocked_world
    early, late = await cleared(world), await cleared(world)
    balance = f"/members/{world.ids['member_a']}/balance"
    before = (await world.get("member_a", balance)).json()["available"]
    cancelled = await world.made("member_a", f"/deliveries/{early}/cancel", {"reason": "changed_mind"})
    assert (cancelled["state"], cancelled["reason"]) == ("cancelled", "changed_mind")
    await world.mine_everything()
    assert (await world.get("member_a", balance)).json()["available"] == before + 1
    await step(world, late, "prepared", "shipped")
    for who in ("member_a", "operator"):
        refused = await world.post(who, f"/deliveries/{late}/cancel", {"reason": "too late"})
        assert (refused.status_code, refused.json()["code"]) == (409, "not_cancellable")
    await step(world, late, "delivered", "returned")
    refused = await world.post("operator", f"/deliveries/{late}/cancel", {"reason": "it is back"})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_cancellable")
    assert (await world.get("member_a", balance)).json()["available"] == before + 1
    (variant,) = (await world.get("staff", f"/goods/{world.ids['goods']}")).json()["variants"]
    assert (variant["on_hand"], variant["reserved"]) == (1_000, 0)
