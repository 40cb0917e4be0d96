"""Endpoints under /partners: partners, their limits in the contract, locations and staff."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Reach, Scope
from mereau.core.db import ReadSession, WriteSession
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
from mereau.core.pagination import cut_page
from mereau.core.schemas import PageOut
from mereau.ledger.registry import service as registry
from mereau.partners import queries, service
from mereau.partners.domain import PartnerDraft
from mereau.partners.models import Partner
from mereau.partners.schemas import (
    AllowancePut,
    LocationCreate,
    LocationOut,
    PartnerCreate,
    PartnerOut,
    StaffCreate,
    StaffOut,
    show_location,
    show_partner,
    show_staff,
)

router = APIRouter(prefix=f"{V1}/partners", tags=["Partners"])


@router.post("", status_code=201, response_model=PartnerOut, responses=problems(*BODY_PROBLEMS, 409))
async def create_partner(
    caller: Annotated[Principal, allowed(Scope.PARTNERS_WRITE)],
    body: Annotated[PartnerCreate, json_body(PartnerCreate)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Take a merchant in, and order the contract to know it with its limits."""
    now = site.clock.now()
    draft = PartnerDraft(
        external_id=body.external_id,
        name=body.name,
        allowance_tokens=body.allowance_tokens,
        period_cap_tokens=body.period_cap_tokens,
    )
    partner = await service.create(session, draft, now)
    await registry.register_partner(session, partner, now, actor=caller.key_id)
    return answer(show_partner(partner), status=201)


@router.get("", response_model=PageOut[PartnerOut], responses=problems(422))
async def list_partners(
    caller: Annotated[Principal, allowed(Scope.PARTNERS_READ)], page: Paging, session: Reads
) -> Response:
    """Partners by number; a partner sees itself alone."""
    rows = await queries.list_partners(session, caller.reach, page.after_number(), page.limit + 1)
    return answer_page(cut_page(rows, page.limit, lambda partner: partner.number), show_partner)


@router.put("/{partner_id}/allowance", response_model=PartnerOut, responses=problems(*BODY_PROBLEMS, 404))
async def set_allowance(
    partner_id: str,
    caller: Annotated[Principal, allowed(Scope.PARTNERS_WRITE)],
    body: Annotated[AllowancePut, json_body(AllowancePut)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Order new limits on chain; they bind from the block that holds them."""
    partner = await registry.set_allowance(
        session,
        known_id("par", partner_id),
        allowance_tokens=body.allowance_tokens,
        period_cap_tokens=body.period_cap_tokens,
        now=site.clock.now(),
        actor=caller.key_id,
    )
    return answer(show_partner(partner))


@router.post(
    "/{partner_id}/locations",
    status_code=201,
    response_model=LocationOut,
    responses=problems(*BODY_PROBLEMS, 404, 409),
)
async def add_location(
    partner_id: str,
    caller: Annotated[Principal, allowed(Scope.STAFF_WRITE)],
    body: Annotated[LocationCreate, json_body(LocationCreate)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Add a place of business."""
    await _own_partner(session, partner_id, caller.reach)
    location = await service.add_location(
        session, partner_id, external_id=body.external_id, name=body.name, now=site.clock.now()
    )
    return answer(show_location(location), status=201)


@router.get("/{partner_id}/locations", response_model=PageOut[LocationOut], responses=problems(404, 422))
async def list_locations(
    partner_id: str, caller: Annotated[Principal, allowed(Scope.PARTNERS_READ)], page: Paging, session: Reads
) -> Response:
    """Places of business, the oldest first."""
    await _own_partner(session, partner_id, caller.reach)
    rows = await queries.list_locations(session, partner_id, page.after, page.limit + 1)
    return answer_page(cut_page(rows, page.limit, lambda location: location.id), show_location)


@router.post(
    "/{partner_id}/staff", status_code=201, response_model=StaffOut, responses=problems(*BODY_PROBLEMS, 404, 409)
)
async def add_staff(
    partner_id: str,
    caller: Annotated[Principal, allowed(Scope.STAFF_WRITE)],
    body: Annotated[StaffCreate, json_body(StaffCreate)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Add a person; a key of their own is made under /partners/{id}/api-keys."""
    await _own_partner(session, partner_id, caller.reach)
    person = await service.add_staff(
        session,
        partner_id,
        external_id=body.external_id,
        display_name=body.display_name,
        location_id=body.location_id,
        now=site.clock.now(),
    )
    return answer(show_staff(person), status=201)


@router.get("/{partner_id}/staff", response_model=PageOut[StaffOut], responses=problems(404, 422))
async def list_staff(
    partner_id: str, caller: Annotated[Principal, allowed(Scope.PARTNERS_READ)], page: Paging, session: Reads
) -> Response:
    """The partner's people, the oldest first."""
    await _own_partner(session, partner_id, caller.reach)
    rows = await queries.list_staff(session, partner_id, page.after, page.limit + 1)
    return answer_page(cut_page(rows, page.limit, lambda person: person.id), show_staff)


async def _own_partner(session: ReadSession | WriteSession, partner_id: str, reach: Reach) -> Partner:
    partner = await queries.find_partner(session, known_id("par", partner_id), reach)
    if partner is None:
        raise not_found("par")
    return partner
