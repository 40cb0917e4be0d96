"""Endpoints under /members and /profile-requirements: changing profiles, blocking, completeness."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Role, Scope
from mereau.core.errors import FieldError, InvalidInputError
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
from mereau.members.profile import service
from mereau.members.profile.schemas import (
    BlockCreate,
    MemberChange,
    ProfileOut,
    ProfileRequirementsChange,
    ProfileRequirementsOut,
)
from mereau.members.profile.service import Edit
from mereau.members.schemas import MemberOut, show_member

router = APIRouter(prefix=V1, tags=["Members"])


@router.patch("/members/{member_id}", response_model=MemberOut, responses=problems(*BODY_PROBLEMS, 404, 409))
async def change_member(
    member_id: str,
    caller: Annotated[Principal, allowed(Scope.PROFILE_WRITE)],
    body: Annotated[MemberChange, json_body(MemberChange)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Change a profile: members their own, partners of those whom they enrolled, operators anybody's."""
    known_id("mem", member_id)
    if caller.reach.member_id not in {None, member_id}:
        raise not_found("mem")
    if caller.role is not Role.OPERATOR:
        _refuse_operators_fields(body)
    edit = Edit(body.values(), caller.key_id, body.reason)
    member = await service.change(session, member_id, edit, site.clock.now(), partner_id=caller.partner_id)
    return answer(show_member(member))


@router.post("/members/{member_id}/block", response_model=MemberOut, responses=problems(*BODY_PROBLEMS, 404, 409))
async def block_member(
    member_id: str,
    caller: Annotated[Principal, allowed(Scope.MEMBERS_MANAGE)],
    body: Annotated[BlockCreate, json_body(BlockCreate)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Keep a member from earning and redeeming until they are unblocked."""
    known_id("mem", member_id)
    member = await service.block(session, member_id, body.reason, site.clock.now(), actor=caller.key_id)
    return answer(show_member(member))


@router.post("/members/{member_id}/unblock", response_model=MemberOut, responses=problems(*BODY_PROBLEMS, 404, 409))
async def unblock_member(
    member_id: str,
    caller: Annotated[Principal, allowed(Scope.MEMBERS_MANAGE)],
    body: Annotated[BlockCreate, json_body(BlockCreate)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Let a blocked member earn and redeem again."""
    known_id("mem", member_id)
    member = await service.unblock(session, member_id, body.reason, site.clock.now(), actor=caller.key_id)
    return answer(show_member(member))


@router.get("/members/{member_id}/profile", response_model=ProfileOut, responses=problems(404))
async def get_profile(
    member_id: str, caller: Annotated[Principal, allowed(Scope.MEMBERS_READ)], session: Reads
) -> Response:
    """Whether the profile is complete by the programme's requirements, and which fields are missing."""
    member = await queries.find_member(session, known_id("mem", member_id), caller.reach)
    if member is None:
        raise not_found("mem")
    missing = await service.missing(session, member)
    return answer(ProfileOut(member_id=member.id, complete=not missing, missing=missing))


@router.get("/profile-requirements", response_model=ProfileRequirementsOut, responses=problems())
async def get_profile_requirements(
    caller: Annotated[Principal, allowed(Scope.MEMBERS_READ)], session: Reads
) -> Response:
    """The fields of a complete profile."""
    return answer(ProfileRequirementsOut(fields=await service.required_fields(session)))


@router.put("/profile-requirements", response_model=ProfileRequirementsOut, responses=problems(*BODY_PROBLEMS))
async def change_profile_requirements(
    caller: Annotated[Principal, allowed(Scope.MEMBERS_MANAGE)],
    body: Annotated[ProfileRequirementsChange, json_body(ProfileRequirementsChange)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Say which fields make a profile complete, from now on."""
    await service.require_fields(session, body.fields, site.clock.now(), actor=caller.key_id)
    return answer(ProfileRequirementsOut(fields=await service.required_fields(session)))


def _refuse_operators_fields(body: MemberChange) -> None:
    """Labels decide who is in an audience, and a reason overrides a lock: neither is for those who profit."""
    errors = [
        FieldError(f"/{field}", "not_yours", "Only operators set this.")
        for field in ("labels", "reason")
        if field in body.model_fields_set
    ]
    if errors:
        raise InvalidInputError("The profile holds fields that are not yours to set.", errors=errors)
