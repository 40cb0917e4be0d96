"""Jobs of referrals: following purchases and returns, and ending what waited too long."""

from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import transaction
from mereau.earning.referrals.qualifying import service
from mereau.outbox import service as outbox

CONSUMER: Final = "earning.referrals"
EVENTS_PER_PASS: Final = 1_000
REFERRALS_PER_PASS: Final = 1_000
_BOUGHT: Final = frozenset({"sale.recorded", "sale.claimed"})
_STEPS: Final = (
    service.qualify,
    partial(service.reward, side="referral_referrer"),
    partial(service.reward, side="referral_referred"),
)


async def follow_purchases(engine: AsyncEngine, now: datetime) -> int:
    """Let what was bought and brought back since the last call count; the number of events read.

    Each step has a transaction of its own, so that the accounts it moves are locked in one go, and the place moves
    last: after a crash every step runs again and finds done what is done.
    """
    total = 0
    while True:
        async with transaction(engine) as session:
            events = await outbox.read_after(session, CONSUMER, EVENTS_PER_PASS)
        if not events:
            return total
        bought = [event.subject_id for event in events if event.type in _BOUGHT]
        returned = sorted({str(event.payload["sale_id"]) for event in events if event.type == "return.recorded"})
        for step in _STEPS if bought else ():
            async with transaction(engine) as session:
                await step(session, sale_ids=bought, now=now)
        if returned:
            async with transaction(engine) as session:
                await service.undo(session, returned, now)
        async with transaction(engine) as session:
            await outbox.advance(session, CONSUMER, events[-1].seq)
        total += len(events)


async def expire_referrals(engine: AsyncEngine, now: datetime) -> int:
    """End every referral whose friend did not buy in time; how many."""
    total = 0
    while True:
        async with transaction(engine) as session:
            ended = await service.expire(session, now, REFERRALS_PER_PASS)
        total += ended
        if ended < REFERRALS_PER_PASS:
            return total
