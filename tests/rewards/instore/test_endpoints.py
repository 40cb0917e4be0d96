"""Redeeming at the till with a code that the member shows."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import SECRET, ApiWorld, open_world
from mereau.core.db import transaction
from mereau.rewards.instore import domain, service
from mereau.rewards.instore.errors import UnknownCodeError
from mereau.rewards.service import Wish

WRONG = "0000-0000"


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


async def drawn(world: ApiWorld) -> str:
    path = f"/members/{world.ids['member_a']}/redemption-codes"
    return str((await world.made("member_a", path, None))["code"])


async def redeem(world: ApiWorld, code: str, who: str = "staff", **changes: Any) -> Any:
    return await world.post(who, "/redemptions", {"code": code, "reward_id": world.ids["reward"]} | changes)


async def test_staff_redeem_for_the_member_who_shows_the_code(world: ApiWorld) -> None:
    done = await redeem(world, (await drawn(world)).lower(), location_id=world.ids["location"])
    made = done.json()
    assert (done.status_code, made["state"], made["member_id"]) == (202, "burning", world.ids["member_a"])
    assert (made["staff_id"], made["location_id"]) == (world.ids["staff"], world.ids["location"])
    assert done.headers["location"] == f"/api/v1/redemptions/{made['id']}"
    (act,) = await world.hand.rows("select actor from journal_entries where subject_id = :id", id=made["id"])
    assert act.actor == f"key:{world.key_ids['staff']}"


async def test_a_code_is_good_once_and_the_same_request_answers_the_same(world: ApiWorld) -> None:
    code = await drawn(world)
    body = {"code": code, "reward_id": world.ids["reward"]}
    first = await world.post("staff", "/redemptions", body, key="till-1")
    again = await world.post("staff", "/redemptions", body, key="till-1")
    assert (again.status_code, again.json(), again.headers["idempotent-replayed"]) == (202, first.json(), "true")
    other = await redeem(world, code)
    assert (other.status_code, other.json()["code"]) == (404, "unknown_code")


async def test_two_tills_at_once_use_it_once(world: ApiWorld) -> None:
    code = await drawn(world)
    answers = await asyncio.gather(*(redeem(world, code) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [202, 404, 404, 404]


async def test_a_new_code_ends_the_one_before(world: ApiWorld) -> None:
    old, new = await drawn(world), await drawn(world)
    assert (await redeem(world, old)).status_code == 404
    assert (await redeem(world, new)).status_code == 202


async def test_wrong_used_and_late_are_one_answer(world: ApiWorld) -> None:
    used, late = await drawn(world), ""
    await redeem(world, used)
    late = await drawn(world)
    await world.hand.write("update redemption_codes set expires_at = now()")
    answers = [await redeem(world, code) for code in (WRONG, "no code", used, late)]
    assert {(answer.status_code, answer.json()["detail"]) for answer in answers} == {(404, "There is no such code.")}


async def test_a_refused_redemption_leaves_the_code(world: ApiWorld) -> None:
    code = await drawn(world)
    assert (await redeem(world, code, quantity=20)).json()["code"] == "insufficient_balance"
    assert (await redeem(world, code)).status_code == 202


async def test_staff_redeem_only_what_their_partner_honours(world: ApiWorld) -> None:
    code = await drawn(world)
    assert (await redeem(world, code, "partner_b")).status_code == 404
    strange = await redeem(world, code, location_id="loc_01K9Q2M4T6V8X0Z2B4D6F8H0J2")
    assert (strange.status_code, strange.json()["errors"][0]["pointer"]) == (422, "/location_id")
    assert (await redeem(world, code)).status_code == 202


async def test_who_guesses_must_wait_and_others_need_not(world: ApiWorld) -> None:
    """M5: wrong codes are counted though the request is undone, by key."""
    for _ in range(domain.MISSES_MAX):
        assert (await redeem(world, WRONG)).status_code == 404
    code = await drawn(world)
    refused = await redeem(world, code)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "300")
    assert (await redeem(world, code, "partner_a")).status_code == 202
    await world.hand.write("update redemption_code_misses set since = since - interval '5 minutes'")
    assert (await redeem(world, await drawn(world))).status_code == 202
    await redeem(world, WRONG)
    assert [row.misses for row in await world.hand.rows("select misses from redemption_code_misses")] == [1]


async def test_only_the_digest_is_kept(world: ApiWorld) -> None:
    code = await drawn(world)
    for table in ("redemption_codes", "journal_entries", "outbox_events"):
        text = str(await world.hand.rows(f"select * from {table}"))
        assert code not in text
        assert code.replace("-", "") not in text


async def test_a_code_lives_for_five_minutes(world: ApiWorld) -> None:
    now = datetime.now(UTC)
    async with transaction(world.engine) as session:
        code = (await service.draw_code(session, world.ids["member_a"], SECRET, now)).code
    wish = Wish("", world.ids["reward"])
    async with transaction(world.engine) as session:
        with pytest.raises(UnknownCodeError):
            await service.redeem_with_code(session, code, wish, SECRET, now + domain.LIFE, key_id="key_1")
    almost = now + domain.LIFE - timedelta(seconds=1)
    async with transaction(world.engine) as session:
        done = await service.redeem_with_code(session, code, wish, SECRET, almost, key_id="key_1")
    assert done.member_id == world.ids["member_a"]
