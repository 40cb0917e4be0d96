"""Referrals from the link to the credit and back: both sides, caps, cheats and returns."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world
from factories.actions import a_rule, credited, follow, join
from mereau.earning.referrals.qualifying import tasks

Sale = dict[str, Any]


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    """Referrers earn 100, friends 50; everybody joined on another day."""
    async with open_world(engine) as world:
        await a_rule(world, "referral_referrer", 100)
        await a_rule(world, "referral_referred", 50)
        yield world


async def terms(world: ApiWorld, **changes: Any) -> None:
    assert (await world.send("operator", "PUT", "/earning-terms", changes)).status_code == 200


async def code_of(world: ApiWorld, name: str) -> str:
    answer = await world.made("operator", f"/members/{world.ids[name]}/referral-code", None)
    return str(answer["code"])


async def attribute(world: ApiWorld, friend: str, referrer: str, who: str = "operator") -> httpx.Response:
    path = f"/members/{world.ids[friend]}/referral"
    return await world.post(who, path, {"code": await code_of(world, referrer)})


async def bring(world: ApiWorld, friend: str, referrer: str, **facts: Any) -> dict[str, Any]:
    """A new member whom another brings."""
    await join(world, friend, **facts)
    referral: dict[str, Any] = (await attribute(world, friend, referrer)).json()
    return referral


async def buy(world: ApiWorld, name: str, amount_minor: int = 5_000, units: int = 1) -> Sale:
    line = {"sku": "cake", "quantity": units, "amount_minor": amount_minor}
    body = world.a_sale(
        member={"id": world.ids[name]}, lines=[line], occurred_at=(datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    )
    sale = await world.made("partner_a", "/sales", body)
    await follow(world)
    return sale


async def bring_back(world: ApiWorld, sale: Sale, units: int = 1) -> None:
    body = {
        "external_id": f"T-{next(world.numbers)}",
        "occurred_at": datetime.now(UTC).isoformat(),
        "lines": [{"line_number": 1, "quantity": units}],
    }
    await world.made("partner_a", f"/sales/{sale['id']}/returns", body)
    await follow(world)


async def states(world: ApiWorld) -> list[tuple[str, str | None]]:
    rows = await world.hand.rows("select state, reason from referrals order by id")
    return [(row.state, row.reason) for row in rows]


async def joined_before(world: ApiWorld, *names: str, days: int = 3) -> None:
    for name in names:
        await world.hand.write(
            "update members set created_at = created_at - make_interval(days => :days) where id = :id",
            days=days,
            id=world.ids[name],
        )


class TestCodes:
    async def test_a_member_has_one_code_and_one_link(self, world: ApiWorld) -> None:
        await terms(world, referral_link_base="https://shop.example/?ref=")
        path = f"/members/{world.ids['member_a']}/referral-code"
        answers = await asyncio.gather(*(world.post("member_a", path) for _ in range(5)))
        assert len({answer.text for answer in answers}) == 1
        code = answers[0].json()
        assert code["link"] == f"https://shop.example/?ref={code['code']}"
        assert await code_of(world, "member_b") != code["code"]

    async def test_who_is_blocked_brings_nobody(self, world: ApiWorld) -> None:
        await world.made("operator", f"/members/{world.ids['member_a']}/block", {"reason": "fraud_suspected"})
        assert (await world.post("operator", f"/members/{world.ids['member_a']}/referral-code")).status_code == 404


class TestAttribution:
    async def test_it_waits_for_the_friends_purchase(self, world: ApiWorld) -> None:
        referral = await bring(world, "friend", "member_a")
        await follow(world)
        assert referral["state"] == "pending"
        assert (await credited(world), await credited(world, "friend")) == ([], [])

    async def test_the_same_code_again_is_the_same_referral(self, world: ApiWorld) -> None:
        first = await bring(world, "friend", "member_a")
        again = await attribute(world, "friend", "member_a")
        other = await attribute(world, "friend", "member_b")
        assert again.json() == first
        assert (other.status_code, other.json()["code"]) == (409, "attributed_otherwise")

    async def test_an_unknown_code_is_named(self, world: ApiWorld) -> None:
        response = await world.post("member_a", f"/members/{world.ids['member_a']}/referral", {"code": "0" * 10})
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/code")

    async def test_who_is_not_new_was_brought_by_nobody(self, world: ApiWorld) -> None:
        bought = await attribute(world, "member_a", "member_b")
        await join(world, "late")
        await joined_before(world, "late", days=8)
        late = await attribute(world, "late", "member_b")
        assert [answer.json()["code"] for answer in (bought, late)] == ["not_new"] * 2

    async def test_one_side_learns_nothing_of_the_other(self, world: ApiWorld) -> None:
        await join(world, "friend")
        shown = (await attribute(world, "friend", "member_a", "partner_a")).json()
        mine = (await world.get("member_a", f"/members/{world.ids['member_a']}/referrals")).json()["data"]
        for seen in (shown, *mine):
            assert (seen["referrer_id"], seen["referred_id"], seen["reason"]) == (None, None, None)
        (whole,) = (await world.get("auditor", "/referrals", state="pending")).json()["data"]
        assert (whole["referrer_id"], whole["referred_id"]) == (world.ids["member_a"], world.ids["friend"])
        assert (await world.get("auditor", "/referrals", state="refused")).json()["data"] == []
        assert (await world.get("member_b", "/referrals")).json()["data"] == []


class TestCheats:
    """M4: none of them earns, none of them is told why."""

    @pytest.mark.parametrize(
        ("mine", "theirs"),
        [
            ({"email": "ada@gmail.com"}, {"email": "A.d.a+2@googlemail.com"}),
            ({"email": "ada@example.org"}, {"email": "ADA+friend@example.org"}),
            ({"phone": "+33612345678"}, {"phone": "+33612345678"}),
            ({"device_tag": "device-1"}, {"device_tag": "device-1"}),
        ],
    )
    async def test_two_accounts_of_one_person(
        self, world: ApiWorld, mine: dict[str, Any], theirs: dict[str, Any]
    ) -> None:
        await join(world, "me", **mine)
        referral = await bring(world, "also-me", "me", **theirs)
        await buy(world, "also-me")
        assert (referral["state"], await states(world)) == ("refused", [("refused", "self_referral")])
        assert (await credited(world, "me"), await credited(world, "also-me")) == ([], [])

    async def test_oneself(self, world: ApiWorld) -> None:
        await join(world, "me")
        response = await attribute(world, "me", "me", "partner_a")
        assert (response.json()["state"], response.json()["reason"]) == ("refused", None)

    async def test_somebody_who_is_here_already(self, world: ApiWorld) -> None:
        await join(world, "known", email="known@example.org")
        await bring(world, "again", "member_a", email="known+2@example.org")
        assert await states(world) == [("refused", "duplicate_account")]

    async def test_a_ring(self, world: ApiWorld) -> None:
        await bring(world, "second", "member_a")
        await joined_before(world, "second")
        await bring(world, "third", "second")
        await world.hand.write("update sales set member_id = null")
        ring = await attribute(world, "member_a", "third")
        assert ring.json()["reason"] == "ring"

    async def test_two_who_bring_each_other_at_once(self, world: ApiWorld) -> None:
        for name in ("x", "y"):
            await join(world, name)
            await code_of(world, name)
        await asyncio.gather(attribute(world, "x", "y"), attribute(world, "y", "x"))
        assert sorted(await states(world)) == [("pending", None), ("refused", "ring")]

    async def test_a_chain_made_in_one_day(self, world: ApiWorld) -> None:
        await join(world, "one")
        await bring(world, "two", "one")
        await bring(world, "three", "two")
        assert await states(world) == [("pending", None), ("refused", "same_day_chain")]

    async def test_a_chain_made_over_days_is_none(self, world: ApiWorld) -> None:
        await join(world, "one")
        await bring(world, "two", "one")
        await joined_before(world, "one", "two")
        await bring(world, "three", "two")
        assert await states(world) == [("pending", None)] * 2


class TestQualifying:
    async def test_a_purchase_credits_both_sides_once(self, world: ApiWorld) -> None:
        await bring(world, "friend", "member_a")
        await buy(world, "friend")
        await buy(world, "friend")
        await world.hand.write("delete from outbox_cursors")
        await follow(world)
        assert (await credited(world), await credited(world, "friend")) == ([100], [50])
        assert await states(world) == [("qualified", None)]

    async def test_a_crash_between_the_sides_is_made_up_for(
        self, world: ApiWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await bring(world, "friend", "member_a")
        steps = tasks._STEPS
        monkeypatch.setattr(tasks, "_STEPS", (*steps[:2], _die))
        with pytest.raises(RuntimeError, match="killed"):
            await buy(world, "friend")
        assert (await credited(world), await credited(world, "friend")) == ([100], [])
        monkeypatch.setattr(tasks, "_STEPS", steps)
        await follow(world)
        assert (await credited(world), await credited(world, "friend")) == ([100], [50])

    async def test_less_than_the_minimum_does_not_count(self, world: ApiWorld) -> None:
        await terms(world, referral_minimum_minor=3_000)
        await bring(world, "friend", "member_a")
        await buy(world, "friend", 2_999)
        assert await states(world) == [("pending", None)]
        await buy(world, "friend", 3_000)
        assert (await credited(world), await credited(world, "friend")) == ([100], [50])

    async def test_beyond_the_cap_the_friend_alone_is_credited(self, world: ApiWorld) -> None:
        await terms(world, referral_cap=2)
        for number in range(4):
            await bring(world, f"friend-{number}", "member_a")
        for number in range(4):
            await buy(world, f"friend-{number}")
        assert await credited(world) == [100, 100]
        assert [await credited(world, f"friend-{number}") for number in range(4)] == [[50]] * 4
        seen = (await world.get("operator", "/referrals")).json()["data"]
        assert [one["is_capped"] for one in seen] == [True, True, False, False]

    async def test_the_cap_holds_for_purchases_seen_together(self, world: ApiWorld) -> None:
        await terms(world, referral_cap=2)
        for number in range(5):
            await bring(world, f"friend-{number}", "member_a")
        at = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
        sales = [world.a_sale(member={"id": world.ids[f"friend-{n}"]}, occurred_at=at) for n in range(5)]
        await world.made("partner_a", "/sales/batch", {"sales": sales})
        now = datetime.now(UTC)
        await asyncio.gather(*(tasks.follow_purchases(world.engine, now) for _ in range(3)))
        assert await credited(world) == [100, 100]

    async def test_who_waits_too_long_is_forgotten(self, world: ApiWorld) -> None:
        await bring(world, "friend", "member_a")
        later = datetime.now(UTC) + timedelta(days=91)
        assert await tasks.expire_referrals(world.engine, datetime.now(UTC)) == 0
        assert await tasks.expire_referrals(world.engine, later) == 1
        await buy(world, "friend")
        assert (await states(world), await credited(world)) == ([("expired", None)], [])

    async def test_a_blocked_referrer_earns_nothing(self, world: ApiWorld) -> None:
        await bring(world, "friend", "member_a")
        await world.made("operator", f"/members/{world.ids['member_a']}/block", {"reason": "fraud_suspected"})
        await buy(world, "friend")
        assert (await credited(world), await credited(world, "friend")) == ([], [50])


class TestReturns:
    async def left(self, world: ApiWorld, name: str) -> int:
        ((tokens,),) = await world.hand.rows(
            "select coalesce(sum(l.remaining), 0) from lots l join entries e on e.id = l.entry_id"
            " where e.member_id = :id and e.reason_code = 'bonus'",
            id=world.ids[name],
        )
        return int(tokens)

    async def test_both_sides_give_back_what_a_return_undoes(self, world: ApiWorld) -> None:
        """M3: buy, let it count, bring it back."""
        await bring(world, "friend", "member_a")
        sale = await buy(world, "friend")
        await bring_back(world, sale)
        await world.hand.write("delete from outbox_cursors")
        await follow(world)
        assert await states(world) == [("cancelled", "returned")]
        assert (await self.left(world, "member_a"), await self.left(world, "friend")) == (0, 0)
        assert await world.hand.drift() == 0

    async def test_what_is_kept_may_be_enough(self, world: ApiWorld) -> None:
        await terms(world, referral_minimum_minor=3_000)
        await bring(world, "friend", "member_a")
        sale = await buy(world, "friend", 10_000, units=5)
        await bring_back(world, sale, 3)
        assert await states(world) == [("qualified", None)]
        await bring_back(world, sale, 1)
        assert await states(world) == [("cancelled", "returned")]

    async def test_after_the_window_it_stays(self, world: ApiWorld) -> None:
        await bring(world, "friend", "member_a")
        sale = await buy(world, "friend")
        await world.hand.write("update referrals set qualified_at = qualified_at - interval '31 days'")
        await bring_back(world, sale)
        assert (await states(world), await self.left(world, "member_a")) == ([("qualified", None)], 100)

    async def test_what_came_back_before_anybody_looked_never_counted(self, world: ApiWorld) -> None:
        await bring(world, "friend", "member_a")
        at = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
        sale = world.a_sale(member={"id": world.ids["friend"]}, occurred_at=at)
        await bring_back(world, await world.made("partner_a", "/sales", sale), 3)
        assert (await states(world), await credited(world)) == ([("pending", None)], [])

    async def test_a_cancelled_friend_still_fills_a_place_of_the_cap(self, world: ApiWorld) -> None:
        """Or one friend who buys and returns would pay for ever new ones."""
        await terms(world, referral_cap=1)
        await bring(world, "first", "member_a")
        await bring_back(world, await buy(world, "first"))
        await bring(world, "second", "member_a")
        await buy(world, "second")
        assert await credited(world) == [100]
        assert await credited(world, "second") == [50]


async def _die(session: object, *, sale_ids: object, now: object) -> None:
    raise RuntimeError("killed")
