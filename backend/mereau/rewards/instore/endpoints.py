"""Redeeming at the till."""

from dataclasses import replace
from functools import partial
from typing import Annotated

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.auth.idempotency import Once
from mereau.auth.once import Outcome
from mereau.core.db import WriteSession, transaction
from mereau.core.errors import FieldError, InvalidInputError
from mereau.core.http import BODY_PROBLEMS, V1, Site, SiteHere, Writes, answer, json_body, known_id, not_found, problems
from mereau.partners.queries import known_places
from mereau.rewards.instore import service
from mereau.rewards.instore.errors import UnknownCodeError
from mereau.rewards.instore.schemas import InStoreRedemption, RedemptionCodeOut
from mereau.rewards.schemas import RedemptionOut, show_redemption

router = APIRouter(prefix=V1, tags=["Rewards"])


@router.post(
    "/members/{member_id}/redemption-codes",
    status_code=201,
    response_model=RedemptionCodeOut,
    responses=problems(404),
)
async def draw_code(
    member_id: str,
    caller: Annotated[Principal, allowed(Scope.REDEMPTIONS_WRITE)],
    session: Writes,
    site: SiteHere,
    request: Request,
) -> Response:
    """A code for the till, good once and for five minutes; it ends the one before."""
    known_id("mem", member_id)
    if caller.reach.member_id not in {None, member_id}:
        raise not_found("mem")
    secret: bytes = request.app.state.voucher_secret
    drawn = await service.draw_code(session, member_id, secret, site.clock.now())
    return answer(RedemptionCodeOut(code=drawn.code, expires_at=drawn.expires_at), status=201)


@router.post(
    "/redemptions", status_code=202, response_model=RedemptionOut, responses=problems(*BODY_PROBLEMS, 404, 409)
)
async def redeem_in_store(
    caller: Annotated[Principal, allowed(Scope.REDEMPTIONS_USE)],
    body: Annotated[InStoreRedemption, json_body(InStoreRedemption)],
    once: Once,
    site: SiteHere,
    request: Request,
) -> Response:
    """Redeem for the member who shows the code, what the caller's partner honours. Wrong and used are one answer."""
    secret: bytes = request.app.state.voucher_secret
    effect = partial(_redeem, body=body, caller=caller, secret=secret, site=site)
    try:
        return await once.run(caller, body, effect, location=f"{V1}/redemptions")
    except UnknownCodeError:
        # The write was rolled back; that somebody guesses must be remembered all the same.
        async with transaction(site.engine) as session:
            await service.count_miss(session, caller.key_id, site.clock.now())
        raise


async def _redeem(
    session: WriteSession, *, body: InStoreRedemption, caller: Principal, secret: bytes, site: Site
) -> Outcome:
    if body.location_id is not None and caller.partner_id is not None:
        places = await known_places(session, [body.location_id], [])
        if (caller.partner_id, body.location_id) not in places:
            found = FieldError("/location_id", "unknown", "This is no location of the partner.")
            raise InvalidInputError("The location is not known.", errors=[found])
    wish = replace(body.wish(""), location_id=body.location_id, staff_id=caller.staff_id, partner_id=caller.partner_id)
    redemption = await service.redeem_with_code(
        session, body.code, wish, secret, site.clock.now(), key_id=caller.key_id
    )
    return Outcome(show_redemption(redemption, names=wish.asked.names), status=202)
