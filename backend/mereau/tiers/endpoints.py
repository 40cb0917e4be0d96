"""Endpoints of tiers: the set, and where a member stands."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.core.db import ReadSession, WriteSession
from mereau.core.http import (
    BODY_PROBLEMS,
    V1,
    Paging,
    Reads,
    Site,
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
from mereau.members.queries import find_member
from mereau.tiers import queries, service
from mereau.tiers.schemas import (
    MemberTierOut,
    TierActivation,
    TierAssignmentPut,
    TierChangeOut,
    TierPreviewOut,
    TierSetOut,
    TierSetPut,
    show_change,
    show_member_tier,
    show_preview,
    show_set,
)

router = APIRouter(prefix=V1, tags=["Tiers"])


@router.get("/tiers", response_model=TierSetOut, responses=problems())
async def get_tiers(caller: Annotated[Principal, allowed(Scope.TIERS_READ)], session: Reads) -> Response:
    """The tiers in force, the lowest first, and how they are reached."""
    return answer(await _shown(session, "active"))


@router.get("/tiers/draft", response_model=TierSetOut, responses=problems(404))
async def get_draft(caller: Annotated[Principal, allowed(Scope.TIERS_READ)], session: Reads) -> Response:
    """The set that is being prepared: for operators and auditors."""
    if not _is_inside(caller):
        raise not_found("tst")
    return answer(await _shown(session, "draft"))


@router.put("/tiers/draft", response_model=TierSetOut, responses=problems(*BODY_PROBLEMS))
async def put_draft(
    caller: Annotated[Principal, allowed(Scope.TIERS_WRITE)],
    body: Annotated[TierSetPut, json_body(TierSetPut)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Prepare a set: all its tiers at once, in the place of the draft before, under a new version."""
    await service.put_draft(session, body.ladder(), site.clock.now(), actor=caller.key_id)
    return answer(await _shown(session, "draft"))


@router.delete("/tiers/draft", status_code=204, responses=problems(404))
async def drop_draft(
    caller: Annotated[Principal, allowed(Scope.TIERS_WRITE)], session: Writes, site: SiteHere
) -> Response:
    """Forget the draft."""
    await service.drop_draft(session, site.clock.now(), actor=caller.key_id)
    return Response(status_code=204)


@router.post("/tiers/preview", response_model=TierPreviewOut, responses=problems(404))
async def preview_tiers(
    caller: Annotated[Principal, allowed(Scope.TIERS_WRITE)], session: Reads, site: SiteHere
) -> Response:
    """How many members the draft would move where; nothing is written."""
    return answer(show_preview(await service.preview(session, site.clock.now())))


@router.post("/tiers/activate", response_model=TierSetOut, responses=problems(*BODY_PROBLEMS, 404, 409))
async def activate_tiers(
    caller: Annotated[Principal, allowed(Scope.TIERS_WRITE)],
    body: Annotated[TierActivation, json_body(TierActivation)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Put the draft of this version in force; members are judged by it from now on, all within minutes."""
    await service.activate(session, body.version, site.clock.now(), actor=caller.key_id)
    return answer(await _shown(session, "active"))


async def _shown(session: ReadSession | WriteSession, status: str) -> TierSetOut:
    found = await service.find_set(session, status)
    if found is None and status == "draft":
        raise not_found("tst")
    return show_set(found, await service.tiers_in_force(session))


@router.get("/members/{member_id}/tier", response_model=MemberTierOut, responses=problems(404))
async def get_member_tier(
    member_id: str, caller: Annotated[Principal, allowed(Scope.TIERS_READ)], session: Reads, site: SiteHere
) -> Response:
    """A member's tier, what is missing for the next one and to keep this one."""
    await _check_visible(session, member_id, caller)
    return await _answer_tier(session, member_id, site, caller)


@router.get("/members/{member_id}/tier-changes", response_model=PageOut[TierChangeOut], responses=problems(404, 422))
async def list_tier_changes(
    member_id: str, caller: Annotated[Principal, allowed(Scope.TIERS_READ)], page: Paging, session: Reads
) -> Response:
    """A member's tier history, newest first."""
    await _check_visible(session, member_id, caller)
    rows = await queries.changes(session, member_id, page.after_number(), page.limit + 1)
    return answer_page(cut_page(rows, page.limit, lambda change: change.seq), show_change)


@router.put(
    "/members/{member_id}/tier-assignment",
    response_model=MemberTierOut,
    responses=problems(*BODY_PROBLEMS, 404, 409),
)
async def assign_tier(
    member_id: str,
    caller: Annotated[Principal, allowed(Scope.TIERS_WRITE)],
    body: Annotated[TierAssignmentPut, json_body(TierAssignmentPut)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Give a member a tier by hand; no evaluation touches it until its end."""
    await _check_visible(session, member_id, caller)
    await service.assign(
        session,
        member_id,
        tier_external_id=body.tier,
        reason=body.reason,
        ends_at=body.ends_at,
        now=site.clock.now(),
        actor=caller.key_id,
    )
    return await _answer_tier(session, member_id, site, caller)


@router.delete("/members/{member_id}/tier-assignment", response_model=MemberTierOut, responses=problems(404))
async def unassign_tier(
    member_id: str, caller: Annotated[Principal, allowed(Scope.TIERS_WRITE)], session: Writes, site: SiteHere
) -> Response:
    """End an assignment; the member holds what was earned."""
    await _check_visible(session, member_id, caller)
    await service.unassign(session, member_id, site.clock.now(), actor=caller.key_id)
    return await _answer_tier(session, member_id, site, caller)


async def _answer_tier(session: ReadSession | WriteSession, member_id: str, site: Site, caller: Principal) -> Response:
    found = await service.member_tier(session, member_id, site.clock.now())
    return answer(show_member_tier(member_id, found, inside=_is_inside(caller)))


def _is_inside(caller: Principal) -> bool:
    """Whether the caller sees the whole programme."""
    return caller.partner_id is None and caller.member_id is None


async def _check_visible(session: ReadSession | WriteSession, member_id: str, caller: Principal) -> None:
    if await find_member(session, known_id("mem", member_id), caller.reach) is None:
        raise not_found("mem")
