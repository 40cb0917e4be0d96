"""Reads of who holds which tier."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from mereau.core.db import ReadSession, WriteSession
from mereau.tiers.models import Tier
from mereau.tiers.models import TierStanding as StandingRow

Session = ReadSession | WriteSession


@dataclass(frozen=True, slots=True)
class TierStanding:
    """The tier that a member holds. `entitlements` are flags such as `free_returns`."""

    tier_id: str
    external_id: str
    rank: int
    multiplier_percent: int
    entitlements: frozenset[str]


async def tiers_of(session: Session, member_ids: Sequence[str]) -> dict[str, TierStanding]:
    """Member id -> tier, for those who hold one; one statement."""
    rows = await session.execute(
        select(StandingRow.member_id, Tier.id, Tier.external_id, Tier.rank, Tier.benefits)
        .join(Tier, Tier.id == StandingRow.tier_id)
        .where(StandingRow.member_id == func.any(list(member_ids)))
    )
    return {
        member_id: TierStanding(
            tier_id, external_id, rank, benefits["multiplier_percent"], frozenset(benefits["entitlements"])
        )
        for member_id, tier_id, external_id, rank, benefits in rows
    }
