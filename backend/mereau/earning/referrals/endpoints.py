"""Endpoints under /members and /referrals: codes, attribution, what became of it."""

from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.core.db import ReadSession
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
from mereau.core.pagination import PageQuery, cut_page
from mereau.core.schemas import PageOut
from mereau.earning.referrals import service
from mereau.earning.referrals.schemas import ReferralCodeOut, ReferralCreate, ReferralOut, show_referral
from mereau.earning.terms import service as terms

router = APIRouter(prefix=V1, tags=["Referrals"])
State = Annotated[
    Literal["pending", "qualified", "expired", "refused", "cancelled"] | None, Query(description="Only these.")
]


@router.post("/members/{member_id}/referral-code", response_model=ReferralCodeOut, responses=problems(404))
async def ensure_referral_code(
    member_id: str, caller: Annotated[Principal, allowed(Scope.PROFILE_WRITE)], session: Writes, site: SiteHere
) -> Response:
    """The member's code and link; made at the first asking, the same ever after."""
    _check_own(member_id, caller)
    code = await service.ensure_code(session, member_id, site.clock.now(), partner_id=caller.partner_id)
    base = (await terms.current(session)).referral_link_base
    return answer(ReferralCodeOut(member_id=member_id, code=code, link=None if base is None else f"{base}{code}"))


@router.post(
    "/members/{member_id}/referral",
    status_code=201,
    response_model=ReferralOut,
    responses=problems(*BODY_PROBLEMS, 404, 409),
)
async def attribute_referral(
    member_id: str,
    caller: Annotated[Principal, allowed(Scope.PROFILE_WRITE)],
    body: Annotated[ReferralCreate, json_body(ReferralCreate)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Say who brought a new member. It counts when the member buys; the same code again answers the same."""
    _check_own(member_id, caller)
    referral = await service.attribute(
        session, member_id, body.code, site.clock.now(), actor=caller.key_id, partner_id=caller.partner_id
    )
    return answer(show_referral(referral, is_private=_is_side(caller)), status=201)


@router.get("/members/{member_id}/referrals", response_model=PageOut[ReferralOut], responses=problems(404, 422))
async def list_members_referrals(
    member_id: str,
    caller: Annotated[Principal, allowed(Scope.REFERRALS_READ)],
    page: Paging,
    session: Reads,
    state: State = None,
) -> Response:
    """The friends that a member brought, the newest first."""
    _check_own(member_id, caller)
    return await _page(session, caller, page, member_id, state)


@router.get("/referrals", response_model=PageOut[ReferralOut], responses=problems(422))
async def list_referrals(
    caller: Annotated[Principal, allowed(Scope.REFERRALS_READ)], page: Paging, session: Reads, state: State = None
) -> Response:
    """All referrals of the programme, the newest first; for members their own."""
    return await _page(session, caller, page, caller.member_id, state)


async def _page(
    session: ReadSession, caller: Principal, page: PageQuery, referrer_id: str | None, state: str | None
) -> Response:
    rows = await service.referrals(session, referrer_id, state, page.after, page.limit + 1)
    show = partial(show_referral, is_private=_is_side(caller))
    return answer_page(cut_page(rows, page.limit, lambda referral: referral.id), show)


def _is_side(caller: Principal) -> bool:
    return caller.member_id is not None or caller.partner_id is not None


def _check_own(member_id: str, caller: Principal) -> None:
    known_id("mem", member_id)
    if caller.reach.member_id not in {None, member_id}:
        raise not_found("mem")
