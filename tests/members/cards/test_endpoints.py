"""Cards over HTTP, and sales that name nobody but what they were paid with."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world

TOKEN = "tok_9f2c1b7e4d8a4c55"


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


def path(world: ApiWorld, member: str = "member_a") -> str:
    return f"/members/{world.ids[member]}/cards"


def paid_sale(world: ApiWorld, **changes: Any) -> dict[str, Any]:
    """A sale of 12.00 that a connector tells of: it knows the card and not the member."""
    sale = world.a_sale(payment_token=TOKEN) | changes
    del sale["member"]
    return sale


class TestRegistering:
    async def test_a_card_is_registered_once_and_its_token_is_not_kept(self, world: ApiWorld) -> None:
        first = await world.post("member_a", path(world), {"token": TOKEN, "name": "Visa"})
        again = await world.post("member_a", path(world), {"token": TOKEN})
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json() == again.json()
        assert TOKEN not in first.text
        rows = await world.hand.rows("select * from payment_cards")
        assert TOKEN not in str(rows)
        assert (await world.get("operator", path(world))).json()["data"] == [first.json()]

    async def test_anothers_card_is_refused(self, world: ApiWorld) -> None:
        await world.made("member_a", path(world), {"token": TOKEN})
        before = await world.fingerprint()
        response = await world.post("member_b", path(world, "member_b"), {"token": TOKEN})
        assert (response.status_code, world.ids["member_a"] in response.text) == (409, False)
        assert await world.fingerprint() == before

    async def test_of_two_who_register_it_at_once_one_has_it(self, world: ApiWorld) -> None:
        answers = await asyncio.gather(
            *(world.post(f"member_{letter}", path(world, f"member_{letter}"), {"token": TOKEN}) for letter in "abab")
        )
        assert {201, 409} <= {answer.status_code for answer in answers} <= {200, 201, 409}
        assert (await world.hand.rows("select count(*) from payment_cards"))[0][0] == 1

    async def test_ten_are_enough(self, world: ApiWorld) -> None:
        for number in range(10):
            await world.made("member_a", path(world), {"token": f"{TOKEN}{number}"})
        assert (await world.post("member_a", path(world), {"token": TOKEN})).status_code == 409

    @pytest.mark.parametrize(
        "token", ["short_token", "4111111111111111", "4111-1111-1111-1111", "tok with some spaces"]
    )
    async def test_card_numbers_are_refused(self, world: ApiWorld, token: str) -> None:
        response = await world.post("member_a", path(world), {"token": token})
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/token")

    async def test_a_blocked_member_registers_none(self, world: ApiWorld) -> None:
        await world.made("operator", f"/members/{world.ids['member_a']}/block", {"reason": "fraud_suspected"})
        assert (await world.post("operator", path(world), {"token": TOKEN})).status_code == 404

    async def test_only_ones_own_is_removed(self, world: ApiWorld) -> None:
        card = await world.made("member_a", path(world), {"token": TOKEN})
        foreign = await world.send("member_b", "DELETE", f"{path(world, 'member_b')}/{card['id']}")
        unknown = await world.send("member_a", "DELETE", f"{path(world)}/crd_{'0' * 26}")
        assert (foreign.status_code, unknown.status_code) == (404, 404)
        assert (await world.send("member_a", "DELETE", f"{path(world)}/{card['id']}")).status_code == 204
        assert (await world.post("member_b", path(world, "member_b"), {"token": TOKEN})).status_code == 201


class TestSales:
    async def test_what_a_registered_card_pays_earns_for_its_member(self, world: ApiWorld) -> None:
        await world.made("member_a", path(world), {"token": TOKEN})
        sale = await world.made("partner_a", "/sales", paid_sale(world))
        assert (sale["member_id"], sale["tokens"]) == (world.ids["member_a"], 12)

    async def test_what_nobody_registered_stays_unassigned(self, world: ApiWorld) -> None:
        sale = await world.made("partner_a", "/sales", paid_sale(world))
        assert (sale["member_id"], sale["tokens"], sale["entry"]) == (None, 0, None)

    async def test_a_blocked_members_card_is_nobodys(self, world: ApiWorld) -> None:
        await world.made("member_a", path(world), {"token": TOKEN})
        await world.made("operator", f"/members/{world.ids['member_a']}/block", {"reason": "fraud_suspected"})
        assert (await world.made("partner_a", "/sales", paid_sale(world)))["member_id"] is None

    async def test_a_connectors_repetition_is_the_same_sale_whoever_registered_meanwhile(self, world: ApiWorld) -> None:
        """A card that is registered between two deliveries of one payment makes no other sale of it."""
        sale = paid_sale(world)
        first = await world.made("partner_a", "/sales", sale)
        await world.made("member_a", path(world), {"token": TOKEN})
        again = await world.post("partner_a", "/sales", sale)
        assert (again.status_code, again.json()["id"], again.json()["member_id"]) == (200, first["id"], None)
        other = await world.post("partner_a", "/sales", sale | {"payment_token": f"{TOKEN}x"})
        assert (other.status_code, other.json()["code"]) == (409, "recorded_otherwise")

    async def test_a_sale_names_a_member_or_a_card(self, world: ApiWorld) -> None:
        both = world.a_sale(payment_token=TOKEN)
        assert (await world.post("partner_a", "/sales", both)).status_code == 422

    async def test_a_batch_asks_for_its_cards_once(self, world: ApiWorld) -> None:
        await world.made("member_a", path(world), {"token": TOKEN})
        sales = [paid_sale(world), world.a_sale(), paid_sale(world, payment_token=f"{TOKEN}x")]
        results = (await world.made("partner_a", "/sales/batch", {"sales": sales}))["results"]
        assert [one["sale"]["tokens"] for one in results] == [12, 12, 0]
