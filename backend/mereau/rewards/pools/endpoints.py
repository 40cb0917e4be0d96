"""Uploading codes."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.core.http import (
    BATCH_BODY_BYTES_MAX,
    BODY_PROBLEMS,
    V1,
    SiteHere,
    Writes,
    answer,
    json_body,
    known_id,
    problems,
)
from mereau.rewards.pools import repository, service
from mereau.rewards.pools.schemas import CodesUpload, PoolOut

router = APIRouter(prefix=f"{V1}/rewards", tags=["Rewards"])


@router.post("/{reward_id}/codes", response_model=PoolOut, responses=problems(*BODY_PROBLEMS, 404, 409))
async def upload_codes(
    reward_id: str,
    caller: Annotated[Principal, allowed(Scope.REWARDS_WRITE)],
    body: Annotated[CodesUpload, json_body(CodesUpload, bytes_max=BATCH_BODY_BYTES_MAX)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Add codes to the pool; those that are there already change nothing, so an upload may be repeated."""
    known_id("rwd", reward_id)
    added = await service.upload(session, reward_id, body.codes, site.clock.now(), actor=caller.key_id)
    free = (await repository.free(session, [reward_id])).get(reward_id, 0)
    return answer(PoolOut(added=added, free=free))
