"""Refunding over HTTP."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.auth.idempotency import Once
from mereau.auth.once import Outcome
from mereau.core.db import WriteSession
from mereau.core.http import BODY_PROBLEMS, V1, Site, SiteHere, json_body, known_id, problems
from mereau.rewards.refunds import service
from mereau.rewards.schemas import Cancellation, RedemptionOut, show_redemption

router = APIRouter(prefix=f"{V1}/redemptions", tags=["Rewards"])


@router.post("/{redemption_id}/refund", response_model=RedemptionOut, responses=problems(*BODY_PROBLEMS, 404, 409))
async def refund_redemption(
    redemption_id: str,
    caller: Annotated[Principal, allowed(Scope.REDEMPTIONS_REFUND)],
    body: Annotated[Cancellation, json_body(Cancellation)],
    once: Once,
    site: SiteHere,
) -> Response:
    """Give the tokens of a granted, unused voucher back, with the expiry that they had. The voucher is void."""
    known_id("red", redemption_id)
    effect = partial(_refund, redemption_id=redemption_id, caller=caller, body=body, site=site)
    return await once.run(caller, body, effect)


async def _refund(
    session: WriteSession, *, redemption_id: str, caller: Principal, body: Cancellation, site: Site
) -> Outcome:
    redemption = await service.refund(
        session,
        redemption_id,
        body.reason,
        site.clock.now(),
        actor=f"key:{caller.key_id}",
        partner_id=caller.reach.partner_id,
    )
    return Outcome(show_redemption(redemption), status=200)
