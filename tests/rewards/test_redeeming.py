"""From the catalogue to the burn: price, stock and tokens move together or not at all."""

import asyncio

import pytest

from factories.rewards import SECRET, Counter
from mereau.core.db import snapshot, transaction
from mereau.core.errors import ConflictError, InvalidInputError, MereauError, NotFoundError
from mereau.ledger.errors import HoldSettledError, InsufficientBalanceError
from mereau.rewards import service as rewards
from mereau.rewards.availability.domain import Obstacle
from mereau.rewards.availability.service import availabilities
from mereau.rewards.catalogue.repository import place_of
from mereau.rewards.errors import (
    NotCancellableError,
    OutOfStockError,
    RedeemedOtherwiseError,
    RewardInactiveError,
)
from mereau.rewards.models import Redemption, Reward
from mereau.rewards.service import Wish


async def test_a_redemption_holds_its_price_and_orders_the_burn(counter: Counter) -> None:
    reward = await counter.offer(stock=5)
    redemption = await counter.redeem(reward, external_id="app-1")
    assert (redemption.state, redemption.tokens, redemption.partner_id) == ("burning", 40, counter.partners[1].id)
    assert await counter.counters() == (60, 0, 40, 0)
    assert await counter.stock(reward) == 4
    order = (await counter.orders())[redemption.entry_id]
    assert (order.kind, order.tokens, order.partner_number) == ("redeem", 40, counter.partners[1].number)
    (entry,) = await counter.rows("select * from entries where id = :id", id=redemption.entry_id)
    assert (entry.source_id, entry.source_reference) == (redemption.id, "app-1")
    assert await counter.event_types(redemption) == ["redemption.ordered"]


async def test_the_price_is_that_of_the_moment(counter: Counter) -> None:
    reward = await counter.offer()
    redemption = await counter.redeem(reward)
    await counter.write("update rewards set price_tokens = 1")
    assert (await counter.redemption(redemption.id)).tokens == 40


async def test_the_same_reference_again_is_the_same_redemption(counter: Counter) -> None:
    reward = await counter.offer(stock=5)
    first = await counter.redeem(reward, external_id="app-1")
    again = await counter.redeem(reward, external_id="app-1")
    assert again.id == first.id
    assert await counter.counters() == (60, 0, 40, 0)
    assert await counter.stock(reward) == 4


async def test_a_reference_for_another_reward_is_a_conflict(counter: Counter) -> None:
    await counter.redeem(await counter.offer(), external_id="app-1")
    with pytest.raises(RedeemedOtherwiseError, match="app-1"):
        await counter.redeem(await counter.offer(), external_id="app-1")


async def test_a_reference_is_the_members_own(counter: Counter) -> None:
    reward = await counter.offer()
    mine = await counter.redeem(reward, external_id="app-1")
    theirs = await counter.redeem(reward, member=1, external_id="app-1")
    assert mine.id != theirs.id


async def test_redemptions_without_a_reference_are_each_their_own(counter: Counter) -> None:
    reward = await counter.offer()
    assert (await counter.redeem(reward)).id != (await counter.redeem(reward)).id


async def test_too_few_tokens_are_refused_with_how_many_are_missing(counter: Counter) -> None:
    reward = await counter.offer(price_tokens=101, stock=1)
    with pytest.raises(InsufficientBalanceError) as refusal:
        await counter.redeem(reward)
    assert (refusal.value.code, refusal.value.missing_tokens) == ("insufficient_balance", 1)
    assert await counter.stock(reward) == 1


async def test_an_empty_stock_is_refused_and_nothing_is_held(counter: Counter) -> None:
    reward = await counter.offer(stock=0)
    with pytest.raises(OutOfStockError):
        await counter.redeem(reward)
    assert await counter.counters() == (100, 0, 0, 0)


@pytest.mark.parametrize("status", ["draft", "inactive"])
async def test_a_reward_that_is_not_offered_is_refused(counter: Counter, status: str) -> None:
    reward = await counter.offer(status=status)
    with pytest.raises(RewardInactiveError):
        await counter.redeem(reward)
    assert await counter.counters() == (100, 0, 0, 0)


async def test_an_unknown_reward_or_member_is_not_found(counter: Counter) -> None:
    reward = await counter.offer()
    async with transaction(counter.engine) as session:
        with pytest.raises(NotFoundError):
            await rewards.redeem(session, Wish(counter.members[0], "rwd_none"), counter.now)
        with pytest.raises(NotFoundError):
            await rewards.redeem(session, Wish("mem_none", reward.id), counter.now)


async def attempt(counter: Counter, reward: Reward, member: int, external_id: str | None = None) -> str:
    try:
        return (await counter.redeem(reward, member, external_id)).id
    except MereauError as error:
        return error.code


async def test_the_last_piece_goes_to_one_of_two(counter: Counter) -> None:
    """M1 and M2: two members, one piece, at the same moment."""
    reward = await counter.offer(stock=1)
    results = await asyncio.gather(*(attempt(counter, reward, member) for member in (0, 1)))
    assert sorted(result.startswith("red_") for result in results) == [False, True]
    assert "out_of_stock" in results
    assert await counter.stock(reward) == 0
    held = [(await counter.counters(member))[2] for member in (0, 1)]
    assert sorted(held) == [0, 40]


async def test_one_balance_is_not_spent_twice(counter: Counter) -> None:
    """M1: a hundred tokens cover two coffees of forty, however many are asked for at once."""
    reward = await counter.offer(stock=10)
    results = await asyncio.gather(*(attempt(counter, reward, 0) for _ in range(6)))
    assert sum(result.startswith("red_") for result in results) == 2
    assert results.count("insufficient_balance") == 4
    assert await counter.counters() == (20, 0, 80, 0)
    assert await counter.stock(reward) == 8


async def test_one_reference_sent_by_many_at_once_redeems_once(counter: Counter) -> None:
    reward = await counter.offer(stock=10)
    results = await asyncio.gather(*(attempt(counter, reward, 0, "app-1") for _ in range(2)))
    assert await counter.count("redemptions") == 1
    assert {result for result in results if result.startswith("red_")}
    assert await counter.stock(reward) == 9
    assert (await counter.counters())[2] == 40


async def test_a_reward_withdrawn_while_it_is_redeemed_is_refused_whole(counter: Counter) -> None:
    reward = await counter.offer(stock=1)
    async with transaction(counter.engine) as session:
        await rewards.set_status(session, reward.id, "inactive", counter.now, actor="key:k")
        waiting = asyncio.create_task(attempt(counter, reward, 0))
        await counter.wait_for_a_waiter()
    assert await waiting == "inactive"
    assert await counter.counters() == (100, 0, 0, 0)


async def test_cancelling_gives_tokens_and_piece_back(counter: Counter) -> None:
    reward = await counter.offer(stock=1)
    redemption = await counter.redeem(reward)
    cancelled = await counter.cancel(redemption)
    assert (cancelled.state, cancelled.reason) == ("cancelled", "changed_mind")
    assert await counter.counters() == (100, 0, 0, 0)
    assert await counter.stock(reward) == 1
    await counter.listen()
    assert (await counter.state(redemption), await counter.stock(reward)) == ("cancelled", 1)
    assert (await counter.cancel(redemption)).state == "cancelled"
    assert await counter.stock(reward) == 1


async def test_a_sealed_burn_cannot_be_cancelled(counter: Counter) -> None:
    redemption = await counter.redeem(await counter.offer(stock=1))
    await counter.seal(redemption.entry_id)
    with pytest.raises(HoldSettledError):
        await counter.cancel(redemption)
    assert await counter.state(redemption) == "burning"


async def test_a_granted_redemption_cannot_be_cancelled(counter: Counter) -> None:
    redemption, _ = await counter.granted()
    with pytest.raises(NotCancellableError, match="granted"):
        await counter.cancel(redemption)


async def test_what_is_not_there_cannot_be_cancelled(counter: Counter) -> None:
    with pytest.raises(NotFoundError):
        await counter.cancel(Redemption(id="red_none"))


async def test_a_rejected_burn_gives_tokens_and_piece_back(counter: Counter) -> None:
    """M2: the reward is not given where the burn fails."""
    reward = await counter.offer(stock=2)
    redemption = await counter.redeem(reward)
    await counter.reject(redemption.entry_id, reason="LoyaltyPaused")
    assert await counter.state(redemption) == "burning"
    await counter.listen()
    now = await counter.redemption(redemption.id)
    assert (now.state, now.reason, now.voucher_digest) == ("rejected", "LoyaltyPaused", None)
    assert await counter.counters() == (100, 0, 0, 0)
    assert await counter.stock(reward) == 2
    assert await counter.event_types(redemption) == ["redemption.ordered", "redemption.rejected"]
    assert rewards.voucher_of(now, SECRET) is None


async def test_several_rejected_burns_of_one_reward_give_every_piece_back(counter: Counter) -> None:
    reward, unlimited = await counter.offer(stock=3, price_tokens=10), await counter.offer(price_tokens=10)
    mine = [await counter.redeem(reward) for _ in range(3)]
    free = await counter.redeem(unlimited)
    assert await counter.stock(reward) == 0
    await counter.reject(free.entry_id, *(redemption.entry_id for redemption in mine))
    await counter.listen()
    assert (await counter.stock(reward), await counter.stock(unlimited)) == (3, None)


async def test_obstacles_are_told_before_anybody_tries(counter: Counter) -> None:
    offers = [
        await counter.offer(),
        await counter.offer(price_tokens=130),
        await counter.offer(stock=0, status="inactive"),
    ]
    async with snapshot(counter.engine) as session:
        found = await availabilities(session, counter.members[0], offers, counter.now)
    assert [(item.reward.id, item.obstacles) for item in found] == [
        (offers[0].id, []),
        (offers[1].id, [Obstacle("insufficient_balance", 30)]),
        (offers[2].id, [Obstacle("inactive"), Obstacle("out_of_stock")]),
    ]


async def test_the_catalogue_is_listed_by_age_and_narrowed(counter: Counter) -> None:
    made = [await counter.offer() for _ in range(3)]
    other = await counter.offer(partner_id=counter.partners[0].id, status="draft")
    ids = sorted(reward.id for reward in [*made, other])

    async def listed(**how: object) -> list[str]:
        async with snapshot(counter.engine) as session:
            return [reward.id for reward in await rewards.list_rewards(session, **how)]

    assert await listed() == ids
    assert await listed(limit=2) == ids[:2]
    second = next(reward for reward in [*made, other] if reward.id == ids[1])
    assert await listed(after=place_of(second)) == ids[2:]
    assert await listed(status="draft") == [other.id]
    assert await listed(partner_id=counter.partners[1].id) == sorted(reward.id for reward in made)


async def test_a_wrong_or_taken_reward_is_refused(counter: Counter) -> None:
    with pytest.raises(InvalidInputError):
        await counter.offer(price_tokens=0)
    with pytest.raises(NotFoundError):
        await counter.offer(partner_id="par_none")
    await counter.offer(external_id="tea")
    with pytest.raises(ConflictError, match="tea"):
        await counter.offer(external_id="tea")


async def test_acts_on_rewards_are_journalled(counter: Counter) -> None:
    reward = await counter.offer()
    async with transaction(counter.engine) as session:
        changed = await rewards.set_status(session, reward.id, "inactive", counter.now, actor="key:k")
    assert changed.status == "inactive"
    acts = await counter.rows("select action from journal_entries where subject_id = :id order by id", id=reward.id)
    assert [act.action for act in acts] == ["reward.created", "reward.inactive"]
