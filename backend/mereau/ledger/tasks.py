"""Jobs of the ledger, in the daily order: activate what is due, then expire."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import snapshot, transaction
from mereau.ledger.aging import service as aging
from mereau.ledger.aging.service import ExpirableReader, Place, chain_reader
from mereau.ledger.notices import service as notices

__all__ = ["ExpirableReader", "activate_due", "announce_expiries", "chain_reader", "expire_due"]

CHUNK_ENTRIES: Final = 2_000
_START: Final[Place] = (datetime.min.replace(tzinfo=UTC), "")


async def activate_due(engine: AsyncEngine, now: datetime, *, chunk: int = CHUNK_ENTRIES) -> int:
    """Activate every credit whose return window is over, one transaction per chunk; how many were due."""
    total = 0
    while True:
        async with transaction(engine) as session:
            due = await aging.activate(session, now, chunk)
        total += due
        if due < chunk:
            return total


async def expire_due(
    engine: AsyncEngine, now: datetime, expirable: ExpirableReader, *, chunk: int = CHUNK_ENTRIES
) -> int:
    """Expire what is past its life and no longer protected by the contract; the tokens.

    `expirable` is asked between transactions, so no lock waits for the node (see `chain_reader`).
    """
    total, place = 0, _START
    while True:
        async with snapshot(engine) as session:
            due = await aging.find_due(session, now, place, chunk, expirable)
        if due is None:
            return total
        async with transaction(engine) as session:
            total += await aging.expire(session, due, now)
        place = due.place


async def announce_expiries(engine: AsyncEngine, now: datetime, *, chunk: int = CHUNK_ENTRIES) -> int:
    """Give the notices that are due, one transaction per chunk of members and days; how many."""
    total = 0
    place: notices.Place | None = notices.START
    while place is not None:
        async with transaction(engine) as session:
            told, place = await notices.announce(session, place, chunk, now)
        total += told
    return total
