"""What operations ask of the database: how much work waits, and what the last look found."""

from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mereau.chain.models import Batch, MirrorState, Order
from mereau.journal.models import JournalEntry

# Acts have no index of their own: a scrape must not read a whole journal.
_ACTS_SEARCHED: Final = 100_000


async def count_queued_orders(session: AsyncSession) -> int:
    return await session.scalar(select(func.count()).where(Order.state == "queued")) or 0


async def count_batches(session: AsyncSession) -> dict[str, int]:
    """Number of batches by state; states without a batch are absent."""
    rows = await session.execute(select(Batch.state, func.count().label("batches")).group_by(Batch.state))
    return {row.state: row.batches for row in rows}


async def last_drift_tokens(session: AsyncSession) -> int | None:
    """What the last reconciliation found, None where none is among the last acts of the journal."""
    last = select(func.max(JournalEntry.id)).scalar_subquery()
    drift = await session.scalar(
        select(JournalEntry.detail["drift_tokens"].astext)
        .where(JournalEntry.action == "reconciliation.reported", JournalEntry.id > last - _ACTS_SEARCHED)
        .order_by(JournalEntry.id.desc())
        .limit(1)
    )
    return None if drift is None else int(drift)


async def mirror_state(session: AsyncSession) -> MirrorState | None:
    return await session.get(MirrorState, 1)
