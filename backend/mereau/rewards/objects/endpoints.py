"""Endpoints of objects, and the page that the code on an object opens."""

from io import BytesIO
from typing import Annotated, Literal

import segno
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.core import codes
from mereau.core.errors import ForbiddenError
from mereau.core.http import (
    BODY_PROBLEMS,
    V1,
    InstantQuery,
    Reads,
    SiteHere,
    Writes,
    answer,
    json_body,
    known_id,
    not_found,
    problems,
)
from mereau.core.pages import Language, answer_html, page
from mereau.rewards.objects import domain, service
from mereau.rewards.objects.schemas import (
    FiguresOut,
    MarkCreate,
    MarkedListOut,
    ObjectOut,
    TakeBackCreate,
    TransferCreate,
    show_figures,
    show_marked,
    show_object,
)

router = APIRouter(tags=["Objects"])


@router.post(
    f"{V1}/deliveries/{{delivery_id}}/objects",
    status_code=201,
    response_model=MarkedListOut,
    responses=problems(*BODY_PROBLEMS, 404, 409),
)
async def mark_objects(
    delivery_id: str,
    caller: Annotated[Principal, allowed(Scope.DELIVERIES_WRITE)],
    body: Annotated[MarkCreate, json_body(MarkCreate)],
    session: Writes,
    site: SiteHere,
    request: Request,
) -> Response:
    """Give each piece of a line a code to print on it. The codes are shown this once."""
    marked = await service.mark(
        session,
        known_id("dlv", delivery_id),
        body.line_number,
        site.clock.now(),
        actor=caller.key_id,
        reach=caller.reach,
    )
    return answer(show_marked(marked, _base_url(request)), status=201)


@router.post(f"{V1}/objects/{{code}}/activate", response_model=ObjectOut, responses=problems(404))
async def activate_object(
    code: str, caller: Annotated[Principal, allowed(Scope.REDEMPTIONS_WRITE)], session: Writes, site: SiteHere
) -> Response:
    """Activate what an object promises, once. A code that is unknown, used or another's is one answer."""
    if caller.member_id is None:
        raise ForbiddenError("Only its owner activates an object.")
    return answer(show_object(await service.activate(session, code, caller.member_id, site.clock.now())))


@router.post(f"{V1}/objects/{{code}}/transfer", response_model=ObjectOut, responses=problems(*BODY_PROBLEMS, 404, 409))
async def transfer_object(
    code: str,
    caller: Annotated[Principal, allowed(Scope.REDEMPTIONS_WRITE)],
    body: Annotated[TransferCreate, json_body(TransferCreate)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Pass an object on to another member, before it is activated."""
    found = await service.transfer(
        session,
        code,
        body.to_external_id,
        site.clock.now(),
        actor=caller.key_id,
        member_id=caller.member_id,
    )
    return answer(show_object(found))


@router.post(f"{V1}/objects/{{code}}/take-back", response_model=ObjectOut, responses=problems(*BODY_PROBLEMS, 404))
async def take_object_back(
    code: str,
    caller: Annotated[Principal, allowed(Scope.DELIVERIES_WRITE)],
    body: Annotated[TakeBackCreate, json_body(TakeBackCreate)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Take an object back at the end of its life, once; its owner may be rewarded for it."""
    found = await service.take_back(
        session, code, body.outcome, site.clock.now(), actor=caller.key_id, partner_id=caller.reach.partner_id
    )
    return answer(show_object(found))


@router.get(
    f"{V1}/objects/{{code}}/qr",
    response_class=Response,
    responses={
        200: {"content": {"image/svg+xml": {}, "image/png": {}}, "description": "The QR code."},
        **problems(404, 422),
    },
)
async def get_qr(
    code: str,
    caller: Annotated[Principal, allowed(Scope.DELIVERIES_WRITE)],
    request: Request,
    image: Annotated[Literal["svg", "png"], Query(alias="format")] = "svg",
) -> Response:
    """The QR code to print on an object. It is drawn from the code alone: nobody is told whether it exists."""
    if codes.digest_of(code) is None:
        raise not_found("obj")
    drawn = BytesIO()
    # The next better error correction where it costs no larger symbol: objects get scratched.
    segno.make(f"{_base_url(request)}/o/{code}", error="m", boost_error=True).save(drawn, kind=image, scale=8)
    return Response(drawn.getvalue(), media_type="image/svg+xml" if image == "svg" else "image/png")


@router.get(f"{V1}/goods/figures", response_model=FiguresOut, responses=problems(422))
async def get_figures(
    caller: Annotated[Principal, allowed(Scope.GOODS_READ)],
    session: Reads,
    since: InstantQuery = None,
    until: InstantQuery = None,
) -> Response:
    """How many pieces were sent, came back, were activated and taken back, by goods."""
    found = await service.figures(session, since=since, until=until, partner_id=caller.reach.partner_id)
    return answer(show_figures(found))


@router.get("/o/{code}", include_in_schema=False)
async def landing(code: str, session: Reads, language: Language = "fr") -> Response:
    """What the QR code on an object opens, for anybody who holds it; every wrong code is one page."""
    story, spelled = await service.story(session, code), codes.respell(code)
    if story is None or spelled is None:
        return answer_html(page(language, *domain.unknown(language)), status=404)
    return answer_html(page(language, *domain.landing(story, spelled, language)))


def _base_url(request: Request) -> str:
    base_url: str = request.app.state.public_url
    return base_url
