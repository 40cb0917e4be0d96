"""Profiles, blocking and completeness over HTTP."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world
from mereau.core.db import transaction
from mereau.members.profile import service as profiles


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


async def change(world: ApiWorld, who: str, body: dict[str, Any], member: str = "member_a") -> httpx.Response:
    return await world.send(who, "PATCH", f"/members/{world.ids[member]}", body)


async def age_birth_date(world: ApiWorld, days: int) -> None:
    """As if the birth date had been set so many days earlier."""
    async with transaction(world.engine) as session:
        await session.execute(
            text("update members set birth_date_set_at = birth_date_set_at - make_interval(days => :days)"),
            {"days": days},
        )


class TestChange:
    @pytest.mark.parametrize("who", ["member_a", "partner_a", "staff", "operator"])
    async def test_what_is_said_changes_and_the_rest_stays(self, world: ApiWorld, who: str) -> None:
        first = {
            "display_name": "Ada",
            "email": "Ada+x@gmail.com",
            "phone": "+33612345678",
            "attributes": {"size": "M"},
        }
        assert (await change(world, who, first)).status_code == 200
        member = (await change(world, who, {"locale": "en", "phone": None})).json()
        assert {name: member[name] for name in first} == first | {"phone": None}
        assert member["locale"] == "en"
        assert "email_key" not in member

    async def test_the_same_again_changes_nothing(self, world: ApiWorld) -> None:
        await change(world, "member_a", {"display_name": "Ada"})
        before = await world.fingerprint()
        assert (await change(world, "member_a", {"display_name": "Ada"})).status_code == 200
        assert (await change(world, "member_a", {})).status_code == 200
        assert await world.fingerprint() == before

    @pytest.mark.parametrize("who", ["member_b", "partner_b"])
    async def test_anothers_member_does_not_exist(self, world: ApiWorld, who: str) -> None:
        before = await world.fingerprint()
        assert (await change(world, who, {"display_name": "Eve"})).status_code == 404
        assert await world.fingerprint() == before

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("status", "blocked"), ("external_id", "x"), ("enrolled_by_partner_id", None), ("email_key", "x"),
            ("phone", "0612345678"), ("phone", "+0612345678"), ("phone", "+33 612345678"), ("locale", None),
            ("birth_date", "1990-02-30"), ("birth_date", "1899-12-31"), ("birth_date", "1990-2-3"),
            ("birth_date", 19900203), ("birth_date", "1990-02-03T00:00:00Z"), ("birth_date", "2100-01-01"),
            ("attributes", {"Size": "M"}), ("attributes", {"size": {"deep": 1}}), ("attributes", {"size": "x" * 201}),
            ("attributes", {"n": 2**53}), ("attributes", {"n": 1.5}), ("attributes", {"size": None}),
            ("attributes", {f"a{index}": 1 for index in range(33)}), ("attributes", None),
        ],
    )  # fmt: skip
    async def test_wrong_fields_are_named(self, world: ApiWorld, field: str, value: Any) -> None:
        before = await world.fingerprint()
        response = await change(world, "operator", {field: value})
        assert response.status_code == 422
        assert {error["pointer"].split("/")[1] for error in response.json()["errors"]} == {field}
        assert await world.fingerprint() == before

    async def test_members_and_partners_do_not_label(self, world: ApiWorld) -> None:
        """S1: labels decide who is in an audience."""
        for who in ("member_a", "partner_a", "staff"):
            response = await change(world, who, {"labels": ["vip"]})
            assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/labels")
        assert (await change(world, "operator", {"labels": ["vip", "b2b", "vip"]})).json()["labels"] == ["b2b", "vip"]

    async def test_the_journal_names_fields_and_nobody(self, world: ApiWorld) -> None:
        await change(world, "member_a", {"display_name": "Ada", "email": "ada@example.org"})
        rows = await world.hand.rows("select actor, detail from journal_entries where action = 'member.changed'")
        assert [(row.actor, row.detail) for row in rows] == [
            (world.key_ids["member_a"], {"fields": ["display_name", "email"]})
        ]


class TestBirthDate:
    async def test_first_free_then_once_a_year(self, world: ApiWorld) -> None:
        assert (await change(world, "member_a", {"birth_date": "1990-02-28"})).status_code == 200
        assert (await change(world, "member_a", {"birth_date": "1990-02-28", "locale": "en"})).status_code == 200
        early = await change(world, "member_a", {"birth_date": "1990-03-01", "locale": "fr"})
        assert (early.status_code, early.json()["code"]) == (409, "birth_date_locked")
        assert early.json()["errors"][0]["pointer"] == "/birth_date"
        await age_birth_date(world, 366)
        assert (await change(world, "member_a", {"birth_date": "1990-03-01"})).json()["birth_date"] == "1990-03-01"

    async def test_taking_it_away_does_not_set_it_free(self, world: ApiWorld) -> None:
        await change(world, "member_a", {"birth_date": "1990-02-28"})
        assert (await change(world, "member_a", {"birth_date": None})).status_code == 409
        await age_birth_date(world, 366)
        assert (await change(world, "member_a", {"birth_date": None})).status_code == 200
        assert (await change(world, "member_a", {"birth_date": "1990-05-01"})).status_code == 409

    async def test_an_operator_needs_a_reason(self, world: ApiWorld) -> None:
        await change(world, "member_a", {"birth_date": "1990-02-28"})
        assert (await change(world, "operator", {"birth_date": "1990-03-01"})).status_code == 409
        done = await change(world, "operator", {"birth_date": "1990-03-01", "reason": "document_seen"})
        assert done.json()["birth_date"] == "1990-03-01"
        for who in ("member_a", "partner_a", "staff"):
            cheat = await change(world, who, {"birth_date": "1990-04-01", "reason": "document_seen"})
            assert (cheat.status_code, cheat.json()["errors"][0]["pointer"]) == (422, "/reason")

    async def test_nobody_is_born_tomorrow(self, world: ApiWorld) -> None:
        later = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
        response = await change(world, "member_a", {"birth_date": later})
        assert (response.status_code, response.json()["errors"][0]["code"]) == (422, "future")

    async def test_the_date_told_at_enrolment_is_the_first(self, world: ApiWorld) -> None:
        body = {"external_id": "card-9", "birth_date": "1990-02-28", "phone": "+33612345678", "device_tag": "device-1"}
        member = await world.made("partner_a", "/members", body)
        assert (member["birth_date"], member["phone"]) == ("1990-02-28", "+33612345678")
        assert "device_tag" not in member
        response = await world.send("partner_a", "PATCH", f"/members/{member['id']}", {"birth_date": "1990-03-01"})
        assert response.status_code == 409
        again = await world.post("partner_a", "/members", body)
        assert (again.status_code, again.json()["id"]) == (200, member["id"])
        assert (await world.post("partner_a", "/members", body | {"device_tag": "device-2"})).status_code == 409


class TestBlock:
    async def test_who_is_blocked_neither_earns_nor_redeems(self, world: ApiWorld) -> None:
        path = f"/members/{world.ids['member_a']}"
        blocked = (await world.post("operator", f"{path}/block", {"reason": "fraud_suspected"})).json()
        assert (blocked["status"], blocked["blocked_reason"]) == ("blocked", "fraud_suspected")
        sale = await world.post("partner_a", "/sales", world.a_sale())
        assert (sale.status_code, sale.json()["errors"][0]["pointer"]) == (422, "/member")
        spend = await world.post("member_a", f"{path}/redemptions", {"reward_id": world.ids["reward"]})
        assert spend.status_code == 409
        freed = (await world.post("operator", f"{path}/unblock", {"reason": "resolved"})).json()
        assert (freed["status"], freed["blocked_reason"]) == ("active", None)
        assert (await world.post("partner_a", "/sales", world.a_sale())).status_code == 201

    async def test_blocking_twice_is_blocking_once(self, world: ApiWorld) -> None:
        path = f"/members/{world.ids['member_a']}/block"
        await world.made("operator", path, {"reason": "fraud_suspected"})
        before = await world.fingerprint()
        again = await world.made("operator", path, {"reason": "terms_breached"})
        assert again["blocked_reason"] == "fraud_suspected"
        assert await world.fingerprint() == before

    async def test_who_has_left_cannot_be_blocked(self, world: ApiWorld) -> None:
        await world.hand.write("update members set status = 'deleted' where id = :id", id=world.ids["member_a"])
        path = f"/members/{world.ids['member_a']}"
        assert (await world.post("operator", f"{path}/block", {"reason": "resolved"})).status_code == 409
        assert (await change(world, "operator", {"locale": "en"})).status_code == 404

    async def test_an_unknown_member_is_not_found(self, world: ApiWorld) -> None:
        path = f"/members/mem_{'0' * 26}/unblock"
        assert (await world.post("operator", path, {"reason": "resolved"})).status_code == 404


class TestCompleteness:
    async def require(self, world: ApiWorld, *fields: str) -> None:
        response = await world.send("operator", "PUT", "/profile-requirements", {"fields": list(fields)})
        assert (response.status_code, response.json()) == (200, {"fields": sorted(set(fields))})

    async def test_what_is_missing_is_told(self, world: ApiWorld) -> None:
        await self.require(world, "email", "birth_date", "attributes.size", "email")
        path = f"/members/{world.ids['member_a']}/profile"
        seen = (await world.get("member_a", path)).json()
        assert (seen["complete"], seen["missing"]) == (False, ["attributes.size", "birth_date", "email"])
        await change(world, "member_a", {"email": "a@b.cd", "birth_date": "1990-01-01", "attributes": {"size": "M"}})
        assert (await world.get("member_a", path)).json()["complete"] is True

    async def test_the_set_and_the_single_question_agree(self, world: ApiWorld) -> None:
        """One member at a time in Python, many at a time in SQL."""
        ids = [world.ids["member_a"], world.ids["member_b"]]
        await self.require(world, "display_name", "attributes.pets", "birth_date")
        steps: list[dict[str, Any]] = [
            {"display_name": "Ada"}, {"attributes": {"pets": 0}}, {"birth_date": "1990-01-01"},
            {"attributes": {"pets": " "}}, {"attributes": {"pets": False}}, {"attributes": {}},
        ]  # fmt: skip
        answers = []
        for step in steps:
            await change(world, "member_a", step)
            single = (await world.get("operator", f"/members/{ids[0]}/profile")).json()["complete"]
            async with transaction(world.engine) as session:
                answers.append((single, await profiles.complete_members(session, ids)))
        assert [single for single, _ in answers] == [False, False, True, False, True, False]
        assert [found == {ids[0]} for _, found in answers] == [single for single, _ in answers]

    async def test_where_nothing_is_required_nobody_is_paid_for_it(self, world: ApiWorld) -> None:
        await self.require(world, "email")
        await self.require(world)
        async with transaction(world.engine) as session:
            assert await profiles.complete_members(session, [world.ids["member_a"]]) == set()
        assert (await world.get("auditor", "/profile-requirements")).json() == {"fields": []}

    @pytest.mark.parametrize("field", ["status", "attributes.", "attributes.Size", "email ", "email\n", "id"])
    async def test_unknown_fields_are_refused(self, world: ApiWorld, field: str) -> None:
        response = await world.send("operator", "PUT", "/profile-requirements", {"fields": ["email", field]})
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/fields/1")
