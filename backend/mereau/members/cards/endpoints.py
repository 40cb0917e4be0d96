"""Endpoints under /members/{member_id}/cards."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.core.db import ReadSession, WriteSession
from mereau.core.http import (
    BODY_PROBLEMS,
    V1,
    Reads,
    SiteHere,
    Writes,
    answer,
    json_body,
    known_id,
    not_found,
    problems,
)
from mereau.members import queries
from mereau.members.cards import service
from mereau.members.cards.schemas import CardCreate, CardOut, CardsOut, show_card

router = APIRouter(prefix=f"{V1}/members", tags=["Members"])


@router.post(
    "/{member_id}/cards",
    status_code=201,
    response_model=CardOut,
    responses={
        200: {"model": CardOut, "description": "The card was registered before."},
        **problems(*BODY_PROBLEMS, 404, 409),
    },
)
async def register_card(
    member_id: str,
    caller: Annotated[Principal, allowed(Scope.PROFILE_WRITE)],
    body: Annotated[CardCreate, json_body(CardCreate)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Let what is paid with a card earn for this member from now on."""
    await _check_visible(session, member_id, caller)
    card, is_new = await service.register(
        session, member_id, body.token, body.name, site.clock.now(), actor=caller.key_id
    )
    return answer(show_card(card), status=201 if is_new else 200)


@router.get("/{member_id}/cards", response_model=CardsOut, responses=problems(404))
async def list_cards(
    member_id: str, caller: Annotated[Principal, allowed(Scope.MEMBERS_READ)], session: Reads
) -> Response:
    """A member's cards."""
    await _check_visible(session, member_id, caller)
    return answer(CardsOut(data=[show_card(card) for card in await service.cards(session, member_id)]))


@router.delete("/{member_id}/cards/{card_id}", status_code=204, responses=problems(404))
async def remove_card(
    member_id: str,
    card_id: str,
    caller: Annotated[Principal, allowed(Scope.PROFILE_WRITE)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Forget a card; what it has earned stays."""
    await _check_visible(session, member_id, caller)
    await service.remove(session, member_id, known_id("crd", card_id), site.clock.now(), actor=caller.key_id)
    return Response(status_code=204)


async def _check_visible(session: ReadSession | WriteSession, member_id: str, caller: Principal) -> None:
    if await queries.find_member(session, known_id("mem", member_id), caller.reach) is None:
        raise not_found("mem")
