"""Goods over HTTP: what is refused and where, what is offered to members, and stock that is asked for at once."""

import asyncio
from typing import Any

from api.goods import an_order, ordered, some_goods
from api.world import ApiWorld
from mereau.rewards.goods.domain import PIECES_MAX, VARIANTS_MAX
from mereau.rewards.goods.offers.domain import CHOICES_MAX, PIECES_PER_SLOT_MAX, SLOTS_MAX

UNKNOWN = "gds_01K9Q2M4T6V8X0Z2B4D6F8H0J2"
VARIANT = {"sku": "TEE-X", "size": "M", "colour": "red"}


def pointers(response: Any) -> list[str]:
    return [error["pointer"] for error in response.json()["errors"]]


WRONG_GOODS: list[tuple[dict[str, Any], str]] = [
    ({"external_id": ""}, "/external_id"),
    ({"name_fr": " "}, "/name_fr"),
    ({"name_en": "x" * 201}, "/name_en"),
    ({"supplier": "a\x01b"}, "/supplier"),
    ({"cost_minor": -1}, "/cost_minor"),
    ({"cost_minor": 6.4}, "/cost_minor"),
    ({"variants": []}, "/variants"),
    ({"variants": [VARIANT | {"sku": f"T-{i}", "size": str(i)} for i in range(VARIANTS_MAX + 1)]}, "/variants"),
    ({"variants": [VARIANT, VARIANT | {"size": "L"}]}, "/variants/1/sku"),
    ({"variants": [VARIANT, VARIANT | {"sku": "TEE-Y"}]}, "/variants/1/size"),
    ({"variants": [VARIANT | {"buffer": -1}]}, "/variants/0/buffer"),
    ({"variants": [VARIANT | {"alert_at": PIECES_MAX + 1}]}, "/variants/0/alert_at"),
    ({"variants": [VARIANT | {"on_hand": 5}]}, "/variants/0/on_hand"),
]


async def test_wrong_goods_are_pointed_at(stocked_world: ApiWorld) -> None:
    for changes, pointer in WRONG_GOODS:
        response = await stocked_world.post("operator", "/goods", some_goods(stocked_world) | changes)
        assert (response.status_code, pointers(response)) == (422, [pointer]), changes
    assert len((await stocked_world.get("operator", "/goods")).json()["data"]) == 1


async def test_taken_and_unknown_goods_are_refused(stocked_world: ApiWorld) -> None:
    world = stocked_world
    taken = (await world.get("operator", f"/goods/{world.ids['goods']}")).json()
    again = await world.post("operator", "/goods", some_goods(world) | {"external_id": taken["external_id"]})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    lost = some_goods(world) | {"partner_id": "par_01K9Q2M4T6V8X0Z2B4D6F8H0J2"}
    assert (await world.post("operator", "/goods", lost)).status_code == 404
    for path in (f"/goods/{UNKNOWN}", "/goods/gds_1", f"/goods/{UNKNOWN}/movements"):
        assert (await world.get("operator", path)).status_code == 404
    status = await world.post("operator", f"/goods/{UNKNOWN}/status", {"status": "approved"})
    assert status.status_code == 404
    draft = await world.post("operator", f"/goods/{world.ids['goods']}/status", {"status": "draft"})
    assert (draft.status_code, pointers(draft)) == (422, ["/status"])


async def test_as_many_variants_as_may_be(stocked_world: ApiWorld) -> None:
    variants = [{"sku": f"T-{i}", "size": str(i)} for i in range(VARIANTS_MAX)]
    made = await stocked_world.made("operator", "/goods", some_goods(stocked_world) | {"variants": variants})
    assert len(made["variants"]) == VARIANTS_MAX


WRONG_MOVEMENTS: list[tuple[dict[str, Any], int, str]] = [
    ({"kind": "received", "pieces": 0}, 422, "/pieces"),
    ({"kind": "written_off", "pieces": 0}, 422, "/pieces"),
    ({"kind": "received", "pieces": -1}, 422, "/pieces"),
    ({"kind": "received", "pieces": PIECES_MAX + 1}, 422, "/pieces"),
    ({"kind": "reserved"}, 422, "/kind"),
    ({"kind": "shipped"}, 422, "/kind"),
    ({"reason": ""}, 422, "/reason"),
    ({"sku": "MUG"}, 404, "not_found"),
    ({"kind": "written_off", "pieces": 1_000}, 409, "stock_too_low"),
    ({"kind": "counted", "pieces": 0}, 409, "stock_too_low"),
]


async def test_movements_that_cannot_be(stocked_world: ApiWorld) -> None:
    world = stocked_world
    await ordered(world)
    path = f"/goods/{world.ids['goods']}/movements"
    before = (await world.get("operator", path)).json()["data"]
    for changes, status, told in WRONG_MOVEMENTS:
        body = {"sku": world.ids["sku"], "kind": "received", "pieces": 1, "reason": "found"} | changes
        response = await world.post("staff", path, body)
        assert response.status_code == status, changes
        assert told in {*pointers(response), response.json()["code"]}
    assert (await world.get("operator", path)).json()["data"] == before


async def test_a_movement_is_made_once_for_each_key(stocked_world: ApiWorld) -> None:
    world = stocked_world
    path = f"/goods/{world.ids['goods']}/movements"
    body = {"sku": world.ids["sku"], "kind": "received", "pieces": 5, "reason": "order 4712"}
    answers = await asyncio.gather(*(world.post("staff", path, body, key="box-1") for _ in range(3)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    again = await world.post("staff", path, body, key="box-1")
    assert (again.json()["on_hand"], again.headers["idempotent-replayed"]) == (1_005, "true")
    other = await world.post("staff", path, body | {"pieces": 6}, key="box-1")
    assert other.status_code == 422
    assert (await world.get("staff", f"/goods/{world.ids['goods']}")).json()["variants"][0]["on_hand"] == 1_005


async def test_a_count_may_find_nothing(stocked_world: ApiWorld) -> None:
    world = stocked_world
    body = {"sku": world.ids["sku"], "kind": "counted", "pieces": 0, "reason": "stolen"}
    counted = await world.made("staff", f"/goods/{world.ids['goods']}/movements", body)
    assert (counted["on_hand"], counted["available"]) == (0, 0)
    refused = await world.post("member_a", f"/members/{world.ids['member_a']}/deliveries", an_order(world))
    assert (refused.status_code, refused.json()["code"]) == (409, "out_of_stock")


async def test_the_last_pieces_over_http(stocked_world: ApiWorld) -> None:
    """Each order has its key and its own tokens; three pieces are promised to three, and the counts agree."""
    world = stocked_world
    body = {"sku": world.ids["sku"], "kind": "counted", "pieces": 3, "reason": "inventory"}
    await world.made("staff", f"/goods/{world.ids['goods']}/movements", body)
    path = f"/members/{world.ids['member_a']}/deliveries"
    answers = await asyncio.gather(*(world.post("member_a", path, an_order(world)) for _ in range(6)))
    codes = sorted(answer.json().get("code", "ordered") for answer in answers)
    assert codes == ["ordered"] * 3 + ["out_of_stock"] * 3
    (variant,) = (await world.get("staff", f"/goods/{world.ids['goods']}")).json()["variants"]
    assert (variant["on_hand"], variant["reserved"], variant["available"]) == (3, 3, 0)


async def test_what_is_there_is_shown_by_size_and_by_what_a_slot_needs(stocked_world: ApiWorld) -> None:
    world = stocked_world
    sizes = ["10XL", "36", None, "XS", "4", "M", "2XL", "S"]
    variants = [{"sku": f"V-{size}", "size": size, "buffer": 2} for size in sizes]
    made = await world.made("operator", "/goods", some_goods(world) | {"variants": variants})
    await world.made("operator", f"/goods/{made['id']}/status", {"status": "approved"})
    for sku, pieces in (("V-M", 4), ("V-S", 5)):
        body = {"sku": sku, "kind": "received", "pieces": pieces, "reason": "order"}
        await world.made("staff", f"/goods/{made['id']}/movements", body)
    terms = {"personalisation": "none", "more": [{"goods_ids": [made["id"]], "pieces": 3}]}
    put = await world.send("operator", "PUT", f"/rewards/{world.ids['gift']}/goods", terms)
    slot = put.json()["slots"][1]
    assert [option["size"] for option in slot["choices"][0]["options"]] == [
        None, "XS", "S", "M", "2XL", "10XL", "4", "36",
    ]  # fmt: skip
    there = {option["sku"]: option["is_available"] for option in slot["choices"][0]["options"]}
    # Three pieces beside a buffer of two are there in S alone.
    assert [sku for sku, is_available in there.items() if is_available] == ["V-S"]
    await world.made("operator", f"/goods/{made['id']}/status", {"status": "withdrawn"})
    seen = (await world.get("member_b", f"/rewards/{world.ids['gift']}/goods")).json()
    assert [len(one["choices"]) for one in seen["slots"]] == [1, 0]


WRONG_OFFERS: list[tuple[dict[str, Any], str]] = [
    ({"personalisation": "carving"}, "/personalisation"),
    ({"proof_by": "nobody"}, "/proof_by"),
    ({"more": [{"goods_ids": []}]}, "/more/0/goods_ids"),
    ({"more": [{"goods_ids": ["{goods}"] * (CHOICES_MAX + 1)}]}, "/more/0/goods_ids"),
    ({"more": [{"goods_ids": ["{goods}", "{goods}"]}]}, "/more/0/goods_ids/1"),
    ({"more": [{"goods_ids": [UNKNOWN]}]}, "/more/0/goods_ids/0"),
    ({"more": [{"goods_ids": ["{goods}"], "pieces": 0}]}, "/more/0/pieces"),
    ({"more": [{"goods_ids": ["{goods}"], "pieces": PIECES_PER_SLOT_MAX + 1}]}, "/more/0/pieces"),
    ({"more": [{"goods_ids": ["{goods}"]}] * SLOTS_MAX}, "/more"),
]


async def test_wrong_offers_are_pointed_at(stocked_world: ApiWorld) -> None:
    world = stocked_world
    path = f"/rewards/{world.ids['gift']}/goods"
    before = (await world.get("operator", path)).json()
    for changes, pointer in WRONG_OFFERS:
        more = [
            slot | {"goods_ids": [name.format(**world.ids) for name in slot["goods_ids"]]}
            for slot in changes.get("more", [])
        ]
        response = await world.send("operator", "PUT", path, {"personalisation": "none"} | changes | {"more": more})
        assert (response.status_code, pointers(response)) == (422, [pointer]), changes
    assert (await world.get("operator", path)).json() == before


async def test_a_kit_of_as_many_slots_and_pieces_as_may_be(stocked_world: ApiWorld) -> None:
    world = stocked_world
    full = {"goods_ids": [world.ids["goods"]], "pieces": PIECES_PER_SLOT_MAX}
    terms = {"personalisation": "none", "more": [full] * (SLOTS_MAX - 1)}
    response = await world.send("operator", "PUT", f"/rewards/{world.ids['gift']}/goods", terms)
    assert len(response.json()["slots"]) == SLOTS_MAX
    path = f"/members/{world.ids['member_a']}/deliveries"
    skus = [world.ids["sku"]] * SLOTS_MAX
    short = await world.post("member_a", path, an_order(world, skus=skus[1:]))
    assert pointers(short) == [f"/skus/{SLOTS_MAX - 1}"]
    made = await world.made("member_a", path, an_order(world, skus=skus))
    assert [line["pieces"] for line in made["lines"]] == [1] + [PIECES_PER_SLOT_MAX] * (SLOTS_MAX - 1)
    (variant,) = (await world.get("staff", f"/goods/{world.ids['goods']}")).json()["variants"]
    assert variant["reserved"] == 1 + PIECES_PER_SLOT_MAX * (SLOTS_MAX - 1)


async def test_goods_and_their_figures_are_their_partners_own(stocked_world: ApiWorld) -> None:
    world = stocked_world
    for path in ("/goods", "/goods/figures"):
        seen = {
            who: len((await world.get(who, path)).json()["data"])
            for who in ("partner_a", "staff", "partner_b", "operator", "auditor")
        }
        assert seen == {"partner_a": 1, "staff": 1, "partner_b": 0, "operator": 1, "auditor": 1}
    assert (await world.get("partner_b", f"/goods/{world.ids['goods']}/movements")).status_code == 404
    backwards = {"since": "2027-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}
    (figures,) = (await world.get("operator", "/goods/figures", **backwards)).json()["data"]
    assert figures["pieces_shipped"] == 0
