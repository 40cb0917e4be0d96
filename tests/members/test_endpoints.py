"""/members over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


ADA = {"external_id": "card-7", "display_name": "Ada", "email": "ada@example.org", "locale": "en"}


class TestEnrol:
    async def test_a_member_is_enrolled_by_the_partner_that_asked(self, world: ApiWorld) -> None:
        response = await world.post("partner_a", "/members", ADA)
        member = response.json()
        assert response.status_code == 201
        assert member["id"].startswith("mem_")
        assert {name: member[name] for name in ADA} == ADA
        assert (member["enrolled_by_partner_id"], member["status"]) == (world.ids["partner_a"], "active")

    async def test_the_same_again_is_the_same_member(self, world: ApiWorld) -> None:
        first = await world.post("partner_a", "/members", ADA)
        before = await world.fingerprint()
        again = await world.post("partner_a", "/members", ADA)
        assert (again.status_code, again.json()) == (200, first.json())
        assert await world.fingerprint() == before

    @pytest.mark.parametrize("change", [{"display_name": "Grace"}, {"email": None}, {"locale": "fr"}])
    async def test_other_content_is_a_conflict(self, world: ApiWorld, change: dict[str, Any]) -> None:
        await world.made("partner_a", "/members", ADA)
        response = await world.post("partner_a", "/members", ADA | change)
        assert (response.status_code, response.json()["code"]) == (409, "conflict")

    async def test_another_partner_learns_nothing_of_the_member(self, world: ApiWorld) -> None:
        await world.made("partner_a", "/members", ADA)
        response = await world.post("partner_b", "/members", ADA)
        assert response.status_code == 409
        assert "ada" not in response.text.lower()

    async def test_an_operator_enrols_for_nobody(self, world: ApiWorld) -> None:
        assert (await world.made("operator", "/members", ADA))["enrolled_by_partner_id"] is None

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("email", "ada"), ("email", "a@b"), ("email", "a b@c.d"), ("email", "a@@b.c"), ("locale", "french"),
            ("locale", "FR"), ("locale", "fr_FR"), ("display_name", " "), ("display_name", "x" * 201),
            ("external_id", "x" * 129), ("status", "active"), ("enrolled_by_partner_id", None),
        ],
    )  # fmt: skip
    async def test_wrong_fields_are_named(self, world: ApiWorld, field: str, value: Any) -> None:
        response = await world.post("partner_a", "/members", ADA | {field: value})
        assert response.status_code == 422
        assert [error["pointer"] for error in response.json()["errors"]] == [f"/{field}"]


class TestGet:
    async def test_members_see_themselves(self, world: ApiWorld) -> None:
        response = await world.get("member_a", f"/members/{world.ids['member_a']}")
        assert (response.status_code, response.json()["external_id"]) == (200, "card-a")

    async def test_foreign_and_unknown_members_are_one_answer(self, world: ApiWorld) -> None:
        unknown = "mem_01K9Q2M4T6V8X0Z2B4D6F8H0J2"
        answers = []
        for who in ("member_b", "partner_b"):
            for member_id in (world.ids["member_a"], unknown, "mem_x", "x", world.ids["sale"]):
                response = await world.get(who, f"/members/{member_id}")
                problem = response.json()
                answers.append((response.status_code, problem["detail"], problem["code"]))
        assert set(answers) == {(404, "There is no such member.", "not_found")}
