"""Pools of codes and their claims over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world
from factories.actions import a_rule, credited
from mereau.earning.attempts.domain import PER_ACCOUNT_MAX

WRONG = "0000-0000-0000-0000"


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


async def a_pool(world: ApiWorld, **changes: Any) -> dict[str, Any]:
    return await world.made("operator", "/code-pools", {"external_id": f"pool-{next(world.numbers)}"} | changes)


async def some_codes(world: ApiWorld, count: int = 1, **changes: Any) -> list[str]:
    """Codes of a new pool."""
    pool = await a_pool(world, **changes)
    added = await world.made("operator", f"/code-pools/{pool['id']}/codes", {"generate": count})
    codes: list[str] = added["codes"]
    return codes


async def claim(world: ApiWorld, code: str, who: str = "member_a", **changes: Any) -> httpx.Response:
    return await world.post(who, "/codes/claim", {"code": code} | changes)


class TestPools:
    async def test_codes_are_told_once_and_kept_as_digests(self, world: ApiWorld) -> None:
        pool = await a_pool(world, uses_per_code=3)
        codes = (await world.made("operator", f"/code-pools/{pool['id']}/codes", {"generate": 50}))["codes"]
        assert len(set(codes)) == 50
        assert (await world.get("operator", f"/code-pools/{pool['id']}")).json() == pool | {
            "codes": 50, "uses_left": 150, "tokens": 0,
        }  # fmt: skip
        for table in ("earning_codes", "journal_entries", "outbox_events", "idempotency_keys"):
            stored = str(await world.hand.rows(f"select t::text from {table} t"))
            assert not [code for code in codes if code in stored or code.replace("-", "") in stored]

    async def test_printed_codes_are_uploaded_once(self, world: ApiWorld) -> None:
        pool, other = await a_pool(world), await a_pool(world)
        body = {"codes": ["SPRING-2026-AAAA", "spring-2026-aaaa", "SPRING-2026-BBBB"]}
        first = await world.made("operator", f"/code-pools/{pool['id']}/codes", body)
        again = await world.made("operator", f"/code-pools/{other['id']}/codes", body)
        assert [first["added"], again["added"], first["codes"]] == [2, 0, []]

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"codes": ["SPRING-2026-AAAA", "SHORT"]}, "/codes/1"),
            ({"codes": []}, "/codes"),
            ({"generate": 0}, "/generate"),
            ({"generate": 10_001}, "/generate"),
            ({}, ""),
            ({"generate": 1, "codes": ["SPRING-2026-AAAA"]}, ""),
        ],
    )
    async def test_wrong_codes_are_named(self, world: ApiWorld, body: dict[str, Any], pointer: str) -> None:
        pool = await a_pool(world)
        response = await world.post("operator", f"/code-pools/{pool['id']}/codes", body)
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, pointer)

    @pytest.mark.parametrize(
        ("changes", "pointer"),
        [
            ({"campaign": "nothing"}, "/campaign"),
            ({"partner_id": f"par_{'0' * 26}"}, "/partner_id"),
            ({"valid_from": "2026-02-01T00:00:00Z", "valid_until": "2026-02-01T00:00:00Z"}, "/valid_until"),
            ({"uses_per_code": 0}, "/uses_per_code"),
        ],
    )
    async def test_a_pool_names_what_exists(self, world: ApiWorld, changes: dict[str, Any], pointer: str) -> None:
        response = await world.post("operator", "/code-pools", {"external_id": "p"} | changes)
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, pointer)

    async def test_an_external_id_is_taken_once(self, world: ApiWorld) -> None:
        await a_pool(world, external_id="spring")
        assert (await world.post("operator", "/code-pools", {"external_id": "spring"})).status_code == 409
        listed = (await world.get("auditor", "/code-pools")).json()["data"]
        assert [pool["external_id"] for pool in listed] == ["spring"]

    async def test_an_unknown_pool_is_not_found(self, world: ApiWorld) -> None:
        for method, tail, body in (("GET", "", None), ("POST", "/close", None), ("POST", "/codes", {"generate": 1})):
            response = await world.send("operator", method, f"/code-pools/cpl_{'0' * 26}{tail}", body)
            assert response.status_code == 404


class TestClaims:
    async def test_a_code_earns_once(self, world: ApiWorld) -> None:
        await a_rule(world, "code", 25)
        (code,) = await some_codes(world, object_reference="mug")
        first = await claim(world, code.lower().replace("-", " "))
        assert (first.status_code, first.json()["tokens"], first.json()["object_reference"]) == (201, 25, "mug")
        assert (await claim(world, code)).status_code == 422
        assert (await claim(world, code, "member_b")).status_code == 422
        assert (await credited(world), await credited(world, "member_b")) == ([25], [])

    async def test_a_code_calls_the_rule_of_its_campaign_alone(self, world: ApiWorld) -> None:
        await a_rule(world, "code", 5, external_id="flyer")
        await a_rule(world, "code", 50, external_id="poster")
        (code,) = await some_codes(world, campaign="poster")
        assert (await claim(world, code)).json()["tokens"] == 50
        (code,) = await some_codes(world)
        assert (await claim(world, code)).json()["tokens"] == 55

    async def test_the_pools_partner_pays(self, world: ApiWorld) -> None:
        await a_rule(world, "code")
        (code,) = await some_codes(world, partner_id=world.ids["partner_b"])
        done = (await claim(world, code)).json()
        rows = await world.hand.rows("select partner_id from entries where id = :id", id=done["entry_ids"][0])
        assert [row.partner_id for row in rows] == [world.ids["partner_b"]]

    async def test_a_hundred_at_once_claim_it_once(self, world: ApiWorld) -> None:
        await a_rule(world, "code")
        (code,) = await some_codes(world)
        names = []
        for number in range(20):
            await world.made("partner_a", "/members", {"external_id": f"crowd-{number}"})
            names.append(f"crowd-{number}")
        # Five keys of staff with twenty members each: no account guesses too often.
        answers = await asyncio.gather(
            *(
                claim(world, code, who, member={"external_id": name})
                for name in names
                for who in ("partner_a", "partner_b", "staff", "operator", "partner_a")
            )
        )
        codes = [answer.status_code for answer in answers]
        assert codes.count(201) == 1
        assert set(codes) <= {201, 422, 429}
        ((tokens,),) = await world.hand.rows("select sum(tokens) from entries where reason_code = 'bonus'")
        assert tokens == 10

    async def test_as_many_members_as_it_has_uses_each_once(self, world: ApiWorld) -> None:
        await a_rule(world, "code")
        (code,) = await some_codes(world, uses_per_code=2)
        crowd = [f"crowd-{number}" for number in range(4)]
        for name in crowd:
            await world.made("partner_a", "/members", {"external_id": name})
        twice = [await claim(world, code, "operator", member={"external_id": crowd[0]}) for _ in range(2)]
        others = await asyncio.gather(
            *(claim(world, code, "operator", member={"external_id": name}) for name in crowd[1:])
        )
        assert [answer.status_code for answer in twice] == [201, 422]
        assert sorted(answer.status_code for answer in others) == [201, 422, 422]

    async def test_wrong_used_expired_and_closed_are_one_answer_after_one_lookup(self, world: ApiWorld) -> None:
        """M5: neither words nor work tell a code that was from one that never was."""
        await a_rule(world, "code")
        now = datetime.now(UTC)
        (used,) = await some_codes(world)
        await claim(world, used)
        (over,) = await some_codes(world, valid_until=(now - timedelta(seconds=1)).isoformat())
        (early,) = await some_codes(world, valid_from=(now + timedelta(hours=1)).isoformat())
        closed_pool = await a_pool(world)
        path = f"/code-pools/{closed_pool['id']}"
        (closed,) = (await world.made("operator", f"{path}/codes", {"generate": 1}))["codes"]
        await world.made("operator", f"{path}/close", None)
        seen, work, statements = set(), set(), list[str]()
        event.listen(world.engine.sync_engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
        for code in (WRONG, used, over, early, closed, "?", "no code at all"):
            statements.clear()
            response = await claim(world, code, "member_b")
            problem = response.json()
            seen.add((response.status_code, problem["code"], problem["detail"], str(problem["errors"])))
            # Who asks is known for a second; that is no work for the code.
            work.add(tuple(statement for statement in statements if "api_keys" not in statement))
        assert len(seen) == 1
        assert {status for status, *_ in seen} == {422}
        assert len(work) == 1

    async def test_guesses_are_counted_and_right_ones_given_back(self, world: ApiWorld) -> None:
        await a_rule(world, "code")
        for code in await some_codes(world, PER_ACCOUNT_MAX + 2):
            assert (await claim(world, code)).status_code == 201
        wrong = [(await claim(world, WRONG)).status_code for _ in range(PER_ACCOUNT_MAX + 2)]
        assert wrong == [422] * PER_ACCOUNT_MAX + [429] * 2
        (code,) = await some_codes(world)
        late = await claim(world, code)
        assert (late.status_code, int(late.headers["retry-after"]) > 0) == (429, True)
        assert (await claim(world, code, "member_b")).status_code == 201, "another account may still guess"

    async def test_a_code_that_no_rule_wants_stays_good(self, world: ApiWorld) -> None:
        (code,) = await some_codes(world)
        early = await claim(world, code)
        assert (early.status_code, early.json()["code"]) == (409, "code_earns_nothing")
        await a_rule(world, "code")
        assert (await claim(world, code)).status_code == 201

    async def test_the_same_request_again_answers_the_same(self, world: ApiWorld) -> None:
        await a_rule(world, "code")
        (code,) = await some_codes(world)
        first = await world.post("member_a", "/codes/claim", {"code": code}, key="once")
        again = await world.post("member_a", "/codes/claim", {"code": code}, key="once")
        assert (again.status_code, again.json(), again.headers["idempotent-replayed"]) == (201, first.json(), "true")
        assert await credited(world) == [10]

    async def test_members_claim_for_themselves(self, world: ApiWorld) -> None:
        await a_rule(world, "code")
        (code,) = await some_codes(world)
        foreign = await claim(world, code, "member_b", member={"id": world.ids["member_a"]})
        nobody = await claim(world, code, "staff")
        unknown = await claim(world, code, "staff", member={"external_id": "nobody"})
        assert [answer.json()["errors"][0]["code"] for answer in (foreign, nobody, unknown)] == [
            "not_yours", "missing", "unknown",
        ]  # fmt: skip
        assert (await claim(world, code, "staff", member={"external_id": "card-b"})).status_code == 201

    async def test_who_is_blocked_claims_nothing(self, world: ApiWorld) -> None:
        await a_rule(world, "code")
        (code,) = await some_codes(world)
        await world.made("operator", f"/members/{world.ids['member_a']}/block", {"reason": "fraud_suspected"})
        assert (await claim(world, code)).status_code == 404
        assert (await claim(world, code, "member_b")).status_code == 201
