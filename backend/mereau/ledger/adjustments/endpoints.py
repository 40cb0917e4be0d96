"""Credits and debits by hand, and the requests that a second person decides on."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.auth.idempotency import Once
from mereau.auth.once import Outcome
from mereau.core.db import WriteSession
from mereau.core.http import (
    BODY_PROBLEMS,
    V1,
    Paging,
    Reads,
    Site,
    SiteHere,
    answer_page,
    json_body,
    known_id,
    problems,
)
from mereau.core.pagination import cut_page
from mereau.core.schemas import PageOut
from mereau.ledger.adjustments import repository, service
from mereau.ledger.adjustments.domain import AdjustmentDraft, State
from mereau.ledger.adjustments.models import Adjustment
from mereau.ledger.adjustments.repository import Sought
from mereau.ledger.adjustments.schemas import AdjustmentCreate, AdjustmentDecision, AdjustmentOut, show_adjustment
from mereau.partners.domain import acting_partner

router = APIRouter(prefix=V1, tags=["Adjustments"])
Decide = Callable[..., Awaitable[Adjustment]]


@router.post(
    "/members/{member_id}/adjustments",
    status_code=201,
    response_model=AdjustmentOut,
    responses={
        202: {"model": AdjustmentOut, "description": "A request: somebody else must approve it."},
        **problems(*BODY_PROBLEMS, 404, 409),
    },
)
async def adjust_balance(
    member_id: str,
    caller: Annotated[Principal, allowed(Scope.ADJUSTMENTS_WRITE)],
    body: Annotated[AdjustmentCreate, json_body(AdjustmentCreate)],
    once: Once,
    site: SiteHere,
) -> Response:
    """Credit or debit a member by hand. Beyond the programme's threshold nothing moves until another approves."""
    effect = partial(_adjust, member_id=known_id("mem", member_id), caller=caller, body=body, site=site)
    return await once.run(caller, body, effect)


@router.get("/adjustments", response_model=PageOut[AdjustmentOut], responses=problems(422))
async def list_adjustments(
    caller: Annotated[Principal, allowed(Scope.ADJUSTMENTS_READ)],
    page: Paging,
    session: Reads,
    site: SiteHere,
    state: Annotated[State | None, Query(description="As it shows now.")] = None,
    member_id: Annotated[str | None, Query(max_length=30)] = None,
) -> Response:
    """What was credited and debited by hand, or waits, the newest first; a partner sees its own alone."""
    now = site.clock.now()
    sought = Sought(now, state, member_id)
    rows = await repository.page(session, caller.reach, sought, page.after, page.limit + 1)
    shown = cut_page(rows, page.limit, lambda adjustment: adjustment.id)
    return answer_page(shown, partial(show_adjustment, now=now))


@router.post(
    "/adjustments/{adjustment_id}/approve",
    response_model=AdjustmentOut,
    responses=problems(*BODY_PROBLEMS, 404, 409),
)
async def approve_adjustment(
    adjustment_id: str,
    caller: Annotated[Principal, allowed(Scope.ADJUSTMENTS_APPROVE)],
    body: Annotated[AdjustmentDecision, json_body(AdjustmentDecision)],
    once: Once,
    site: SiteHere,
) -> Response:
    """Let a request happen that somebody else made."""
    return await once.run(caller, body, _decision(service.approve, adjustment_id, caller, body, site))


@router.post(
    "/adjustments/{adjustment_id}/reject",
    response_model=AdjustmentOut,
    responses=problems(*BODY_PROBLEMS, 404, 409),
)
async def reject_adjustment(
    adjustment_id: str,
    caller: Annotated[Principal, allowed(Scope.ADJUSTMENTS_APPROVE)],
    body: Annotated[AdjustmentDecision, json_body(AdjustmentDecision)],
    once: Once,
    site: SiteHere,
) -> Response:
    """Turn a request down that somebody else made."""
    return await once.run(caller, body, _decision(service.reject, adjustment_id, caller, body, site))


async def _adjust(
    session: WriteSession, *, member_id: str, caller: Principal, body: AdjustmentCreate, site: Site
) -> Outcome:
    now = site.clock.now()
    draft = AdjustmentDraft(
        member_id, acting_partner(caller, body.partner_id), body.direction, body.tokens, body.reason_code, body.note
    )
    adjustment = await service.adjust(session, draft, caller, now)
    status = 202 if adjustment.state == "pending_approval" else 201
    return Outcome(show_adjustment(adjustment, now), status=status)


def _decision(
    decide: Decide, adjustment_id: str, caller: Principal, body: AdjustmentDecision, site: Site
) -> Callable[[WriteSession], Awaitable[Outcome]]:
    known_id("adj", adjustment_id)

    async def effect(session: WriteSession) -> Outcome:
        now = site.clock.now()
        return Outcome(show_adjustment(await decide(session, adjustment_id, caller, now, note=body.note), now), 200)

    return effect
