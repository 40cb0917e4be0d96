"""The sealing job and the check of the chain."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import transaction
from mereau.journal import service
from mereau.journal.service import verify

ACTS_PER_BLOCK_MAX: Final = 5_000

__all__ = ["ACTS_PER_BLOCK_MAX", "seal", "verify"]


async def seal(engine: AsyncEngine, *, acts_per_block: int = ACTS_PER_BLOCK_MAX) -> int:
    """Chain every committed act, one transaction per block; the number of acts sealed."""
    total = 0
    while True:
        async with transaction(engine) as session:
            sealed = await service.seal_block(session, acts_per_block)
        total += sealed
        if sealed < acts_per_block:
            return total
