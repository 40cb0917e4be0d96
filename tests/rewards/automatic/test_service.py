"""Automatic rewards: given once a day to whose tokens reach the threshold."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from factories.rewards import Counter
from mereau.rewards import tasks
from mereau.rewards.catalogue.domain import Audience
from mereau.rewards.models import Reward

DAY = timedelta(days=1)
GIVEN = "select member_id, tokens, channel, external_id from redemptions order by external_id, member_id"


async def offered(counter: Counter, **changes: Any) -> Reward:
    return await counter.offer(**{"price_tokens": 40, "automatic_at_tokens": 60} | changes)


async def run(counter: Counter) -> int:
    return await tasks.automatic(counter.engine, counter.now)


async def test_who_has_the_tokens_is_given_the_reward_at_its_price(counter: Counter) -> None:
    reward = await offered(counter)
    assert await run(counter) == 2
    assert [await counter.counters(member) for member in (0, 1)] == [(60, 0, 40, 0)] * 2
    rows = await counter.rows(GIVEN)
    assert [(row.tokens, row.channel) for row in rows] == [(40, "automatic")] * 2
    assert {row.external_id for row in rows} == {f"automatic:{reward.id}:2026-01-05"}
    (actor,) = await counter.rows("select distinct actor from journal_entries where action = 'redemption.ordered'")
    assert actor.actor == "job:automatic_rewards"


async def test_it_is_given_once_a_day_however_often_the_job_runs(counter: Counter) -> None:
    await offered(counter)
    assert [await run(counter) for _ in range(3)] == [2, 0, 0]
    counter.now += DAY
    assert [await run(counter) for _ in range(2)] == [2, 0]
    counter.now += DAY
    assert await run(counter) == 0, "the tokens no longer reach the threshold"


async def test_the_day_is_that_of_the_programme(counter: Counter) -> None:
    """Half past eleven at night in London is tomorrow in Paris."""
    await offered(counter, price_tokens=1, automatic_at_tokens=1)
    counter.now = counter.now.replace(hour=22, minute=30)
    assert await run(counter) == 2
    counter.now += timedelta(hours=1)
    assert await run(counter) == 2


async def test_jobs_side_by_side_give_once(counter: Counter) -> None:
    await offered(counter)
    await asyncio.gather(*(run(counter) for _ in range(3)))
    assert await counter.count("redemptions") == 2


async def test_the_threshold_is_reached_by_what_can_be_spent(counter: Counter) -> None:
    await offered(counter, automatic_at_tokens=100)
    await counter.redeem(await counter.offer(price_tokens=1), member=0)
    await counter.write("update accounts set debt = 1 where member_id = :id", id=counter.members[1])
    assert await run(counter) == 0


@pytest.mark.parametrize(
    ("changes", "given"),
    [
        ({"stock": 1}, 1),
        ({"status": "inactive"}, 0),
        ({"audience": Audience(channels=["app"])}, 0),
        ({"audience": Audience(channels=["automatic"])}, 2),
        ({"automatic_at_tokens": None}, 0),
    ],
    ids=str,
)
async def test_nobody_gets_what_they_could_not_redeem(counter: Counter, changes: dict[str, Any], given: int) -> None:
    await offered(counter, **changes)
    assert await run(counter) == given
    assert await counter.count("redemptions") == given


async def test_one_refusal_stops_nobody_else(counter: Counter) -> None:
    await counter.write("update members set status = 'blocked' where id = :id", id=min(counter.members))
    await offered(counter)
    assert await run(counter) == 1


async def test_more_members_than_one_pass_holds_are_all_given(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "MEMBERS_PER_PASS", 1)
    await offered(counter)
    assert await run(counter) == 2


async def test_an_ended_offer_is_given_to_nobody(counter: Counter) -> None:
    await offered(counter, active_until=counter.now)
    assert await run(counter) == 0
