"""A shop with rewards, and short words for redeeming, burning and using."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from factories.earning import Shop, a_line, make_shop
from mereau.core.clock import ManualClock
from mereau.core.db import snapshot, transaction
from mereau.rewards import service as rewards
from mereau.rewards import tasks
from mereau.rewards.models import Redemption, Reward
from mereau.rewards.refunds import service as refunds
from mereau.rewards.service import RewardDraft, Wish

SECRET = bytes(range(100, 132))


@dataclass
class Counter(Shop):
    """Rewards are honoured by the second partner; the first member redeems unless told otherwise."""

    async def offer(self, **changes: Any) -> Reward:
        fields: dict[str, Any] = {
            "external_id": self.next_id("coffee"),
            "partner_id": self.partners[1].id,
            "name_fr": "Un café",
            "name_en": "A coffee",
            "price_tokens": 40,
        }
        async with transaction(self.engine) as session:
            draft = RewardDraft(**fields | changes)
            return await rewards.create_reward(session, draft, self.now, actor="key:k")

    async def redeem(
        self, reward: Reward, member: int = 0, external_id: str | None = None, **changes: Any
    ) -> Redemption:
        wish = Wish(self.members[member], reward.id, external_id, **changes)
        async with transaction(self.engine) as session:
            return await rewards.redeem(session, wish, self.now)

    async def cancel(self, redemption: Redemption, reason: str = "changed_mind") -> Redemption:
        async with transaction(self.engine) as session:
            return await rewards.cancel(session, redemption.id, reason, self.now, actor="key:k")

    async def refund(self, redemption: Redemption, reason: str = "changed_mind", **whose: str) -> Redemption:
        async with transaction(self.engine) as session:
            return await refunds.refund(session, redemption.id, reason, self.now, actor="key:k", **whose)

    async def burn(self, redemption: Redemption) -> None:
        """Let the burn be mined and become final, and let the rewards hear of it."""
        batch = await self.mine(redemption.entry_id)
        await self.follow(final=[batch])
        await self.listen()

    async def listen(self) -> int:
        return await tasks.follow_ledger(self.engine, SECRET, ManualClock(self.now))

    async def use(self, partner: int = 1, **what: Any) -> Redemption:
        async with transaction(self.engine) as session:
            return await rewards.use(
                session, partner_id=self.partners[partner].id, key_id="key_1", now=self.now, **what
            )

    async def redemption(self, redemption_id: str, **whose: str) -> Redemption:
        async with snapshot(self.engine) as session:
            return await rewards.get_redemption(session, redemption_id, **whose)

    async def state(self, redemption: Redemption) -> str:
        return (await self.redemption(redemption.id)).state

    async def stock(self, reward: Reward) -> int | None:
        async with snapshot(self.engine) as session:
            return (await rewards.get_reward(session, reward.id)).stock

    async def granted(self, **changes: Any) -> tuple[Redemption, str]:
        """A redemption whose burn is final, and its voucher's code."""
        redemption = await self.redeem(await self.offer(**changes))
        await self.burn(redemption)
        now = await self.redemption(redemption.id)
        code = rewards.voucher_of(now, SECRET)
        assert code is not None
        return now, code

    async def event_types(self, redemption: Redemption) -> Sequence[str]:
        rows = await self.rows("select type from outbox_events where subject_id = :id order by seq", id=redemption.id)
        return [row.type for row in rows]


async def make_counter(engine: AsyncEngine, **changes: Any) -> Counter:
    """A hundred tokens, mined, for each member, a second before the counter opens: the oldest lots are no tie."""
    shop = await make_shop(engine, **changes)
    counter = Counter(engine, shop.now, shop.partners, shop.members)
    for member in range(len(counter.members)):
        sale = await counter.sell(a_line(10_000), member=member)
        await counter.mine(str(sale.entry_id))
    counter.now += timedelta(seconds=1)
    return counter
