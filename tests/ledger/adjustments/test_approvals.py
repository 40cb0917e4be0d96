"""Requests: beyond the threshold nothing moves before a second person has said so, once, and in time."""

from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from factories.adjustments import Counter, refused
from mereau.ledger.adjustments.domain import Direction

DAY = timedelta(days=1)


async def test_beyond_the_threshold_nothing_moves_yet(counter: Counter) -> None:
    asked = await counter.adjust(51)
    assert (asked.state, asked.applied_tokens) == ("pending_approval", None)
    assert asked.expires_at == counter.world.now + 7 * DAY
    assert (await counter.entries(asked), await counter.counted()) == ([], {})
    assert await counter.world.counters() == (0, 0, 0, 0)
    assert await counter.acts() == [("key_lou", "adjustment.requested")]
    (event,) = await counter.world.events("adjustment.requested")
    assert event.payload["requested_by"] == "stf_lou"


@pytest.mark.parametrize(
    ("threshold", "tokens", "state"),
    [(50, 50, "applied"), (50, 51, "pending_approval"), (0, 1, "pending_approval"), (1, 1, "applied")],
)
@pytest.mark.parametrize("direction", ["credit", "debit"])
async def test_up_to_the_threshold_one_person_is_enough(
    counter: Counter, direction: Direction, threshold: int, tokens: int, state: str
) -> None:
    await counter.world.credit(60)
    await counter.limits(approval_above_tokens=threshold)
    asked = await counter.adjust(tokens, direction=direction, reason_code="correction")
    assert asked.state == state
    assert (asked.applied_tokens is None) == (state == "pending_approval")


async def test_a_second_person_lets_it_happen(counter: Counter) -> None:
    asked = await counter.adjust(5_000)
    counter.world.now += DAY
    done = await counter.approve(asked, "shop")
    assert (done.state, done.applied_tokens, done.decided_by) == ("applied", 5_000, counter.world.partners[0].id)
    assert (done.decided_at, done.decision_note) == (counter.world.now, "Seen.")
    assert await counter.entries(asked) == [("issue", 5_000, "goodwill")]
    (entry,) = await counter.world.rows("select * from entries where source_id = :id", id=asked.id)
    assert (entry.staff_id, entry.occurred_at) == ("stf_lou", counter.world.now)
    assert await counter.acts() == [("key_lou", "adjustment.requested"), ("key_shop", "adjustment.applied")]
    assert await counter.world.drift() == 0


async def test_what_two_agreed_on_counts_towards_nobodys_day(counter: Counter) -> None:
    await counter.approve(await counter.adjust(5_000))
    assert await counter.counted() == {}
    assert (await counter.adjust(50)).applied_tokens == 50


async def test_a_second_person_turns_it_down(counter: Counter) -> None:
    asked = await counter.adjust(5_000)
    done = await counter.reject(asked)
    assert (done.state, done.applied_tokens, done.decided_by) == ("rejected", None, "stf_sam")
    assert await counter.entries(asked) == []
    assert await counter.acts() == [("key_lou", "adjustment.requested"), ("key_sam", "adjustment.rejected")]


@pytest.mark.parametrize("who", ["lou", "ops", "shop"])
async def test_whoever_asks_does_not_decide(counter: Counter, who: str) -> None:
    asked = await counter.adjust(51, who)
    assert await refused(counter.approve(asked, who)) == "own_request"
    assert await refused(counter.reject(asked, who)) == "own_request"
    assert (await counter.approve(asked, "ada")).state == "applied"


async def test_not_even_the_database_lets_one_person_be_two(counter: Counter) -> None:
    asked = await counter.adjust(51)
    with pytest.raises(IntegrityError, match="two_people"):
        await counter.world.write("update adjustments set decided_by = requested_by where id = :id", id=asked.id)


async def test_it_is_decided_once(counter: Counter) -> None:
    approved, turned_down, alone = await counter.adjust(51), await counter.adjust(52), await counter.adjust(1)
    await counter.approve(approved)
    await counter.reject(turned_down)
    for request in (approved, turned_down, alone):
        assert await refused(counter.approve(request, "ada")) == "not_pending"
        assert await refused(counter.reject(request, "ada")) == "not_pending"
    assert await counter.world.counters() == (52, 0, 0, 0)


async def test_it_waits_for_some_days_and_no_longer(counter: Counter) -> None:
    late, in_time = await counter.adjust(51), await counter.adjust(52)
    counter.world.now += 7 * DAY - timedelta(microseconds=1)
    assert (await counter.approve(in_time)).state == "applied"
    counter.world.now += timedelta(microseconds=1)
    assert await refused(counter.approve(late)) == "not_pending"
    assert await refused(counter.reject(late)) == "not_pending"
    assert await counter.entries(late) == []


async def test_a_change_of_the_delay_moves_no_request(counter: Counter) -> None:
    asked = await counter.adjust(51)
    await counter.limits(request_days=1, approval_above_tokens=10)
    counter.world.now += 2 * DAY
    assert (await counter.approve(asked)).state == "applied"


async def test_other_partners_people_find_nothing(counter: Counter) -> None:
    asked = await counter.adjust(51)
    assert await refused(counter.approve(asked, "sam", partner=1)) == "not_found"
    assert await refused(counter.reject(asked, "shop", partner=1)) == "not_found"


async def test_a_debit_is_judged_when_it_happens(counter: Counter) -> None:
    """What could not be taken leaves the request as it was: a rejection, or tokens, may still come."""
    asked = await counter.take(80)
    assert await refused(counter.approve(asked)) == "nothing_to_take"
    assert (await counter.acts())[-1] == ("key_lou", "adjustment.requested")
    await counter.world.credit(60)
    done = await counter.approve(asked)
    assert (done.state, done.tokens, done.applied_tokens) == ("applied", 80, 60)


async def test_who_was_blocked_meanwhile_is_credited_with_nothing(counter: Counter) -> None:
    asked = await counter.adjust(51)
    await counter.world.write("update members set status = 'blocked'")
    assert await refused(counter.approve(asked)) == "member_inactive"
    assert (await counter.reject(asked)).state == "rejected"
