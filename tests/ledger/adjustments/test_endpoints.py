"""Adjustments over HTTP: whose they are, what an answer says, and that one key moves tokens once."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world

YES, NO = {"note": "Known at the counter."}, {"note": "Too much."}
LIMITS = {"staff_day_tokens": 300, "member_day_tokens": 200, "approval_above_tokens": 100, "request_days": 3}


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    """Member A has 120 tokens of partner A."""
    async with open_world(engine) as world:
        answer = await world.send("operator", "PATCH", "/program", {"adjustments": LIMITS})
        assert answer.status_code == 200
        yield world


def of(world: ApiWorld, member: str = "member_a") -> str:
    return f"/members/{world.ids[member]}/adjustments"


def a_wish(tokens: int = 20, **changes: Any) -> dict[str, Any]:
    return {"direction": "credit", "tokens": tokens, "reason_code": "goodwill", "note": "A long wait."} | changes


def a_debit(tokens: int, **changes: Any) -> dict[str, Any]:
    return a_wish(tokens, direction="debit", reason_code="correction", **changes)


async def listed(world: ApiWorld, who: str, **params: Any) -> list[tuple[str, int]]:
    rows = (await world.get(who, "/adjustments", **params)).json()["data"]
    return [(row["state"], row["tokens"]) for row in rows]


async def test_staff_credit_a_member_who_sees_it(world: ApiWorld) -> None:
    done = await world.made("staff", of(world), a_wish())
    assert (done["state"], done["applied_tokens"], done["missing_tokens"]) == ("applied", 20, 0)
    assert (done["partner_id"], done["staff_id"], done["requested_by"]) == (
        world.ids["partner_a"], world.ids["staff"], world.ids["staff"],
    )  # fmt: skip
    path = f"/members/{world.ids['member_a']}"
    entry = (await world.get("member_a", f"{path}/entries")).json()["data"][0]
    assert (entry["source_id"], entry["tokens"], entry["reason_code"]) == (done["id"], 20, "goodwill")
    assert "wait" not in str(entry)
    assert (await world.get("member_a", f"{path}/balance")).json()["available"] == 140


async def test_a_debit_says_what_it_could_not_take(world: ApiWorld) -> None:
    """Of 121 tokens, 120 are this partner's; the limits are an operator's to raise."""
    await world.send("operator", "PATCH", "/program", {"adjustments": LIMITS | {"approval_above_tokens": 150}})
    done = await world.made("operator", of(world), a_debit(121, partner_id=world.ids["partner_a"]))
    assert (done["tokens"], done["applied_tokens"], done["missing_tokens"]) == (121, 120, 1)
    answer = await world.post("operator", of(world), a_debit(1, partner_id=world.ids["partner_b"]))
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_take")
    assert "no other partner's" in answer.json()["detail"]


async def test_corrected_goods_may_still_be_returned(world: ApiWorld) -> None:
    """Half of the cake's 120 tokens were taken by hand; its return takes the other half, and is no error."""
    await world.made("staff", of(world), a_debit(60))
    back = {"external_id": "T-1", "occurred_at": "2026-01-06T10:00:00Z", "lines": [{"line_number": 1, "quantity": 1}]}
    await world.made("partner_a", f"/sales/{world.ids['sale']}/returns", back)
    balance = (await world.get("member_a", f"/members/{world.ids['member_a']}/balance")).json()
    assert (balance["available"], balance["debt"]) == (0, 0)


async def test_one_key_moves_tokens_once(world: ApiWorld) -> None:
    first = await world.post("staff", of(world), a_wish(), key="k-1")
    again = await world.post("staff", of(world), a_wish(), key="k-1")
    assert (first.status_code, again.content) == (201, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert (await world.post("staff", of(world), a_wish(21), key="k-1")).status_code == 422
    assert await listed(world, "staff") == [("applied", 20)]
    missing = await world.send("staff", "POST", of(world), a_wish(), headers={"idempotency-key": ""})
    assert missing.status_code == 400


async def test_a_request_waits_and_is_approved_once(world: ApiWorld) -> None:
    asked = await world.post("staff", of(world), a_wish(1_000))
    assert (asked.status_code, asked.json()["state"]) == (202, "pending_approval")
    path = f"/adjustments/{asked.json()['id']}"
    assert (await world.post("staff", f"{path}/approve", YES)).status_code == 403
    done = await world.post("partner_a", f"{path}/approve", YES, key="k-1")
    assert (done.status_code, done.json()["state"], done.json()["applied_tokens"]) == (200, "applied", 1_000)
    assert (done.json()["decided_by"], done.json()["decision_note"]) == (
        world.ids["partner_a"], "Known at the counter.",
    )  # fmt: skip
    again = await world.post("partner_a", f"{path}/approve", YES, key="k-1")
    assert again.content == done.content
    other = await world.post("operator", f"{path}/reject", NO)
    assert (other.status_code, other.json()["code"]) == (409, "not_pending")


async def test_whoever_asked_is_told_that_another_must_decide(world: ApiWorld) -> None:
    asked = await world.made("partner_a", of(world), a_wish(1_000))
    before = await world.fingerprint()
    answer = await world.post("partner_a", f"/adjustments/{asked['id']}/approve", YES)
    assert (answer.status_code, answer.json()["code"]) == (403, "own_request")
    assert await world.fingerprint() == before
    done = await world.made("operator", f"/adjustments/{asked['id']}/reject", NO)
    assert (done["state"], done["decided_by"]) == ("rejected", world.key_ids["operator"])


async def test_partners_see_their_own_and_others_everything(world: ApiWorld) -> None:
    await world.made("staff", of(world), a_wish(1))
    await world.made("partner_b", of(world, "member_b"), a_wish(2))
    await world.made("operator", of(world), a_wish(300, partner_id=world.ids["partner_b"]))
    assert await listed(world, "partner_a") == [("applied", 1)]
    assert await listed(world, "partner_b") == [("pending_approval", 300), ("applied", 2)]
    everything = [("pending_approval", 300), ("applied", 2), ("applied", 1)]
    assert await listed(world, "operator") == await listed(world, "auditor") == everything


async def test_the_list_finds_states_and_members_page_by_page(world: ApiWorld) -> None:
    for tokens in (1, 2, 101, 102, 103):
        asked = await world.made("staff", of(world), a_wish(tokens))
        if tokens == 102:
            await world.made("operator", f"/adjustments/{asked['id']}/reject", NO)
    await world.made("partner_b", of(world, "member_b"), a_wish(3))
    assert await listed(world, "operator", state="applied") == [("applied", 3), ("applied", 2), ("applied", 1)]
    assert await listed(world, "operator", state="rejected") == [("rejected", 102)]
    assert await listed(world, "operator", member_id=world.ids["member_b"]) == [("applied", 3)]
    await world.hand.write("update adjustments set expires_at = now() where tokens = 101")
    assert await listed(world, "staff", state="pending_approval") == [("pending_approval", 103)]
    assert await listed(world, "staff", state="expired") == [("expired", 101)]
    page = (await world.get("operator", "/adjustments", limit=4)).json()
    assert [row["tokens"] for row in page["data"]] == [3, 103, 102, 101]
    rest = (await world.get("operator", "/adjustments", limit=4, cursor=page["next_cursor"])).json()
    assert ([row["tokens"] for row in rest["data"]], rest["has_more"]) == ([2, 1], False)


@pytest.mark.parametrize(
    ("who", "changes", "status", "pointer"),
    [
        ("operator", {}, 422, "/partner_id"),
        ("operator", {"partner_id": "par_01K9Q2M4T6V8X0Z2B4D6F8H0J2"}, 422, "/partner_id"),
        ("staff", {"reason_code": "migration"}, 422, "/reason_code"),
        ("staff", {"direction": "debit"}, 422, "/reason_code"),
        ("staff", {"reason_code": "because"}, 422, "/reason_code"),
        ("staff", {"direction": "sideways"}, 422, "/direction"),
        ("staff", {"tokens": 0}, 422, "/tokens"),
        ("staff", {"tokens": 2**53}, 422, "/tokens"),
        ("staff", {"note": ""}, 422, "/note"),
        ("staff", {"note": "n" * 281}, 422, "/note"),
        ("staff", {"note": None}, 422, "/note"),
    ],
)
async def test_what_cannot_be_is_named_and_changes_nothing(
    world: ApiWorld, who: str, changes: dict[str, Any], status: int, pointer: str
) -> None:
    before = await world.fingerprint()
    answer = await world.post(who, of(world), a_wish() | changes)
    assert answer.status_code == status
    assert [found["pointer"] for found in answer.json()["errors"]] == [pointer]
    assert await world.fingerprint() == before


async def test_a_partner_names_no_other(world: ApiWorld) -> None:
    answer = await world.post("staff", of(world), a_wish(partner_id=world.ids["partner_b"]))
    assert [(found["pointer"], found["code"]) for found in answer.json()["errors"]] == [("/partner_id", "not_yours")]
    assert (await world.post("staff", of(world), a_wish(partner_id=world.ids["partner_a"]))).status_code == 201


async def test_the_days_limit_is_a_conflict_with_what_is_left(world: ApiWorld) -> None:
    for _ in range(2):
        await world.made("staff", of(world), a_wish(100))
    answer = await world.post("staff", of(world), a_wish(1))
    assert (answer.status_code, answer.json()["code"]) == (409, "adjustment_limit")
    assert "0 tokens left" in answer.json()["detail"]


@pytest.mark.parametrize(
    "path", ["/members/mem_x/adjustments", "/adjustments/adj_x/approve", "/adjustments/adj_x/reject"]
)
async def test_what_does_not_exist_is_not_found(world: ApiWorld, path: str) -> None:
    body = a_wish() if "members" in path else NO
    for found in (path, path.replace("_x", "_01K9Q2M4T6V8X0Z2B4D6F8H0J2")):
        answer = await world.post("partner_a", found, body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
