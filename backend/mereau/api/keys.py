"""Endpoints /api-keys and /partners/{id}/api-keys."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth import service
from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Role, Scope
from mereau.auth.errors import ExcessiveScopeError
from mereau.auth.schemas import KeyCreate, KeyCreated, KeyOut, PartnerKeyCreate, show_key, show_new_key
from mereau.auth.service import KeyDraft
from mereau.core.db import WriteSession
from mereau.core.errors import FieldError, InvalidInputError
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
from mereau.core.schemas import PageOut
from mereau.members import queries as members
from mereau.partners import queries as partners

router = APIRouter(prefix=V1, tags=["API keys"])


@router.post(
    "/partners/{partner_id}/api-keys",
    status_code=201,
    response_model=KeyCreated,
    responses=problems(*BODY_PROBLEMS, 404),
)
async def create_partner_key(
    partner_id: str,
    caller: Annotated[Principal, allowed(Scope.KEYS_WRITE)],
    body: Annotated[PartnerKeyCreate, json_body(PartnerKeyCreate)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """A further key of a partner or of its staff; any number may be valid at once, so keys rotate overlapping."""
    if await partners.find_partner(session, known_id("par", partner_id), caller.reach) is None:
        raise not_found("par")
    draft = KeyDraft(
        role=Role(body.role),
        name=body.name,
        partner_id=partner_id,
        staff_id=body.staff_id,
        scopes=body.scope_set(),
        expires_at=body.expires_at,
        mode=body.mode,
    )
    return await _create(session, draft, caller, site)


@router.post("/api-keys", status_code=201, response_model=KeyCreated, responses=problems(*BODY_PROBLEMS))
async def create_key(
    caller: Annotated[Principal, allowed(Scope.KEYS_WRITE)],
    body: Annotated[KeyCreate, json_body(KeyCreate)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """A key for an operator, an auditor, a partner, its staff or a member. For operators only."""
    if caller.role is not Role.OPERATOR:
        raise ExcessiveScopeError("Only an operator makes keys here; see /partners/{id}/api-keys.")
    if body.partner_id is not None and await partners.find_partner(session, body.partner_id, caller.reach) is None:
        raise _no_owner("partner_id")
    if body.member_id is not None and await members.find_member(session, body.member_id, caller.reach) is None:
        raise _no_owner("member_id")
    draft = KeyDraft(
        role=Role(body.role),
        name=body.name,
        partner_id=body.partner_id,
        staff_id=body.staff_id,
        member_id=body.member_id,
        scopes=body.scope_set(),
        expires_at=body.expires_at,
        mode=body.mode,
    )
    return await _create(session, draft, caller, site)


@router.get("/api-keys", response_model=PageOut[KeyOut], responses=problems(422))
async def list_keys(caller: Annotated[Principal, allowed(Scope.KEYS_READ)], page: Paging, session: Reads) -> Response:
    """Keys without their secrets, newest first; a partner sees those of its house."""
    return answer_page(await service.list_keys(session, caller.reach, page), show_key)


@router.delete("/api-keys/{key_id}", status_code=204, responses=problems(404, 409))
async def revoke_key(
    key_id: str, caller: Annotated[Principal, allowed(Scope.KEYS_WRITE)], session: Writes, site: SiteHere
) -> Response:
    """End a key: it is refused everywhere within 5 seconds. Repeating it changes nothing."""
    await service.revoke(session, known_id("key", key_id), site.clock.now(), reach=caller.reach, actor=caller)
    return Response(status_code=204)


async def _create(session: WriteSession, draft: KeyDraft, caller: Principal, site: SiteHere) -> Response:
    if (
        draft.staff_id is not None
        and draft.partner_id is not None
        and await partners.find_staff(session, draft.staff_id, draft.partner_id) is None
    ):
        raise _no_owner("staff_id")
    key, text = await service.create_api_key(session, draft, site.clock.now(), granter=caller)
    return answer(show_new_key(key, text), status=201, headers={"Cache-Control": "no-store"})


def _no_owner(field: str) -> InvalidInputError:
    return InvalidInputError(
        "The key's owner does not exist.", errors=[FieldError(f"/{field}", "unknown", "No such object.")]
    )
