"""Finding what a member may claim."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mereau.core.db import ReadSession, WriteSession
from mereau.members import service as members
from mereau.rewards import repository
from mereau.rewards.kinds.domain import KINDS
from mereau.rewards.models import Redemption
from mereau.tiers.queries import TierStanding, tiers_of

_KINDS: Final = tuple(name for name, kind in KINDS.items() if kind.is_entitlement)


@dataclass(frozen=True, slots=True)
class Entitlements:
    """The tier with its flags, None where the member holds none; and the redemptions that entitle them now."""

    tier: TierStanding | None
    redemptions: Sequence[Redemption]


async def entitlements(
    session: ReadSession | WriteSession, member_id: str, now: datetime, *, partner_id: str | None = None
) -> Entitlements:
    """What the member may claim at this instant, at this partner where one is given; NotFoundError for no member."""
    await members.get(session, member_id)
    tier = (await tiers_of(session, [member_id])).get(member_id)
    granted = await repository.granted_of(session, member_id, _KINDS, now)
    return Entitlements(tier, [item for item in granted if partner_id in {None, item.partner_id}])
