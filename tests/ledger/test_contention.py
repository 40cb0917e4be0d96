"""Many connections at the same members: nobody deadlocks, no update is lost, counters are what the lots hold."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from factories.ledger import LedgerWorld
from mereau.core.errors import InvalidInputError, NotFoundError
from mereau.ledger import tasks
from mereau.ledger.errors import HoldSettledError, InsufficientBalanceError

DAY = timedelta(days=1)
REFUSALS = (InsufficientBalanceError, HoldSettledError, InvalidInputError, NotFoundError)


async def agree(world: LedgerWorld) -> None:
    """Counters = lots = chain and open orders; each debit took exactly its tokens; holds are what is held."""
    assert await world.drift() == 0
    odd = await world.rows("""
        select e.id from entries e left join lot_uses u on u.entry_id = e.id
        where e.kind <> 'issue' and e.state = 'accepted' group by e.id, e.tokens
        having coalesce(sum(u.tokens), 0) <> e.tokens
    """)
    assert odd == []
    (sums,) = await world.rows("""
        select (select coalesce(sum(held), 0) from accounts) as counted,
               (select coalesce(sum(held), 0) from lots) as in_lots,
               (select coalesce(sum(tokens), 0) from holds where state = 'pending') as reserved
    """)
    assert sums.counted == sums.in_lots == sums.reserved


async def all_at_once(*works: Awaitable[object]) -> list[object]:
    """The results, refusals among them; anything else that goes wrong is raised (a deadlock, say)."""
    outcomes = await asyncio.wait_for(asyncio.gather(*works, return_exceptions=True), 60)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, REFUSALS):
            raise outcome
    return list(outcomes)


class Crowd:
    """Tills, returns, redemptions, cancellations and the chain, each a connection of its own."""

    def __init__(self, world: LedgerWorld, seed: int) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.credits: list[tuple[str, int]] = []
        self.holds: list[str] = []

    async def sell(self) -> None:
        """Both members' sales in one call, in either order."""
        members = self.random.sample(range(2), 2)
        items = [self.world.a_credit(self.random.randint(1, 50), member) for member in members]
        await self.world.post(*items)
        self.credits += [(item.entry_id, item.tokens) for item in items]

    async def give_back(self) -> None:
        chosen = self.random.sample(self.credits, min(3, len(self.credits)))
        await self.world.take_back(*(self.world.a_reversal(key, max(1, tokens // 4)) for key, tokens in chosen))

    async def redeem(self) -> None:
        self.holds.append(await self.world.hold(self.random.randint(1, 30), self.random.randrange(2)))

    async def cancel(self) -> None:
        if self.holds:
            await self.world.void(self.random.choice(self.holds))

    async def burn(self) -> None:
        """Seal what may be sealed of one redemption, and see it mined."""
        rows = await self.world.rows("select id from chain_orders where kind = 'redeem' and state = 'queued' limit 1")
        if not rows:
            return
        batch = await self.world.seal(rows[0].id)
        won = await self.world.rows("select 1 from chain_orders where batch_id = :id", id=batch)
        if won:
            await self.world.follow(mined=[batch])

    async def refuse(self) -> None:
        queued = await self.world.rows("select id from chain_orders where state = 'queued' and kind <> 'issue' limit 1")
        if queued:
            await self.world.reject(queued[0].id)

    def works(self) -> list[Callable[[], Awaitable[None]]]:
        return [self.sell, self.give_back, self.redeem, self.redeem, self.cancel]


@pytest.mark.parametrize("seed", range(3))
async def test_sales_returns_and_redemptions_at_once(world: LedgerWorld, seed: int) -> None:
    crowd = Crowd(world, seed)
    await all_at_once(*(crowd.sell() for _ in range(4)))
    for _ in range(4):
        works = [work for work in crowd.works() for _ in range(2)]
        crowd.random.shuffle(works)
        await all_at_once(*(work() for work in works))
        await agree(world)
    issued = sum(tokens for _, tokens in crowd.credits)
    (sums,) = await world.rows("select sum(remaining + held + reversed) as kept, sum(tokens) as issued from lots")
    assert sums.kept == sums.issued == issued


async def test_the_chain_settles_while_the_tills_go_on(world: LedgerWorld) -> None:
    crowd = Crowd(world, 7)
    await all_at_once(*(crowd.sell() for _ in range(6)))
    await world.mine(*await world.queued())
    for _ in range(4):
        # One relayer and one mirror, as in an installation; everybody else several times.
        chain = [crowd.burn(), crowd.redeem(), crowd.redeem(), crowd.sell(), crowd.give_back(), crowd.redeem()]
        await all_at_once(*chain)
        await agree(world)
    (posted,) = await world.rows("select coalesce(sum(tokens), 0) as tokens from holds where state = 'posted'")
    (spent,) = await world.rows("select sum(spent) as tokens from lots")
    assert posted.tokens == spent.tokens > 0


async def test_refusals_beside_new_debits_of_the_same_members(world: LedgerWorld) -> None:
    crowd = Crowd(world, 11)
    await all_at_once(*(crowd.sell() for _ in range(4)))
    for _ in range(4):
        await all_at_once(crowd.redeem(), crowd.redeem(), crowd.refuse(), crowd.give_back(), crowd.cancel())
        await agree(world)


async def test_returns_of_one_credit_at_once_never_take_more_than_it_gave(world: LedgerWorld) -> None:
    credit = await world.credit(100)
    outcomes = await all_at_once(*(world.reverse(credit, 30) for _ in range(6)))
    refused = [outcome for outcome in outcomes if isinstance(outcome, InvalidInputError)]
    assert len(refused) == 3
    lot = await world.lot(credit)
    assert (lot.remaining, lot.reversed, lot.unmet) == (10, 90, 0)
    await agree(world)


async def test_a_return_and_the_activation_of_one_credit_at_once(world: LedgerWorld) -> None:
    """Whoever comes first, the tokens issued are those that were not returned, or the return burns them."""
    ids = [await world.credit(100, member=index % 2, delay=DAY) for index in range(8)]
    world.now += DAY
    returns = [world.reverse(key, 40) for key in ids]
    await all_at_once(tasks.activate_due(world.engine, world.now, chunk=3), *returns)
    await tasks.activate_due(world.engine, world.now)
    assert (await world.counters(0), await world.counters(1)) == ((240, 0, 0, 0), (240, 0, 0, 0))
    orders = (await world.orders()).values()
    issued = sum(order.tokens for order in orders if order.kind == "issue")
    burned = sum(order.tokens for order in orders if order.kind == "reverse")
    assert issued - burned == 8 * 60
    entries = {row.id: row.tokens for row in await world.rows("select id, tokens from entries")}
    assert all(entries[order.id] == order.tokens for order in orders)
    await agree(world)


async def test_two_activations_at_once_order_each_credit_once(world: LedgerWorld) -> None:
    await world.post(*(world.a_credit(1, member=index % 2, delay=DAY) for index in range(60)))
    world.now += DAY
    await all_at_once(*(tasks.activate_due(world.engine, world.now, chunk=7) for _ in range(4)))
    assert len(await world.orders()) == 60
    assert await world.counters(0) == await world.counters(1) == (30, 0, 0, 0)
    assert len(await world.events("entry.accepted")) == 60


async def test_two_expiries_at_once_take_each_lot_once(world: LedgerWorld) -> None:
    await world.post(*(world.a_credit(1, member=index % 2, life=DAY) for index in range(40)))
    await world.mine(*await world.queued())
    world.now += DAY

    async def everything(wallets: object) -> dict[bytes, int]:
        assert isinstance(wallets, list)
        return dict.fromkeys(wallets, 20)

    expired = await all_at_once(*(tasks.expire_due(world.engine, world.now, everything, chunk=7) for _ in range(4)))
    assert sum(int(str(tokens)) for tokens in expired) == 40
    assert await world.counters(0) == await world.counters(1) == (0, 0, 0, 0)
    await agree(world)


async def test_the_same_rejection_told_by_two_at_once_counts_once(world: LedgerWorld) -> None:
    await world.credit(100)
    redeem = await world.hold(60)
    await all_at_once(*(world.reject(redeem) for _ in range(4)))
    assert await world.counters() == (100, 0, 0, 0)
    assert len(await world.events("entry.rejected")) == 1
