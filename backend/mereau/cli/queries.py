"""How much chain work is open, for progress bars and status."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mereau.chain.models import Batch, Order


@dataclass(frozen=True, slots=True)
class ChainWork:
    """Orders by how far they are. `mined` counts what the mirror has seen, final or not."""

    queued: int
    under_way: int
    mined: int
    stuck: int

    @property
    def open(self) -> int:
        return self.queued + self.under_way

    @property
    def total(self) -> int:
        return self.open + self.mined


async def chain_work(session: AsyncSession) -> ChainWork:
    """Counted by batch, so that it stays cheap with millions of orders."""
    queued = await session.scalar(select(func.count()).select_from(Order).where(Order.state == "queued"))
    sums = dict((await session.execute(select(Batch.state, func.sum(Batch.order_count)).group_by(Batch.state))).all())
    return ChainWork(
        queued=queued or 0,
        under_way=int(sums.get("sealed", 0) + sums.get("submitted", 0)),
        mined=int(sums.get("mined", 0) + sums.get("final", 0)),
        stuck=int(sums.get("stuck", 0)),
    )
