"""Giving tokens to another member."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.core.http import BODY_PROBLEMS, V1, Reads, json_body, known_id, not_found, problems
from mereau.ledger.gifts import service
from mereau.ledger.gifts.schemas import GiftCreate

router = APIRouter(prefix=f"{V1}/members", tags=["Members"])


@router.post("/{member_id}/gifts", status_code=409, responses=problems(*BODY_PROBLEMS, 404, 409))
async def give_tokens(
    member_id: str,
    caller: Annotated[Principal, allowed(Scope.REDEMPTIONS_WRITE)],
    body: Annotated[GiftCreate, json_body(GiftCreate)],
    session: Reads,
) -> Response:
    """Give tokens to another member, and learn why this contract lets nobody do so. Households pool none either."""
    known_id("mem", member_id)
    if caller.reach.member_id not in {None, member_id}:
        raise not_found("mem")
    raise await service.refusal(session, member_id)
