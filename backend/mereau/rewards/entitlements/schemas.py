"""Entitlements on the wire."""

from datetime import datetime

from mereau.core.schemas import Resource
from mereau.rewards.entitlements.service import Entitlements


class EntitlementOut(Resource):
    """What a redemption entitles to, until its voucher expires."""

    kind: str
    redemption_id: str
    partner_id: str
    promise: dict[str, object]
    granted_at: datetime | None
    until: datetime | None


class EntitlementsOut(Resource):
    """What a member may claim now. `tier_flags` are of the tier, such as `free_returns`."""

    member_id: str
    tier_id: str | None
    tier_flags: list[str]
    entitlements: list[EntitlementOut]


def show_entitlements(member_id: str, found: Entitlements) -> EntitlementsOut:
    return EntitlementsOut(
        member_id=member_id,
        tier_id=found.tier.tier_id if found.tier else None,
        tier_flags=sorted(found.tier.entitlements) if found.tier else [],
        entitlements=[
            EntitlementOut(
                kind=item.kind,
                redemption_id=item.id,
                partner_id=item.partner_id,
                promise=item.promise,
                granted_at=item.granted_at,
                until=item.voucher_expires_at,
            )
            for item in found.redemptions
        ],
    )
