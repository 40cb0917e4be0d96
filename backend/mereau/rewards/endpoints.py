"""Endpoints of the catalogue, of redemptions and of their vouchers."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter
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
from mereau.ledger.balances.queries import find_balance
from mereau.ledger.schemas import show_balance
from mereau.rewards import service
from mereau.rewards.schemas import (
    RedemptionAccepted,
    RedemptionCreate,
    RedemptionOut,
    RewardCreate,
    RewardOut,
    VoucherUse,
    show_accepted,
    show_redemption,
    show_reward,
)

router = APIRouter(prefix=V1, tags=["Rewards"])


@router.post("/rewards", status_code=201, response_model=RewardOut, responses=problems(*BODY_PROBLEMS, 404, 409))
async def create_reward(
    caller: Annotated[Principal, allowed(Scope.REWARDS_WRITE)],
    body: Annotated[RewardCreate, json_body(RewardCreate)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Offer a reward that a partner honours."""
    reward = await service.create_reward(session, body.draft(), site.clock.now(), actor=caller.key_id)
    return answer(show_reward(reward), status=201)


@router.get("/rewards", response_model=PageOut[RewardOut], responses=problems(422))
async def list_rewards(
    caller: Annotated[Principal, allowed(Scope.REWARDS_READ)], page: Paging, session: Reads
) -> Response:
    """The catalogue, the oldest first; drafts and withdrawn rewards are for operators and auditors."""
    restricted = caller.partner_id is not None or caller.member_id is not None
    rows = await service.list_rewards(
        session, after_id=page.after or "", limit=page.limit + 1, status="active" if restricted else None
    )
    return answer_page(cut_page(rows, page.limit, lambda reward: reward.id), show_reward)


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
    """Reserve the price and order its burn. The voucher follows when the burn is final: read Location."""
    known_id("mem", member_id)
    if caller.reach.member_id not in {None, member_id}:
        raise not_found("mem")
    effect = partial(_redeem, member_id=member_id, body=body, site=site)
    return await once.run(caller, body, effect, location=f"{V1}/redemptions")


@router.get("/redemptions/{redemption_id}", response_model=RedemptionOut, responses=problems(404))
async def get_redemption(
    redemption_id: str,
    caller: Annotated[Principal, allowed(Scope.REDEMPTIONS_READ)],
    session: Reads,
    request: Request,
) -> Response:
    """A redemption: for its member, its partner, operators and auditors. Who may redeem sees the voucher."""
    redemption = await service.get_redemption(
        session,
        known_id("red", redemption_id),
        member_id=caller.reach.member_id,
        partner_id=caller.reach.partner_id,
    )
    secret: bytes = request.app.state.voucher_secret
    code = service.voucher_of(redemption, secret) if caller.may(Scope.REDEMPTIONS_WRITE) else None
    return answer(show_redemption(redemption, code))


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


async def _redeem(session: WriteSession, *, member_id: str, body: RedemptionCreate, site: Site) -> Outcome:
    redemption = await service.redeem(session, member_id, body.reward_id, body.external_id, site.clock.now())
    balance = await find_balance(session, member_id)
    return Outcome(show_accepted(redemption, None if balance is None else show_balance(balance)), status=202)


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
    return Outcome(show_redemption(redemption, None), status=200)
