"""Endpoints under /earning-terms."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.core.http import BODY_PROBLEMS, V1, Reads, SiteHere, Writes, answer, json_body, problems
from mereau.earning.terms import service
from mereau.earning.terms.schemas import EarningTermsChange, EarningTermsOut

router = APIRouter(prefix=f"{V1}/earning-terms", tags=["Earning rules"])


@router.get("", response_model=EarningTermsOut, responses=problems())
async def get_earning_terms(caller: Annotated[Principal, allowed(Scope.RULES_READ)], session: Reads) -> Response:
    """What holds for win-back, claimed receipts and referrals."""
    return answer(EarningTermsOut.model_validate(await service.current(session)))


@router.put("", response_model=EarningTermsOut, responses=problems(*BODY_PROBLEMS))
async def change_earning_terms(
    caller: Annotated[Principal, allowed(Scope.RULES_WRITE)],
    body: Annotated[EarningTermsChange, json_body(EarningTermsChange)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Lay down all terms, from now on."""
    await service.change(session, body.terms(), site.clock.now(), actor=caller.key_id)
    return answer(EarningTermsOut.model_validate(await service.current(session)))
