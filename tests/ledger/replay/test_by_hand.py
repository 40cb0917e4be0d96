"""Random histories in which people correct and extend between sales, returns and redemptions."""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.adjustments import Counter
from factories.ledger import make_world
from mereau.core.db import transaction
from mereau.core.errors import MereauError
from mereau.ledger import tasks
from mereau.ledger.extensions import service as extensions
from mereau.ledger.replay.service import find_differences
from mereau.programs.domain import ReturnPolicy

DAY = timedelta(days=1)
STEPS = 60


class History:
    """A ledger that is used at random; what is refused changes nothing. Counts what happened, by its name."""

    def __init__(self, counter: Counter, seed: int) -> None:
        self.counter = counter
        self.world = counter.world
        self.random = random.Random(seed)
        self.sales: list[tuple[str, int]] = []
        self.holds: list[str] = []
        self.done: dict[str, int] = {}

    async def step(self) -> None:
        works: tuple[Callable[[], Awaitable[object]], ...] = (
            self.sell, self.sell, self.take_back, self.redeem, self.void, self.burn, self.reject,
            self.adjust, self.correct, self.correct, self.agree, self.extend, self.wait,
        )  # fmt: skip
        work = self.random.choice(works)
        try:
            await work()
        except MereauError:
            return
        self.done[work.__name__] = self.done.get(work.__name__, 0) + 1

    async def sell(self) -> None:
        partner = self.random.randrange(2)
        life = self.random.choice([None, 2 * DAY, 9 * DAY])
        delay = self.random.choice([timedelta(), timedelta(), DAY])
        tokens = self.random.randint(1, 40)
        entry_id = await self.world.credit(tokens, self.member(), partner=partner, life=life, delay=delay)
        self.sales.append((entry_id, partner))

    async def take_back(self) -> None:
        entry_id, partner = self.random.choice(self.sales or [("ent_none", 0)])
        await self.world.reverse(entry_id, self.random.randint(1, 25), partner)

    async def redeem(self) -> None:
        self.holds.append(await self.world.hold(self.random.randint(1, 30), self.member()))

    async def void(self) -> None:
        await self.world.void(self.random.choice(self.holds or ["ent_none"]))

    async def burn(self) -> None:
        queued = await self.world.queued()
        if queued:
            await self.world.mine(queued[0])

    async def reject(self) -> None:
        """The chain refuses a credit or a burn; a correction's refusal has a test of its own."""
        rows = await self.world.rows(
            "select id from chain_orders where state = 'queued' and kind in ('issue', 'redeem') order by seq"
        )
        if rows:
            await self.world.reject(self.random.choice(rows).id)

    async def adjust(self) -> None:
        await self.counter.adjust(self.random.randint(1, 20), "ops", self.member(), self.random.randrange(2))

    async def correct(self) -> None:
        tokens = self.random.randint(1, 30)
        await self.counter.take(tokens, "ops", member=self.member(), partner=self.random.randrange(2))

    async def agree(self) -> None:
        work = self.random.choice([self.counter.adjust, self.counter.take])
        await self.counter.approve(await work(self.random.randint(51, 80), "ops", member=self.member()), "ada")

    async def extend(self) -> None:
        until = self.world.now + self.random.randint(1, 20) * DAY
        async with transaction(self.world.engine) as session:
            member_id = self.world.members[self.member()]
            await extensions.extend(session, member_id, until, "goodwill", self.world.now, actor="key_ops")

    async def wait(self) -> None:
        self.world.now += self.random.choice([DAY / 2, DAY, 3 * DAY])
        await tasks.activate_due(self.world.engine, self.world.now)
        await tasks.expire_due(self.world.engine, self.world.now, everything)

    def member(self) -> int:
        return self.random.randrange(2)


async def everything(wallets: Sequence[bytes]) -> Mapping[bytes, int]:
    return dict.fromkeys(wallets, 10**6)


@pytest.mark.parametrize("policy", ["clamp", "debt"])
@pytest.mark.parametrize("seed", [1, 2])
async def test_the_entries_bear_the_lots_out_whoever_had_a_hand_in_it(
    engine: AsyncEngine, seed: int, policy: ReturnPolicy
) -> None:
    counter = Counter(await make_world(engine, return_policy=policy))
    await counter.limits(staff_day_tokens=10**6, member_day_tokens=10**6)
    history = History(counter, seed)
    for step in range(1, STEPS + 1):
        await history.step()
        if step % 20 == 0:
            assert await history.world.drift() == 0
            assert [str(difference) async for difference in find_differences(engine)] == []
    assert history.done.keys() >= {"sell", "correct", "extend", "wait"}
    await everything_by_hand_is_told(counter)


async def everything_by_hand_is_told(counter: Counter) -> None:
    """What debits say that they took is what lots say was taken by hand; an extension's tokens were in its lots."""
    (sums,) = await counter.world.rows("""
        select (select coalesce(sum(applied_tokens), 0) from adjustments where direction = 'debit') as said,
               (select coalesce(sum(corrected), 0) from lots) as corrected,
               (select count(*) from lots where corrected > reversed) as odd,
               (select coalesce(sum(tokens), 0) from entries where kind = 'extend') as extended,
               (select coalesce(sum(tokens), 0) from lot_extensions) as in_lots
    """)
    assert sums.said == sums.corrected
    assert sums.odd == 0
    assert sums.extended == sums.in_lots
