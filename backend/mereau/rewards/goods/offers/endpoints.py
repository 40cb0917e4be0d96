"""Endpoints of what rewards bring."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.core.http import BODY_PROBLEMS, V1, Reads, SiteHere, Writes, answer, json_body, known_id, problems
from mereau.rewards.goods.offers import service
from mereau.rewards.goods.offers.schemas import OfferOut, OfferPut, show_offer

router = APIRouter(prefix=f"{V1}/rewards", tags=["Goods"])


@router.put("/{reward_id}/goods", response_model=OfferOut, responses=problems(*BODY_PROBLEMS, 404, 409))
async def put_offer(
    reward_id: str,
    caller: Annotated[Principal, allowed(Scope.GOODS_WRITE)],
    body: Annotated[OfferPut, json_body(OfferPut)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """State how a gift is delivered: with what else, what may be put on it, and who approves the proof."""
    known_id("rwd", reward_id)
    return answer(
        show_offer(await service.put(session, reward_id, body.draft(), site.clock.now(), actor=caller.key_id))
    )


@router.get("/{reward_id}/goods", response_model=OfferOut, responses=problems(404))
async def get_offer(
    reward_id: str, caller: Annotated[Principal, allowed(Scope.REWARDS_READ)], session: Reads
) -> Response:
    """What a member may choose, and what of it is there."""
    return answer(show_offer(await service.get(session, known_id("rwd", reward_id))))
