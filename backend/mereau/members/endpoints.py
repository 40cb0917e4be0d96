"""Endpoints under /members that need the member alone."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.core.errors import ConflictError
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
from mereau.members import queries, service
from mereau.members.domain import MemberDraft
from mereau.members.models import Member
from mereau.members.schemas import MemberCreate, MemberOut, show_member

router = APIRouter(prefix=f"{V1}/members", tags=["Members"])


@router.post(
    "",
    status_code=201,
    response_model=MemberOut,
    responses={
        200: {"model": MemberOut, "description": "Already a member, with the same content."},
        **problems(*BODY_PROBLEMS, 409),
    },
)
async def enrol_member(
    caller: Annotated[Principal, allowed(Scope.MEMBERS_WRITE)],
    body: Annotated[MemberCreate, json_body(MemberCreate)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Enrol a member, once per external_id. Another's member, or other content, is a conflict."""
    draft = body.draft(caller.partner_id)
    known = await service.find_by_external_id(session, body.external_id)
    member = known or (await service.enrol(session, [draft], site.clock.now()))[0]
    if not _is_of(draft, member):
        raise ConflictError("There is another member with this external_id.")
    return answer(show_member(member), status=200 if known else 201)


@router.get("/{member_id}", response_model=MemberOut, responses=problems(404))
async def get_member(
    member_id: str, caller: Annotated[Principal, allowed(Scope.MEMBERS_READ)], session: Reads
) -> Response:
    """A member: for themselves, for the partner that enrolled them, for operators and auditors."""
    member = await queries.find_member(session, known_id("mem", member_id), caller.reach)
    if member is None:
        raise not_found("mem")
    return answer(show_member(member))


def _is_of(draft: MemberDraft, member: Member) -> bool:
    return all(getattr(member, field) == getattr(draft, field) for field in draft.__slots__)
