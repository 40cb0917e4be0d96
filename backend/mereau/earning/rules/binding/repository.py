"""SQL of what rules name."""

from collections.abc import Iterable

from sqlalchemy import func, select

from mereau.core.db import ReadSession, WriteSession
from mereau.segments.models import Segment
from mereau.tiers.models import Tier


async def known_tiers(session: ReadSession | WriteSession, external_ids: Iterable[str]) -> set[str]:
    """Those of the external ids under which a tier is in force."""
    rows = await session.scalars(
        select(Tier.external_id).where(Tier.status == "active", Tier.external_id == func.any(list(external_ids)))
    )
    return set(rows)


async def segment_ids(session: ReadSession | WriteSession, external_ids: Iterable[str]) -> dict[str, str]:
    """External id -> id of those segments that exist."""
    rows = await session.execute(
        select(Segment.external_id, Segment.id).where(Segment.external_id == func.any(list(external_ids)))
    )
    return {row.external_id: row.id for row in rows}
