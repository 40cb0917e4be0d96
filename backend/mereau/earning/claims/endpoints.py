"""The endpoint /receipts/claim."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.auth.idempotency import Once
from mereau.auth.once import Outcome
from mereau.core.db import WriteSession
from mereau.core.http import BODY_PROBLEMS, V1, Site, SiteHere, json_body, problems
from mereau.earning.attempts import service as attempts
from mereau.earning.claims import service
from mereau.earning.claims.schemas import ReceiptClaimCreate
from mereau.earning.claims.service import Receipt
from mereau.earning.intake.service import claimant
from mereau.earning.schemas import BatchSale, show_batch_sale
from mereau.partners.domain import acting_partner
from mereau.programs import service as programs

router = APIRouter(prefix=f"{V1}/receipts", tags=["Sales"])


@router.post("/claim", status_code=201, response_model=BatchSale, responses=problems(*BODY_PROBLEMS, 409))
async def claim_receipt(
    caller: Annotated[Principal, allowed(Scope.EARNING_CLAIM)],
    body: Annotated[ReceiptClaimCreate, json_body(ReceiptClaimCreate)],
    once: Once,
    site: SiteHere,
    request: Request,
) -> Response:
    """Claim a receipt that was recorded for nobody known. Wrong ones are one answer, and guesses are counted."""
    maxima = attempts.allowances(caller.key_id, request.client.host if request.client else "")
    await attempts.take(site.engine, maxima, site.clock.now())
    effect = partial(_claim, caller=caller, body=body, site=site, maxima=maxima)
    return await once.run(caller, body, effect)


async def _claim(
    session: WriteSession, *, caller: Principal, body: ReceiptClaimCreate, site: Site, maxima: dict[str, int]
) -> Outcome:
    member_id = await claimant(session, caller, body.member)
    receipt = Receipt(acting_partner(caller, body.partner_id), body.external_id, body.amount_minor, body.day)
    sale = await service.claim(session, member_id, receipt, site.clock.now(), actor=caller.key_id)
    await attempts.give_back(session, maxima)
    currency = (await programs.current(session)).currency
    return Outcome(show_batch_sale(sale, currency), status=201)
