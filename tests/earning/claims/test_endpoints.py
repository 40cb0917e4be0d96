"""Receipts that are claimed after the fact, over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world
from factories.actions import a_rule, credited, follow, join
from mereau.earning.attempts.domain import PER_ACCOUNT_MAX

PARIS = ZoneInfo("Europe/Paris")


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


async def a_receipt(world: ApiWorld, who: str = "partner_a", **changes: Any) -> dict[str, Any]:
    """What is printed on the receipt of a sale to nobody known, of 12.00 an hour ago unless told otherwise."""
    sold_at = changes.pop("sold_at", datetime.now(UTC) - timedelta(hours=1))
    sale = world.a_sale(occurred_at=sold_at.isoformat()) | changes
    del sale["member"]
    recorded = await world.made(who, "/sales", sale)
    assert (recorded["member_id"], recorded["tokens"]) == (None, 0)
    return {
        "external_id": sale["external_id"],
        "amount_minor": 1_200,
        "day": sold_at.astimezone(PARIS).date().isoformat(),
        "partner_id": recorded["partner_id"],
    }


async def claim(world: ApiWorld, receipt: dict[str, Any], who: str = "member_a", **changes: Any) -> httpx.Response:
    return await world.post(who, "/receipts/claim", receipt | changes)


async def tokens(world: ApiWorld, member: str = "member_a") -> int:
    response = await world.get("operator", f"/members/{world.ids[member]}/balance")
    return int(response.json()["available"])


async def bring_back(world: ApiWorld, sale_id: str, units: int) -> dict[str, Any]:
    body = {
        "external_id": f"T-{next(world.numbers)}",
        "occurred_at": datetime.now(UTC).isoformat(),
        "lines": [{"line_number": 1, "quantity": units}],
    }
    return await world.made("partner_a", f"/sales/{sale_id}/returns", body)


async def test_a_claimed_receipt_earns_as_it_would_have(world: ApiWorld) -> None:
    twin = await world.made("partner_a", "/sales", world.a_sale(occurred_at=datetime.now(UTC).isoformat()))
    before = await tokens(world)
    response = await claim(world, await a_receipt(world))
    claimed = response.json()
    assert response.status_code == 201
    same = ("tokens", "eligible", "rule", "member_id", "partner_id")
    assert {name: claimed[name] for name in same} == {name: twin[name] for name in same}
    assert await tokens(world) == before + 12
    shown = (await world.get("member_a", f"/sales/{claimed['id']}")).json()
    assert [line["tokens"] for line in shown["lines"]] == [12]
    assert await world.hand.drift() == 0


async def test_a_receipt_is_claimed_once_for_ever(world: ApiWorld) -> None:
    """S2: neither again, nor by somebody else."""
    receipt = await a_receipt(world)
    assert (await claim(world, receipt)).status_code == 201
    before = await tokens(world)
    answers = [await claim(world, receipt), await claim(world, receipt, "member_b")]
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(422, "receipt_not_valid")}
    assert await tokens(world) == before


async def test_a_tills_repetition_of_a_claimed_receipt_is_the_same_sale(world: ApiWorld) -> None:
    sale = world.a_sale(occurred_at=datetime.now(UTC).isoformat())
    del sale["member"]
    first = await world.made("partner_a", "/sales", sale)
    receipt = {
        "external_id": sale["external_id"],
        "amount_minor": 1_200,
        "day": datetime.now(PARIS).date().isoformat(),
        "partner_id": first["partner_id"],
    }
    assert (await claim(world, receipt)).status_code == 201
    again = await world.post("partner_a", "/sales", sale)
    assert (again.status_code, again.json()["id"], again.json()["duplicate"]) == (200, first["id"], True)


async def test_of_many_at_once_one_has_it(world: ApiWorld) -> None:
    receipt = await a_receipt(world)
    before = await tokens(world) + await tokens(world, "member_b")
    answers = await asyncio.gather(*(claim(world, receipt, f"member_{letter}") for letter in "abababab"))
    assert sorted(answer.status_code for answer in answers) == [201] + [422] * 7
    assert await tokens(world) + await tokens(world, "member_b") == before + 12


async def test_what_does_not_fit_is_one_answer_that_changes_nothing(world: ApiWorld) -> None:
    receipt = await a_receipt(world)
    old = await a_receipt(world, sold_at=datetime.now(UTC) - timedelta(days=31))
    known = world.a_sale(occurred_at=datetime.now(UTC).isoformat())
    await world.made("partner_a", "/sales", known)
    wrong = [
        receipt | {"amount_minor": 1_201},
        receipt | {"day": "2026-01-01"},
        receipt | {"external_id": "unheard of"},
        receipt | {"partner_id": world.ids["partner_b"]},
        receipt | {"external_id": known["external_id"]},
        old,
    ]
    before = await tokens(world, "member_b")
    answers = [await claim(world, body, "member_b") for body in wrong]
    assert len({(answer.status_code, answer.json()["code"], answer.json()["detail"]) for answer in answers}) == 1
    assert await tokens(world, "member_b") == before
    assert (await claim(world, receipt, "member_b")).status_code == 201


async def test_guesses_are_counted(world: ApiWorld) -> None:
    receipt = await a_receipt(world)
    guesses = [await claim(world, receipt, amount_minor=amount) for amount in range(PER_ACCOUNT_MAX + 1)]
    assert [answer.status_code for answer in guesses] == [422] * PER_ACCOUNT_MAX + [429]
    assert (await claim(world, receipt)).status_code == 429


async def test_goods_that_came_back_are_not_claimed(world: ApiWorld) -> None:
    """M3: the receipt of what was returned."""
    receipt = await a_receipt(world)
    ((sale_id,),) = await world.hand.rows("select id from sales where external_id = :it", it=receipt["external_id"])
    await bring_back(world, sale_id, 1)
    assert (await claim(world, receipt)).status_code == 422


async def test_a_claimed_sale_is_returned_like_any_other(world: ApiWorld) -> None:
    before = await tokens(world)
    sale = (await claim(world, await a_receipt(world))).json()
    done = await bring_back(world, sale["id"], 3)
    assert (done["tokens_reversed"], await tokens(world)) == (12, before)


async def test_several_rules_credit_a_claimed_sale_each(world: ApiWorld) -> None:
    await a_rule(world, "sale", 3, issuer_partner_id=None)
    before = await tokens(world)
    sale = (await claim(world, await a_receipt(world))).json()
    assert (sale["tokens"], await tokens(world)) == (15, before + 15)
    await bring_back(world, sale["id"], 3)
    assert await tokens(world) == before


async def test_a_line_that_never_earns_earns_nothing_when_claimed(world: ApiWorld) -> None:
    receipt = await a_receipt(world)
    await world.hand.write("update sale_lines set eligible = false")
    assert (await claim(world, receipt)).json()["tokens"] == 0


async def test_a_claimed_receipt_may_be_the_first_purchase(world: ApiWorld) -> None:
    await a_rule(world, "first_purchase", 40)
    await join(world, "new")
    receipt = await a_receipt(world)
    await follow(world)
    done = await claim(world, receipt, "staff", member={"external_id": "card-new"})
    assert done.status_code == 201
    await follow(world)
    assert await credited(world, "new") == [40]


async def test_staff_claim_their_own_shops_receipts(world: ApiWorld) -> None:
    receipt = await a_receipt(world, "partner_b")
    someone = {"external_id": "card-a"}
    foreign = await claim(world, receipt, "staff", member=someone)
    nameless = {name: value for name, value in receipt.items() if name != "partner_id"}
    missing = await claim(world, nameless, "operator", member=someone)
    nobody = await claim(world, receipt, "operator")
    assert [answer.json()["errors"][0]["code"] for answer in (foreign, missing, nobody)] == [
        "not_yours", "missing", "missing",
    ]  # fmt: skip
    assert (await claim(world, nameless, "partner_b", member=someone)).status_code == 201
