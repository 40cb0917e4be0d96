"""Limits, pools and baskets in the database: nobody passes them, and what comes to nothing gives them back."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from factories.rewards import Counter
from mereau.core.db import transaction
from mereau.core.errors import InvalidInputError, MereauError
from mereau.rewards import errors
from mereau.rewards.kinds.domain import Asked, Discount, Donation, DrawEntry, Experience
from mereau.rewards.limits.domain import Limit
from mereau.rewards.models import Redemption, Reward
from mereau.rewards.pools import repository as pools
from mereau.rewards.pools import service as pools_service

DAY = timedelta(days=1)
POOL = Discount(form="free_delivery", codes="pool")
COUNTERS = "select owner_id, period, starts_on, pieces from reward_counters order by owner_id, period"


async def attempt(counter: Counter, reward: Reward, member: int = 0, **changes: Any) -> str:
    try:
        return (await counter.redeem(reward, member, **changes)).state
    except MereauError as error:
        return error.code


async def filled(counter: Counter, *codes: str, **changes: Any) -> Reward:
    reward = await counter.offer(terms=POOL, **changes)
    async with transaction(counter.engine) as session:
        await pools_service.upload(session, reward.id, codes, counter.now, actor="key:k")
    return reward


async def free_codes(counter: Counter, reward: Reward) -> int:
    async with transaction(counter.engine) as session:
        return (await pools.free(session, [reward.id])).get(reward.id, 0)


class TestLimits:
    async def test_a_members_limit_is_their_own(self, counter: Counter) -> None:
        reward = await counter.offer(price_tokens=1, limits=[Limit("member", 2)])
        assert [await attempt(counter, reward) for _ in range(3)] == ["burning", "burning", "limit_reached"]
        assert await attempt(counter, reward, member=1) == "burning"

    async def test_everybody_shares_a_common_limit(self, counter: Counter) -> None:
        reward = await counter.offer(price_tokens=1, limits=[Limit("everybody", 2)])
        assert [await attempt(counter, reward, member) for member in (0, 1, 0)] == [
            "burning", "burning", "limit_reached",
        ]  # fmt: skip

    async def test_a_new_period_starts_anew(self, counter: Counter) -> None:
        reward = await counter.offer(price_tokens=1, limits=[Limit("member", 1, "day"), Limit("member", 2)])
        found = []
        for days in (0, 0, 1, 1):
            counter.now += days * DAY
            found.append(await attempt(counter, reward))
        assert found == ["burning", "limit_reached", "burning", "limit_reached"]
        rows = await counter.rows(COUNTERS)
        assert [(row.period, row.pieces) for row in rows] == [("day", 1), ("day", 1), ("ever", 2)]

    async def test_a_refusal_counts_nothing(self, counter: Counter) -> None:
        """The limit that fits is not moved by the one that does not."""
        reward = await counter.offer(price_tokens=1, limits=[Limit("member", 5), Limit("everybody", 1)])
        assert await attempt(counter, reward, quantity=2) == "limit_reached"
        assert await counter.rows(COUNTERS) == []
        assert await counter.counters() == (100, 0, 0, 0)

    @pytest.mark.parametrize("end", ["cancel", "reject"])
    async def test_what_comes_to_nothing_counts_no_more(self, counter: Counter, end: str) -> None:
        reward = await counter.offer(price_tokens=1, stock=3, limits=[Limit("member", 2, "week")])
        redemption = await counter.redeem(reward, quantity=2)
        counter.now += 14 * DAY
        if end == "cancel":
            await counter.cancel(redemption)
        else:
            await counter.reject(redemption.entry_id)
            await counter.listen()
        assert [row.pieces for row in await counter.rows(COUNTERS)] == [0]
        assert await counter.stock(reward) == 3

    async def test_side_by_side_nobody_passes_a_limit(self, counter: Counter) -> None:
        reward = await counter.offer(price_tokens=1, limits=[Limit("member", 3), Limit("everybody", 4)])
        found = await asyncio.gather(*(attempt(counter, reward, place % 2) for place in range(10)))
        assert found.count("burning") == 4
        assert found.count("limit_reached") == 6
        rows = await counter.rows(COUNTERS)
        assert [row.pieces for row in rows if row.owner_id == ""] == [4]
        assert sorted(row.pieces for row in rows if row.owner_id) in ([1, 3], [2, 2])


class TestBaskets:
    async def test_all_pieces_at_their_price(self, counter: Counter) -> None:
        reward = await counter.offer(stock=5, price_tokens=20)
        redemption = await counter.redeem(reward, quantity=3)
        assert (redemption.tokens, redemption.quantity) == (60, 3)
        assert await counter.stock(reward) == 2
        await counter.cancel(redemption)
        assert await counter.stock(reward) == 5

    async def test_all_pieces_or_none(self, counter: Counter) -> None:
        reward = await counter.offer(stock=2, price_tokens=20)
        assert await attempt(counter, reward, quantity=3) == "out_of_stock"
        assert await counter.stock(reward) == 2
        assert await counter.counters() == (100, 0, 0, 0)

    @pytest.mark.parametrize("quantity", [0, -1, 21])
    async def test_a_basket_has_one_to_twenty_pieces(self, counter: Counter, quantity: int) -> None:
        reward = await counter.offer(price_tokens=1)
        with pytest.raises(InvalidInputError) as refusal:
            await counter.redeem(reward, quantity=quantity)
        assert [error.pointer for error in refusal.value.errors] == ["/quantity"]

    async def test_another_quantity_under_one_reference_is_another_wish(self, counter: Counter) -> None:
        reward = await counter.offer(price_tokens=1)
        await counter.redeem(reward, external_id="app-1", quantity=2)
        with pytest.raises(errors.RedeemedOtherwiseError):
            await counter.redeem(reward, external_id="app-1", quantity=3)


class TestPools:
    async def test_each_piece_draws_a_code_of_its_own(self, counter: Counter) -> None:
        reward = await filled(counter, "A", "B", "C", price_tokens=10)
        first, second = await counter.redeem(reward, quantity=2), await counter.redeem(reward)
        async with transaction(counter.engine) as session:
            assert await pools.codes_of(session, first.id) == ["A", "B"]
            assert await pools.codes_of(session, second.id) == ["C"]
        assert await attempt(counter, reward) == "out_of_stock"
        assert await counter.counters() == (70, 0, 30, 0)

    async def test_codes_nobody_saw_are_free_again(self, counter: Counter) -> None:
        reward = await filled(counter, "A", "B")
        await counter.cancel(await counter.redeem(reward))
        rejected = await counter.redeem(reward)
        await counter.reject(rejected.entry_id)
        await counter.listen()
        assert await free_codes(counter, reward) == 2

    async def test_the_last_code_goes_once(self, counter: Counter) -> None:
        reward = await filled(counter, "A", price_tokens=10)
        found = await asyncio.gather(*(attempt(counter, reward, place % 2) for place in range(4)))
        assert sorted(found) == ["burning", "out_of_stock", "out_of_stock", "out_of_stock"]

    async def test_an_upload_may_be_repeated(self, counter: Counter) -> None:
        reward = await filled(counter, "A", "B")
        async with transaction(counter.engine) as session:
            assert await pools_service.upload(session, reward.id, ["B", "C", "C"], counter.now, actor="key:k") == 1
        assert await free_codes(counter, reward) == 3

    async def test_only_rewards_that_draw_codes_have_a_pool(self, counter: Counter) -> None:
        reward = await counter.offer()
        async with transaction(counter.engine) as session:
            with pytest.raises(MereauError) as refusal:
                await pools_service.upload(session, reward.id, ["A"], counter.now, actor="key:k")
        assert refusal.value.status == 409


async def burned(counter: Counter, reward: Reward, **changes: Any) -> Redemption:
    redemption = await counter.redeem(reward, **changes)
    await counter.burn(redemption)
    return await counter.redemption(redemption.id)


class TestGrants:
    async def test_a_donation_is_done_when_the_burn_is_final(self, counter: Counter) -> None:
        terms = Donation(charity="Forests", amount_minor=200, currency="EUR")
        done = await burned(counter, await counter.offer(terms=terms, price_tokens=10), quantity=2)
        assert (done.state, done.used_at, done.voucher_digest) == ("used", counter.now, None)
        assert done.promise == {"charity": "Forests", "amount_minor": 400, "currency": "EUR"}

    async def test_entries_of_a_draw_are_recorded_once_the_burn_is_final(self, counter: Counter) -> None:
        reward = await counter.offer(terms=DrawEntry(draw="xmas", entries=2), price_tokens=10)
        waiting = await counter.redeem(reward, member=1)
        done = await burned(counter, reward, quantity=3)
        await counter.write("update outbox_cursors set seq = 0")
        await counter.listen()
        rows = await counter.rows("select redemption_id, draw, member_id, entries from draw_entries")
        assert [tuple(row) for row in rows] == [(done.id, "xmas", counter.members[0], 6)]
        assert await counter.state(waiting) == "burning"

    async def test_tickets_bear_names_and_the_stock_is_the_capacity(self, counter: Counter) -> None:
        terms = Experience(starts_at="2026-06-01T18:00:00Z", place="Workshop")
        reward = await counter.offer(terms=terms, stock=3, price_tokens=10)
        names = ["Camille Roy", "Lou"]
        redemption = await counter.redeem(reward, quantity=2, asked=Asked(names=names))
        rows = await counter.rows("select number, holder_name from tickets where redemption_id = :id", id=redemption.id)
        assert [tuple(row) for row in rows] == [(1, "Camille Roy"), (2, "Lou")]
        assert await attempt(counter, reward, member=1, quantity=2, asked=Asked(names=names)) == "out_of_stock"
        for table in ("journal_entries", "outbox_events", "redemptions"):
            assert "Camille" not in str(await counter.rows(f"select * from {table}"))

    async def test_a_grant_of_many_kinds_at_once(self, counter: Counter) -> None:
        offers = [
            await counter.offer(price_tokens=5),
            await counter.offer(price_tokens=5, terms=DrawEntry(draw="xmas")),
            await counter.offer(price_tokens=5, terms=Donation(charity="F", amount_minor=1, currency="EUR")),
        ]
        made = [await counter.redeem(offer) for offer in offers]
        batch = await counter.mine(*(redemption.entry_id for redemption in made))
        await counter.follow(final=[batch])
        await counter.listen()
        assert [await counter.state(redemption) for redemption in made] == ["granted", "used", "used"]
