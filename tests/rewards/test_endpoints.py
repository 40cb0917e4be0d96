"""The catalogue, redemptions and vouchers over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world

UNKNOWN = "01K9Q2M4T6V8X0Z2B4D6F8H0J2"


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


def a_reward(world: ApiWorld, **changes: Any) -> dict[str, Any]:
    return {
        "external_id": "tea", "partner_id": world.ids["partner_a"], "name_fr": "Un thé", "name_en": "A tea",
        "price_tokens": 20, "stock": 1,
    } | changes  # fmt: skip


def redemptions(world: ApiWorld, letter: str = "a") -> str:
    return f"/members/{world.ids[f'member_{letter}']}/redemptions"


class TestCatalogue:
    async def test_drafts_are_for_operators_and_auditors(self, world: ApiWorld) -> None:
        await world.made("operator", "/rewards", a_reward(world, status="draft"))
        for who, count in (("member_a", 1), ("partner_a", 1), ("staff", 1), ("operator", 2), ("auditor", 2)):
            assert len((await world.get(who, "/rewards")).json()["data"]) == count

    async def test_lists_are_pages(self, world: ApiWorld) -> None:
        for index in range(3):
            await world.made("operator", "/rewards", a_reward(world, external_id=f"tea-{index}"))
        page = (await world.get("member_a", "/rewards", limit=3)).json()
        rest = (await world.get("member_a", "/rewards", limit=3, cursor=page["next_cursor"])).json()
        ids = [reward["id"] for reward in page["data"] + rest["data"]]
        assert (len(ids), ids) == (4, sorted(ids))

    async def test_a_taken_name_and_an_unknown_partner_are_refused(self, world: ApiWorld) -> None:
        taken = await world.post("operator", "/rewards", a_reward(world, external_id="coffee"))
        unknown = await world.post("operator", "/rewards", a_reward(world, partner_id=f"par_{UNKNOWN}"))
        assert (taken.status_code, unknown.status_code) == (409, 404)


class TestRedeem:
    async def test_the_answer_says_where_to_look(self, world: ApiWorld) -> None:
        response = await world.post("member_a", redemptions(world), {"reward_id": world.ids["reward"]})
        done = response.json()
        assert (response.status_code, done["state"], done["tokens"]) == (202, "burning", 50)
        assert response.headers["location"] == f"/api/v1/redemptions/{done['id']}"
        assert (done["balance"]["available"], done["balance"]["held"]) == (70, 50)
        seen = await world.client.get(
            f"http://mereau.test{response.headers['location']}",
            headers={"authorization": f"Bearer {world.keys['member_a']}"},
        )
        assert (seen.status_code, seen.json()["voucher_code"]) == (200, None)

    @pytest.mark.parametrize("reward_id", [f"rwd_{UNKNOWN}"])
    async def test_an_unknown_reward_is_not_found(self, world: ApiWorld, reward_id: str) -> None:
        assert (await world.post("member_a", redemptions(world), {"reward_id": reward_id})).status_code == 404

    async def test_too_few_tokens_are_refused(self, world: ApiWorld) -> None:
        before = await world.fingerprint()
        response = await world.post("member_b", redemptions(world, "b"), {"reward_id": world.ids["reward"]})
        assert (response.status_code, response.json()["code"]) == (409, "insufficient_balance")
        assert await world.fingerprint() == before

    async def test_one_balance_is_spent_once(self, world: ApiWorld) -> None:
        """120 tokens and a price of 50: of six at once, two succeed."""
        body = {"reward_id": world.ids["reward"]}
        answers = await asyncio.gather(*(world.post("member_a", redemptions(world), body) for _ in range(6)))
        assert sorted(answer.status_code for answer in answers) == [202] * 2 + [409] * 4

    async def test_the_last_piece_goes_once(self, world: ApiWorld) -> None:
        reward = await world.made("operator", "/rewards", a_reward(world))
        body = {"reward_id": reward["id"]}
        answers = await asyncio.gather(*(world.post("member_a", redemptions(world), body) for _ in range(4)))
        assert sorted(answer.status_code for answer in answers) == [202] + [409] * 3

    async def test_a_frozen_mirror_stops_redemptions(self, world: ApiWorld) -> None:
        await world.mine_everything()
        await world.hand.write("update chain_mirror set frozen_reason = 'a deep reorg'")
        response = await world.post("member_a", redemptions(world), {"reward_id": world.ids["reward"]})
        assert (response.status_code, response.json()["code"]) == (503, "redemptions_frozen")

    @pytest.mark.parametrize("member_id", [f"mem_{UNKNOWN}", "mem_1"])
    async def test_an_unknown_member_is_not_found(self, world: ApiWorld, member_id: str) -> None:
        body = {"reward_id": world.ids["reward"]}
        assert (await world.post("operator", f"/members/{member_id}/redemptions", body)).status_code == 404


class TestVoucher:
    async def test_it_is_shown_to_who_may_redeem_and_used_once(self, world: ApiWorld) -> None:
        redemption = await world.a_redemption()
        path = f"/redemptions/{redemption['id']}"
        code = await world.grant(redemption)
        for who, shown in (
            ("member_a", code), ("operator", code), ("partner_a", None), ("staff", None), ("auditor", None),
        ):  # fmt: skip
            assert (await world.get(who, path)).json()["voucher_code"] == shown
        used = await world.post("staff", f"{path}/use", {"code": code.lower().replace("-", " ")})
        assert (used.status_code, used.json()["state"]) == (200, "used")
        again = await world.post("partner_a", f"{path}/use", {"code": code})
        assert (again.status_code, again.json()["code"]) == (409, "voucher_used")
        assert (await world.get("member_a", path)).json()["voucher_code"] is None

    async def test_before_the_burn_is_final_there_is_none(self, world: ApiWorld) -> None:
        redemption = await world.a_redemption()
        path = f"/redemptions/{redemption['id']}"
        assert (await world.get("member_a", path)).json()["voucher_code"] is None
        response = await world.post("partner_a", f"{path}/use", {"code": "0000-0000-0000-0000"})
        assert response.status_code == 404

    async def test_wrong_codes_and_foreign_vouchers_are_one_answer(self, world: ApiWorld) -> None:
        redemption = await world.a_redemption()
        code = await world.grant(redemption)
        path = f"/redemptions/{redemption['id']}/use"
        other = f"/redemptions/red_{UNKNOWN}/use"
        answers = [
            await world.post("partner_a", path, {"code": "0000-0000-0000-0000"}),
            await world.post("partner_a", path, {"code": "no code"}),
            await world.post("partner_b", path, {"code": code}),
            await world.post("partner_a", other, {"code": code}),
        ]
        assert {(answer.status_code, answer.json()["detail"]) for answer in answers} == {
            (404, "There is no such voucher.")
        }
        assert (await world.post("operator", path, {"code": code})).status_code == 200

    async def test_two_tills_at_once_use_it_once(self, world: ApiWorld) -> None:
        redemption = await world.a_redemption()
        code = await world.grant(redemption)
        path = f"/redemptions/{redemption['id']}/use"
        answers = await asyncio.gather(*(world.post("partner_a", path, {"code": code}) for _ in range(4)))
        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 3

    @pytest.mark.parametrize("redemption_id", [f"red_{UNKNOWN}", "red_1"])
    async def test_an_unknown_redemption_is_not_found(self, world: ApiWorld, redemption_id: str) -> None:
        assert (await world.get("operator", f"/redemptions/{redemption_id}")).status_code == 404
        used = await world.post("operator", f"/redemptions/{redemption_id}/use", {"code": "x"})
        assert used.status_code == 404
