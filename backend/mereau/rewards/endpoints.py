"""Endpoints of redemptions and of their vouchers."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
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
    answer,
    answer_page,
    json_body,
    known_id,
    not_found,
    problems,
)
from mereau.core.pagination import Page, cut_page
from mereau.core.schemas import PageOut
from mereau.ledger.balances.queries import find_balance
from mereau.ledger.schemas import show_balance
from mereau.rewards import repository, service
from mereau.rewards.availability.service import availabilities
from mereau.rewards.catalogue.repository import place_of
from mereau.rewards.pools import repository as pools
from mereau.rewards.schemas import (
    AvailableReward,
    Cancellation,
    RedemptionAccepted,
    RedemptionCreate,
    RedemptionOut,
    VoucherUse,
    show_accepted,
    show_available,
    show_redemption,
)

router = APIRouter(prefix=V1, tags=["Rewards"])


@router.get("/members/{member_id}/rewards", response_model=PageOut[AvailableReward], responses=problems(404, 422))
async def list_available(
    member_id: str,
    caller: Annotated[Principal, allowed(Scope.REDEMPTIONS_READ)],
    page: Paging,
    session: Reads,
    site: SiteHere,
    channel: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
    location_id: Annotated[str | None, Query(min_length=30, max_length=30)] = None,
) -> Response:
    """The catalogue as one member finds it, with what is missing; for members their own, for operators and auditors."""
    _check_owner(member_id, caller)
    now = site.clock.now()
    rows = await service.list_rewards(
        session, after=page.after or "", limit=page.limit + 1, status="active", visible_at=now
    )
    shown = cut_page(rows, page.limit, place_of)
    found = await availabilities(session, member_id, shown.rows, now, location_id=location_id, channel=channel)
    return answer_page(Page(found, shown.next_after), show_available)


@router.post(
    "/members/{member_id}/redemptions",
    status_code=202,
    response_model=RedemptionAccepted,
    responses=problems(*BODY_PROBLEMS, 404, 409),
)
async def redeem_reward(
    member_id: str,
    caller: Annotated[Principal, allowed(Scope.REDEMPTIONS_WRITE)],
    body: Annotated[RedemptionCreate, json_body(RedemptionCreate)],
    once: Once,
    site: SiteHere,
) -> Response:
    """Reserve the pieces and their price, and order the burn. The voucher follows when that is final: read Location."""
    _check_owner(member_id, caller)
    effect = partial(_redeem, wish=body.wish(member_id), site=site)
    return await once.run(caller, body, effect, location=f"{V1}/redemptions")


@router.get("/members/{member_id}/redemptions", response_model=PageOut[RedemptionOut], responses=problems(404, 422))
async def list_redemptions(
    member_id: str, caller: Annotated[Principal, allowed(Scope.REDEMPTIONS_READ)], page: Paging, session: Reads
) -> Response:
    """A member's redemptions, the newest first, without codes; for members their own, for operators and auditors."""
    _check_owner(member_id, caller)
    rows = await repository.redemptions_of(session, member_id, page.after, page.limit + 1)
    return answer_page(cut_page(rows, page.limit, lambda redemption: redemption.id), show_redemption)


@router.get("/redemptions/{redemption_id}", response_model=RedemptionOut, responses=problems(404))
async def get_redemption(
    redemption_id: str,
    caller: Annotated[Principal, allowed(Scope.REDEMPTIONS_READ)],
    session: Reads,
    request: Request,
) -> Response:
    """A redemption: for its member, its partner, operators and auditors. Who may redeem sees its codes."""
    redemption = await service.get_redemption(
        session,
        known_id("red", redemption_id),
        member_id=caller.reach.member_id,
        partner_id=caller.reach.partner_id,
    )
    names = await repository.tickets(session, redemption.id) if redemption.kind == "experience" else []
    if not caller.may(Scope.REDEMPTIONS_WRITE) or redemption.state not in {"granted", "used"}:
        return answer(show_redemption(redemption, names=names))
    secret: bytes = request.app.state.voucher_secret
    codes = await pools.codes_of(session, redemption.id) if redemption.kind == "discount" else []
    return answer(show_redemption(redemption, service.voucher_of(redemption, secret), codes, names))


@router.post(
    "/redemptions/{redemption_id}/use",
    response_model=RedemptionOut,
    responses=problems(*BODY_PROBLEMS, 404, 409),
)
async def use_voucher(
    redemption_id: str,
    caller: Annotated[Principal, allowed(Scope.REDEMPTIONS_USE)],
    body: Annotated[VoucherUse, json_body(VoucherUse)],
    once: Once,
    site: SiteHere,
) -> Response:
    """Use a voucher, once, at the partner that honours it. A wrong code and no voucher are one answer."""
    known_id("red", redemption_id)
    effect = partial(_use, redemption_id=redemption_id, caller=caller, body=body, site=site)
    return await once.run(caller, body, effect)


@router.post(
    "/redemptions/{redemption_id}/cancel",
    response_model=RedemptionOut,
    responses=problems(*BODY_PROBLEMS, 404, 409),
)
async def cancel_redemption(
    redemption_id: str,
    caller: Annotated[Principal, allowed(Scope.REDEMPTIONS_WRITE)],
    body: Annotated[Cancellation, json_body(Cancellation)],
    once: Once,
    site: SiteHere,
) -> Response:
    """Take a redemption back while its burn is still queued. Afterwards only a refund gives tokens back."""
    known_id("red", redemption_id)
    effect = partial(_cancel, redemption_id=redemption_id, caller=caller, body=body, site=site)
    return await once.run(caller, body, effect)


async def _redeem(session: WriteSession, *, wish: service.Wish, site: Site) -> Outcome:
    redemption = await service.redeem(session, wish, site.clock.now())
    balance = await find_balance(session, wish.member_id)
    shown = None if balance is None else show_balance(balance)
    return Outcome(show_accepted(redemption, wish.asked.names, shown), status=202)


async def _use(
    session: WriteSession, *, redemption_id: str, caller: Principal, body: VoucherUse, site: Site
) -> Outcome:
    # An operator acts for whichever partner honours the voucher.
    partner_id = caller.partner_id
    if partner_id is None:
        partner_id = (await service.get_redemption(session, redemption_id)).partner_id
    redemption = await service.use(
        session,
        partner_id=partner_id,
        key_id=caller.key_id,
        now=site.clock.now(),
        redemption_id=redemption_id,
        code=body.code,
    )
    return Outcome(show_redemption(redemption), status=200)


async def _cancel(
    session: WriteSession, *, redemption_id: str, caller: Principal, body: Cancellation, site: Site
) -> Outcome:
    redemption = await service.cancel(
        session,
        redemption_id,
        body.reason,
        site.clock.now(),
        actor=f"key:{caller.key_id}",
        member_id=caller.reach.member_id,
    )
    return Outcome(show_redemption(redemption), status=200)


def _check_owner(member_id: str, caller: Principal) -> None:
    """Members see and redeem for themselves; for them and for partners every other id does not exist."""
    known_id("mem", member_id)
    if caller.partner_id is not None or caller.reach.member_id not in {None, member_id}:
        raise not_found("mem")
