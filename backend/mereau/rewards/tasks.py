"""Jobs of rewards: following the ledger's events, expiring vouchers, giving automatic rewards."""

from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.clock import Clock
from mereau.core.db import transaction
from mereau.core.errors import ConflictError
from mereau.outbox import service as outbox
from mereau.rewards import service
from mereau.rewards.automatic import service as automatic_service
from mereau.rewards.errors import EndedError, OutOfStockError, RewardInactiveError
from mereau.rewards.models import Reward

CONSUMER: Final = "rewards"
EVENTS_PER_PASS: Final = 1_000
VOUCHERS_PER_PASS: Final = 500
MEMBERS_PER_PASS: Final = 500
REWARDS_MAX: Final = 1_000


async def follow_ledger(engine: AsyncEngine, secret: bytes, clock: Clock) -> int:
    """Grant or reject what the ledger decided since the last call; the number of events read.

    Each event is handled exactly once however many workers run: the consumer's place is locked meanwhile.
    """
    total = 0
    while True:
        async with transaction(engine) as session:
            events = await outbox.read_after(session, CONSUMER, EVENTS_PER_PASS)
            if not events:
                return total
            await service.on_events(session, events, secret, clock.now())
            await outbox.advance(session, CONSUMER, events[-1].seq)
        total += len(events)


async def expire_vouchers(engine: AsyncEngine, clock: Clock) -> int:
    """Expire every voucher whose time is over; how many."""
    total = 0
    while True:
        async with transaction(engine) as session:
            count = await service.expire_vouchers(session, clock.now(), VOUCHERS_PER_PASS)
        if not count:
            return total
        total += count


async def automatic(engine: AsyncEngine, now: datetime) -> int:
    """Give every automatic reward to the members whose tokens reach its threshold, once a day each; how many.

    A step of the daily order. What was given before a crash is not given again: the reference names the day of the
    programme. Each redemption is a transaction of its own, so one refusal stops nobody else.
    """
    async with transaction(engine) as session:
        day = await automatic_service.programme_day(session, now)
        rewards = await service.list_rewards(session, limit=REWARDS_MAX, status="active", automatic=True)
    given = 0
    for reward in rewards:
        given += await _give_to_all(engine, reward, automatic_service.reference_of(reward.id, day), now)
    return given


async def _give_to_all(engine: AsyncEngine, reward: Reward, reference: str, now: datetime) -> int:
    given, after_id = 0, ""
    while True:
        async with transaction(engine) as session:
            due, next_id = await automatic_service.due_members(session, reward, reference, after_id, MEMBERS_PER_PASS)
        for member_id in due:
            try:
                async with transaction(engine) as session:
                    await automatic_service.give(session, reward, member_id, reference, now)
                given += 1
            except (OutOfStockError, EndedError, RewardInactiveError):
                return given
            except ConflictError:
                # This member spent the tokens meanwhile, or is not of the audience; the others are.
                continue
        if next_id is None:
            return given
        after_id = next_id
