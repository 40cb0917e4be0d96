"""Jobs of rewards: following the ledger's events and expiring vouchers. Each pass is one transaction."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.clock import Clock
from mereau.core.db import transaction
from mereau.outbox import service as outbox
from mereau.rewards import service

CONSUMER: Final = "rewards"
EVENTS_PER_PASS: Final = 1_000
VOUCHERS_PER_PASS: Final = 500


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
