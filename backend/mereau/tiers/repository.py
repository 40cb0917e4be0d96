"""SQL of tiers."""

from sqlalchemy import select

from mereau.core.db import ReadSession, WriteSession
from mereau.tiers.models import Tier


async def by_external_id(session: ReadSession | WriteSession, external_id: str) -> Tier | None:
    return await session.scalar(select(Tier).where(Tier.external_id == external_id))
