"""Parallel requests, each on a connection of its own: no limit is overrun, nothing happens twice."""

import asyncio
from collections import Counter as Tally
from collections.abc import Awaitable

from factories.adjustments import Counter
from mereau.core.errors import MereauError


async def all_at_once(*works: Awaitable[object]) -> Tally[str]:
    """How often which outcome; what is neither a result nor a refusal is raised."""
    outcomes = await asyncio.wait_for(asyncio.gather(*works, return_exceptions=True), 60)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, MereauError):
            raise outcome
    return Tally(outcome.code if isinstance(outcome, MereauError) else "done" for outcome in outcomes)


async def test_one_persons_day_is_not_overrun(counter: Counter) -> None:
    await counter.limits(member_day_tokens=1_000)
    outcomes = await all_at_once(*(counter.adjust(10, member=number % 3) for number in range(16)))
    assert outcomes == {"done": 10, "adjustment_limit": 6}
    assert (await counter.counted())["stf_lou"] == 100
    (issued,) = await counter.world.rows("select sum(tokens) as tokens from entries")
    assert issued.tokens == 100


async def test_one_members_day_is_not_overrun_by_many_people(counter: Counter) -> None:
    people = ("lou", "sam", "ops", "ada", "shop")
    outcomes = await all_at_once(*(counter.adjust(10, people[number % 5]) for number in range(12)))
    assert outcomes == {"done": 6, "adjustment_limit": 6}
    assert await counter.world.counters() == (60, 0, 0, 0)
    assert sum((await counter.counted()).values()) == 120


async def test_of_many_who_decide_one_does(counter: Counter) -> None:
    asked = await counter.adjust(500)
    people = ("sam", "ada", "ops", "shop")
    decisions = [counter.approve(asked, who) for who in people] + [counter.reject(asked, who) for who in people]
    outcomes = await all_at_once(*decisions)
    assert outcomes == {"done": 1, "not_pending": 7}
    (row,) = await counter.world.rows("select state from adjustments")
    assert await counter.world.counters() == ((500 if row.state == "applied" else 0), 0, 0, 0)


async def test_debits_at_once_take_no_token_twice(counter: Counter) -> None:
    await counter.limits(member_day_tokens=1_000)
    await counter.world.credit(35)
    await counter.world.credit(20, partner=1)
    outcomes = await all_at_once(*(counter.take(10, who) for who in ("lou", "sam", "ops", "ada", "shop")))
    assert outcomes == {"done": 4, "nothing_to_take": 1}
    assert await counter.world.counters() == (20, 0, 0, 0)
    rows = await counter.world.rows("select applied_tokens from adjustments")
    assert sorted(row.applied_tokens for row in rows) == [5, 10, 10, 10]
    assert await counter.world.drift() == 0


async def test_debits_and_redemptions_cross_without_a_deadlock(counter: Counter) -> None:
    await counter.limits(member_day_tokens=1_000)
    await counter.world.credit(50)
    outcomes = await all_at_once(
        *(counter.take(10, who) for who in ("lou", "sam", "ops", "ada")), *(counter.world.hold(10) for _ in range(4))
    )
    assert outcomes["done"] == 5
    assert set(outcomes) <= {"done", "nothing_to_take", "insufficient_balance"}
    available, _, held, _ = await counter.world.counters()
    taken = await counter.world.rows("select coalesce(sum(applied_tokens), 0) as tokens from adjustments")
    assert (available, held + int(taken[0].tokens)) == (0, 50)
    assert await counter.world.drift() == 0
