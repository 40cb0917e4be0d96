"""Endpoints of the catalogue."""

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
from mereau.core.pagination import cut_page
from mereau.core.schemas import PageOut
from mereau.rewards.catalogue import service
from mereau.rewards.catalogue.repository import place_of
from mereau.rewards.catalogue.schemas import (
    RewardCreate,
    RewardOut,
    RewardPatch,
    RewardVersionOut,
    show_reward,
    show_version,
)

router = APIRouter(prefix=f"{V1}/rewards", tags=["Rewards"])

Word = Annotated[str | None, Query(min_length=1, max_length=64)]


@router.post("", status_code=201, response_model=RewardOut, responses=problems(*BODY_PROBLEMS, 404, 409))
async def create_reward(
    caller: Annotated[Principal, allowed(Scope.REWARDS_WRITE)],
    body: Annotated[RewardCreate, json_body(RewardCreate)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Offer a reward that a partner honours."""
    reward = await service.create_reward(session, body.draft(), site.clock.now(), actor=caller.key_id)
    return answer(show_reward(reward), status=201)


@router.get("", response_model=PageOut[RewardOut], responses=problems(422))
async def list_rewards(
    caller: Annotated[Principal, allowed(Scope.REWARDS_READ)],
    page: Paging,
    session: Reads,
    site: SiteHere,
    category: Word = None,
    label: Word = None,
) -> Response:
    """The catalogue: featured rewards in their order, then the oldest first.

    Drafts, withdrawn rewards and those outside of their visible window are for operators and auditors.
    """
    restricted = is_restricted(caller)
    rows = await service.list_rewards(
        session,
        after=page.after or "",
        limit=page.limit + 1,
        status="active" if restricted else None,
        visible_at=site.clock.now() if restricted else None,
        category=category,
        label=label,
    )
    return answer_page(cut_page(rows, page.limit, place_of), show_reward)


@router.get("/{reward_id}", response_model=RewardOut, responses=problems(404))
async def get_reward(
    reward_id: str, caller: Annotated[Principal, allowed(Scope.REWARDS_READ)], session: Reads, site: SiteHere
) -> Response:
    """One reward; what is not shown in the catalogue does not exist for members and partners."""
    known_id("rwd", reward_id)
    if is_restricted(caller):
        return answer(show_reward(await service.visible_reward(session, reward_id, site.clock.now())))
    return answer(show_reward(await service.get_reward(session, reward_id)))


@router.patch("/{reward_id}", response_model=RewardOut, responses=problems(*BODY_PROBLEMS, 404))
async def change_reward(
    reward_id: str,
    caller: Annotated[Principal, allowed(Scope.REWARDS_WRITE)],
    body: Annotated[RewardPatch, json_body(RewardPatch)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Change what is sent and nothing else. Redemptions keep the price and the promise that they were made with."""
    known_id("rwd", reward_id)
    reward = await service.change_reward(session, reward_id, body.said(), site.clock.now(), actor=caller.key_id)
    return answer(show_reward(reward))


@router.get("/{reward_id}/versions", response_model=PageOut[RewardVersionOut], responses=problems(404, 422))
async def list_versions(
    reward_id: str, caller: Annotated[Principal, allowed(Scope.REWARDS_READ)], page: Paging, session: Reads
) -> Response:
    """What the reward said, version by version, the oldest first; for operators and auditors."""
    known_id("rwd", reward_id)
    if is_restricted(caller):
        raise not_found("rwd")
    rows = await service.versions_of(session, reward_id, after=page.after_number() or 0, limit=page.limit + 1)
    return answer_page(cut_page(rows, page.limit, lambda version: version.version), show_version)


def is_restricted(caller: Principal) -> bool:
    """Whether the caller sees only what is offered."""
    return caller.partner_id is not None or caller.member_id is not None
