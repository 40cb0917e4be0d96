"""Deliveries over HTTP: who sees the address, what the workshop prints, and what an object's code opens."""

import csv
from collections.abc import AsyncIterator
from io import StringIO
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.goods import PDF_BASE64, an_order, cleared, furnish_goods, hear, marked, ordered, step
from api.world import ApiWorld, open_world


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine, public_url="https://club.example") as world:
        await furnish_goods(world)
        yield world


async def level(world: ApiWorld) -> tuple[int, int, int]:
    (variant,) = (await world.get("operator", f"/goods/{world.ids['goods']}")).json()["variants"]
    return variant["on_hand"], variant["reserved"], variant["available"]


async def test_a_gift_is_chosen_ordered_and_followed(world: ApiWorld) -> None:
    offer = (await world.get("member_b", f"/rewards/{world.ids['gift']}/goods")).json()
    ((choice,),) = [slot["choices"] for slot in offer["slots"]]
    assert [(option["sku"], option["size"], option["is_available"]) for option in choice["options"]] == [
        (world.ids["sku"], "M", True)
    ]
    path = f"/members/{world.ids['member_a']}/deliveries"
    response = await world.post("member_a", path, an_order(world), key="order-1")
    assert response.status_code == 202
    delivery = response.json()
    assert response.headers["location"] == f"/api/v1/deliveries/{delivery['id']}"
    assert (delivery["state"], delivery["proof"], delivery["address"]["city"]) == ("ordered", "none", "Lille")
    assert await level(world) == (1_000, 1, 999)
    again = await world.post("member_a", path, an_order(world), key="order-1")
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == delivery
    assert await level(world) == (1_000, 1, 999)
    (listed,) = (await world.get("member_a", "/deliveries", state="ordered")).json()["data"]
    assert listed["id"] == delivery["id"]
    assert (await world.get("member_a", "/deliveries", state="shipped")).json()["data"] == []


async def test_a_gift_of_goods_is_not_redeemed_past_its_shelves(world: ApiWorld) -> None:
    response = await world.post(
        "member_a", f"/members/{world.ids['member_a']}/redemptions", {"reward_id": world.ids["gift"]}
    )
    assert (response.status_code, response.json()["code"]) == (409, "out_of_stock")


async def test_an_address_is_for_its_member_and_who_sends_it(world: ApiWorld) -> None:
    delivery_id = await ordered(world)
    shown = {
        who: (await world.get(who, f"/deliveries/{delivery_id}")).json()["address"] is not None
        for who in ("member_a", "partner_a", "staff", "operator", "auditor")
    }
    assert shown == {"member_a": True, "partner_a": True, "staff": True, "operator": True, "auditor": False}


async def test_the_workshop_works_from_its_list(world: ApiWorld) -> None:
    delivery_id = await cleared(world, address={**an_order(world)["address"], "name": "=cmd|' /C calc'!A0"})
    made = await world.made("partner_a", "/pick-lists", {"limit": 10})
    assert [pick["delivery_id"] for pick in made["picks"]] == [delivery_id]
    sheet = await world.get("partner_a", f"/pick-lists/{made['id']}/csv")
    assert sheet.headers["content-type"] == "text/csv; charset=utf-8"
    assert sheet.headers["content-disposition"] == f'attachment; filename="{made["id"]}.csv"'
    rows = list(csv.DictReader(StringIO(sheet.content.decode("utf-8-sig")), delimiter=";"))
    assert [(row["SKU"], row["Taille"], row["Pièces"], row["Ville"]) for row in rows] == [
        (world.ids["sku"], "M", "1", "Lille")
    ]
    assert rows[0]["Nom"].startswith("'=cmd")
    page = await world.get("partner_a", f"/pick-lists/{made['id']}/page", lang="en")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "To take from the shelves" in page.text
    assert "Lille" not in page.text
    assert (await world.get("partner_a", f"/pick-lists/{made['id']}/page", lang="de")).status_code == 422
    body = {"step": "prepared", "pick_list_id": made["id"]}
    (moved,) = (await world.made("partner_a", "/deliveries/steps", body))["data"]
    assert moved["state"] == "prepared"
    parcel = {"id": delivery_id, "carrier": "Colissimo", "tracking_number": "6A0123"}
    (moved,) = (await world.made("partner_a", "/deliveries/steps", {"step": "shipped", "deliveries": [parcel]}))["data"]
    assert (moved["carrier"], moved["tracking_number"]) == ("Colissimo", "6A0123")
    assert await level(world) == (999, 0, 999)


@pytest.mark.parametrize("names", [{}, {"deliveries": 1, "pick_list_id": 1}, {"deliveries": 2}])
async def test_steps_name_deliveries_or_a_list_once(world: ApiWorld, names: dict[str, int]) -> None:
    delivery_id = await ordered(world)
    body: dict[str, Any] = {"step": "prepared"}
    if "deliveries" in names:
        body["deliveries"] = [{"id": delivery_id}] * names["deliveries"]
    if "pick_list_id" in names:
        body["pick_list_id"] = delivery_id.replace("dlv_", "pck_")
    response = await world.post("partner_a", "/deliveries/steps", body)
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"].startswith("/deliveries")


async def test_an_unknown_delivery_is_named(world: ApiWorld) -> None:
    stranger = "dlv_01K9Q2M4T6V8X0Z2B4D6F8H0J2"
    body = {"step": "prepared", "deliveries": [{"id": await cleared(world)}, {"id": stranger}]}
    response = await world.post("partner_a", "/deliveries/steps", body)
    assert response.status_code == 404
    assert [error["pointer"] for error in response.json()["errors"]] == ["/deliveries/1/id"]


async def test_a_member_approves_their_proof(world: ApiWorld) -> None:
    delivery_id = await ordered(world, personalisation={"text": "Camille"})
    file = {"media_type": "application/pdf", "content_base64": PDF_BASE64}
    proof = await world.made("partner_a", f"/deliveries/{delivery_id}/proofs", file)
    seen = await world.get("member_a", f"/proofs/{proof['id']}/file")
    assert (seen.headers["content-type"], seen.content) == ("application/pdf", b"%PDF-1.7 a proof")
    assert seen.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in seen.headers["content-security-policy"]
    decided = await world.made("member_a", f"/proofs/{proof['id']}/decision", {"decision": "approved"})
    assert decided["state"] == "approved"
    listed = (await world.get("partner_a", f"/deliveries/{delivery_id}/proofs")).json()["data"]
    assert [one["id"] for one in listed] == [proof["id"]]


async def test_a_wrong_file_is_named(world: ApiWorld) -> None:
    delivery_id = await ordered(world, personalisation={"text": "Camille"})
    file = {"media_type": "image/png", "content_base64": PDF_BASE64}
    response = await world.post("partner_a", f"/deliveries/{delivery_id}/proofs", file)
    assert [(error["pointer"], error["code"]) for error in response.json()["errors"]] == [
        ("/content_base64", "media_type")
    ]


async def test_a_code_opens_a_page_that_does_nothing(world: ApiWorld) -> None:
    delivery_id = await cleared(world)
    made = await world.made("partner_a", f"/deliveries/{delivery_id}/objects", {"line_number": 1})
    ((code, url),) = [(one["code"], one["url"]) for one in made["data"]]
    assert url == f"https://club.example/o/{code}"
    page = await world.get(None, f"/../../o/{code}")
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
    assert '<html lang="fr">' in page.text
    assert "Un tee-shirt" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text
    assert "Camille" not in page.text
    english = await world.get(None, f"/../../o/{code}", lang="en")
    assert "A T-shirt" in english.text
    wrong = [await world.get(None, f"/../../o/{one}") for one in ("7K2M-9QRT-4VWX-0Z1A", "nonsense")]
    assert {one.status_code for one in wrong} == {404}
    assert len({one.text for one in wrong}) == 1


@pytest.mark.parametrize(("kind", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
async def test_a_code_is_drawn(world: ApiWorld, kind: str, start: bytes) -> None:
    drawn = await world.get("partner_a", "/objects/7K2M-9QRT-4VWX-0Z1A/qr", format=kind)
    assert drawn.content.startswith(start)
    assert drawn.headers["content-type"] == ("image/svg+xml" if kind == "svg" else "image/png")
    assert (await world.get("partner_a", "/objects/nonsense/qr")).status_code == 404


async def test_an_object_lives_and_is_counted(world: ApiWorld) -> None:
    delivery_id = await cleared(world)
    code = await marked(world, delivery_id)
    await step(world, delivery_id, "prepared", "shipped")
    activated = await world.made("member_a", f"/objects/{code}/activate", None)
    assert activated["activated_at"] is not None
    again = await world.made("member_a", f"/objects/{code}/activate", None)
    assert again["activated_at"] == activated["activated_at"]
    refused = await world.post("member_a", f"/objects/{code}/transfer", {"to_external_id": "whoever"})
    assert (refused.status_code, refused.json()["code"]) == (409, "activated")
    back = await world.made("staff", f"/objects/{code}/take-back", {"outcome": "recycled"})
    assert back["outcome"] == "recycled"
    (figures,) = (await world.get("auditor", "/goods/figures")).json()["data"]
    assert (figures["pieces_shipped"], figures["objects_activated"], figures["recycled"]) == (1, 1, 1)
    (later,) = (await world.get("operator", "/goods/figures", since="2099-01-01T00:00:00Z")).json()["data"]
    assert (later["pieces_shipped"], later["objects_activated"], later["recycled"]) == (0, 0, 0)
    assert (await world.get("operator", "/goods/figures", since="tomorrow")).status_code == 422


async def test_a_survey_is_answered_by_its_link(world: ApiWorld) -> None:
    delivery_id = await cleared(world)
    await step(world, delivery_id, "prepared", "shipped", "delivered")
    await hear(world)
    (survey,) = (await world.get("member_a", "/surveys")).json()["data"]
    assert [one["code"] for one in (await world.get("operator", "/surveys")).json()["data"]] == [None]
    path = f"/surveys/{survey['code']}/answers"
    assert (await world.post(None, path, {"score": 11})).status_code == 422
    answered = await world.post(None, path, {"score": 9, "comment": "Vite arrivé."})
    assert (answered.status_code, answered.json()["delivery_id"]) == (201, delivery_id)
    assert (await world.post(None, path, {"score": 0})).status_code == 404
    results = (await world.get("partner_a", "/surveys/results")).json()
    assert (results["asked"], results["answered"], results["nps_permille"]) == (1, 1, 1_000)
    assert (await world.get("partner_b", "/surveys/results")).json()["nps_permille"] is None


async def test_goods_are_kept_by_hand(world: ApiWorld) -> None:
    path = f"/goods/{world.ids['goods']}/movements"
    body = {"sku": world.ids["sku"], "kind": "counted", "pieces": 990, "reason": "inventory"}
    counted = await world.made("staff", path, body)
    assert (counted["on_hand"], counted["available"]) == (990, 990)
    listed = (await world.get("auditor", path, limit="1")).json()
    assert [(one["kind"], one["on_hand_change"]) for one in listed["data"]] == [("counted", -10)]
    older = (await world.get("auditor", path, cursor=listed["next_cursor"])).json()
    assert [one["kind"] for one in older["data"]] == ["received"]
    withdrawn = await world.made("operator", f"/goods/{world.ids['goods']}/status", {"status": "withdrawn"})
    assert withdrawn["status"] == "withdrawn"
    refused = await world.post("member_a", f"/members/{world.ids['member_a']}/deliveries", an_order(world))
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/skus/0"]
