"""What a member may claim, for tills and other systems."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.core.http import V1, Reads, SiteHere, answer, known_id, not_found, problems
from mereau.rewards.entitlements import service
from mereau.rewards.entitlements.schemas import EntitlementsOut, show_entitlements

router = APIRouter(prefix=f"{V1}/members", tags=["Rewards"])


@router.get("/{member_id}/entitlements", response_model=EntitlementsOut, responses=problems(404))
async def get_entitlements(
    member_id: str,
    caller: Annotated[Principal, allowed(Scope.REDEMPTIONS_READ)],
    session: Reads,
    site: SiteHere,
) -> Response:
    """Flags of the member's tier, and what they redeemed; partners see what they honour themselves."""
    known_id("mem", member_id)
    if caller.reach.member_id not in {None, member_id}:
        raise not_found("mem")
    found = await service.entitlements(session, member_id, site.clock.now(), partner_id=caller.reach.partner_id)
    return answer(show_entitlements(member_id, found))
