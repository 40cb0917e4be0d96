"""Endpoints of pick lists: JSON for a workshop's own system, CSV for its spreadsheet, a page for its printer."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.core import spreadsheets
from mereau.core.errors import FieldError, InvalidInputError
from mereau.core.http import BODY_PROBLEMS, V1, Reads, SiteHere, Writes, answer, json_body, known_id, problems
from mereau.core.pages import Language, answer_html, page, table
from mereau.rewards.fulfilment.picking import domain, service
from mereau.rewards.fulfilment.picking.schemas import PickListCreate, PickListOut, show_pick_list

router = APIRouter(prefix=f"{V1}/pick-lists", tags=["Deliveries"])


@router.post("", status_code=201, response_model=PickListOut, responses=problems(*BODY_PROBLEMS, 404, 409))
async def create_pick_list(
    caller: Annotated[Principal, allowed(Scope.DELIVERIES_WRITE)],
    body: Annotated[PickListCreate, json_body(PickListCreate)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Take the oldest deliveries that are ready; each is on one list at most."""
    partner_id = caller.partner_id or body.partner_id
    if partner_id is None or body.partner_id not in {None, partner_id}:
        found = FieldError("/partner_id", "wrong_partner", "Your own partner, or any for an operator.")
        raise InvalidInputError("Say whose workshop it is.", errors=[found])
    made = await service.create(session, partner_id, body.limit, site.clock.now(), actor=caller.key_id)
    return answer(show_pick_list(made, await service.picks(session, made.id)), status=201)


@router.get("/{pick_list_id}", response_model=PickListOut, responses=problems(404))
async def get_pick_list(
    pick_list_id: str, caller: Annotated[Principal, allowed(Scope.DELIVERIES_WRITE)], session: Reads
) -> Response:
    """What is left of a pick list; what was cancelled meanwhile is gone from it."""
    found = await service.get(session, known_id("pck", pick_list_id), partner_id=caller.reach.partner_id)
    return answer(show_pick_list(found, await service.picks(session, found.id)))


@router.get(
    "/{pick_list_id}/csv",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}, "description": "The list with addresses."}, **problems(404, 422)},
)
async def get_csv(
    pick_list_id: str,
    caller: Annotated[Principal, allowed(Scope.DELIVERIES_WRITE)],
    session: Reads,
    language: Language = "fr",
) -> Response:
    """The list with addresses, for a workshop that works from a spreadsheet."""
    found = await service.get(session, known_id("pck", pick_list_id), partner_id=caller.reach.partner_id)
    rows = (domain.cells(pick, language) for pick in await service.picks(session, found.id))
    content = spreadsheets.csv_bytes(domain.header(language), rows, language)
    disposition = {"Content-Disposition": f'attachment; filename="{found.id}.csv"'}
    return Response(content, media_type=spreadsheets.MEDIA_TYPE, headers=disposition)


@router.get(
    "/{pick_list_id}/page",
    response_class=Response,
    responses={200: {"content": {"text/html": {}}, "description": "The list to be printed."}, **problems(404, 422)},
)
async def get_page(
    pick_list_id: str,
    caller: Annotated[Principal, allowed(Scope.DELIVERIES_WRITE)],
    session: Reads,
    language: Language = "fr",
) -> Response:
    """The list to be printed: what to take from the shelves, then parcel by parcel, without addresses."""
    found = await service.get(session, known_id("pck", pick_list_id), partner_id=caller.reach.partner_id)
    picks = await service.picks(session, found.id)
    body = "".join(table(*section) for section in domain.sections(picks, language))
    return answer_html(page(language, domain.title(found.id, language), body))
