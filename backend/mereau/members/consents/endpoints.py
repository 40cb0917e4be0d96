"""Endpoints under /members/{member_id}/consents."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.core.http import (
    BODY_PROBLEMS,
    V1,
    Paging,
    Reads,
    SiteHere,
    Writes,
    answer,
    answer_page,
    json_body,
    known_id,
    not_found,
    problems,
)
from mereau.core.pagination import Page, cut_page
from mereau.core.schemas import PageOut
from mereau.members import queries
from mereau.members.consents import service
from mereau.members.consents.schemas import ConsentCreate, ConsentOut, show_consent

router = APIRouter(prefix=f"{V1}/members", tags=["Members"])


@router.post(
    "/{member_id}/consents",
    status_code=201,
    response_model=ConsentOut,
    responses={
        200: {"model": ConsentOut, "description": "The same was recorded before."},
        **problems(*BODY_PROBLEMS, 404, 409),
    },
)
async def record_consent(
    member_id: str,
    caller: Annotated[Principal, allowed(Scope.PROFILE_WRITE)],
    body: Annotated[ConsentCreate, json_body(ConsentCreate)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Record what a member agreed to or withdrew. Records stay; the last word counts."""
    known_id("mem", member_id)
    if caller.reach.member_id not in {None, member_id}:
        raise not_found("mem")
    consent, is_new = await service.record(
        session, member_id, body.draft(), site.clock.now(), actor=caller.key_id, partner_id=caller.partner_id
    )
    return answer(show_consent(consent), status=201 if is_new else 200)


@router.get("/{member_id}/consents", response_model=PageOut[ConsentOut], responses=problems(404, 422))
async def list_consents(
    member_id: str,
    caller: Annotated[Principal, allowed(Scope.MEMBERS_READ)],
    page: Paging,
    session: Reads,
    current: Annotated[str | None, Query(pattern="^true$", description="`true`: only what counts, by kind.")] = None,
) -> Response:
    """What a member said, the last record first; or only what counts now."""
    member = await queries.find_member(session, known_id("mem", member_id), caller.reach)
    if member is None:
        raise not_found("mem")
    if current is not None:
        return answer_page(Page(await service.current(session, member_id), None), show_consent)
    rows = await service.history(session, member_id, page.after, page.limit + 1)
    return answer_page(cut_page(rows, page.limit, lambda consent: consent.id), show_consent)
