"""Endpoints under /code-pools and /codes."""

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
    BATCH_BODY_BYTES_MAX,
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
    problems,
)
from mereau.core.pagination import cut_page
from mereau.core.schemas import PageOut
from mereau.earning.attempts import service as attempts
from mereau.earning.codes import service
from mereau.earning.codes.schemas import (
    CodeClaimCreate,
    CodeClaimOut,
    CodePoolCreate,
    CodePoolFigures,
    CodePoolOut,
    CodesCreate,
    CodesOut,
    show_claim,
    show_figures,
    show_pool,
)
from mereau.earning.intake.service import claimant

router = APIRouter(prefix=V1, tags=["Codes"])


@router.post("/code-pools", status_code=201, response_model=CodePoolOut, responses=problems(*BODY_PROBLEMS, 409))
async def create_code_pool(
    caller: Annotated[Principal, allowed(Scope.RULES_WRITE)],
    body: Annotated[CodePoolCreate, json_body(CodePoolCreate)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Open a pool of codes for a campaign."""
    pool = await service.create_pool(session, body.draft(), site.clock.now(), actor=caller.key_id)
    return answer(show_pool(pool), status=201)


@router.get("/code-pools", response_model=PageOut[CodePoolOut], responses=problems(422))
async def list_code_pools(
    caller: Annotated[Principal, allowed(Scope.CODES_READ)], page: Paging, session: Reads
) -> Response:
    """All pools, the newest first."""
    rows = await service.pools(session, page.after, page.limit + 1)
    return answer_page(cut_page(rows, page.limit, lambda pool: pool.id), show_pool)


@router.get("/code-pools/{pool_id}", response_model=CodePoolFigures, responses=problems(404))
async def get_code_pool(
    pool_id: str, caller: Annotated[Principal, allowed(Scope.CODES_READ)], session: Reads
) -> Response:
    """A pool, how many uses are left, and what its codes have earned."""
    pool = await service.get_pool(session, known_id("cpl", pool_id))
    return answer(show_figures(pool, *await service.figures(session, pool_id)))


@router.post(
    "/code-pools/{pool_id}/codes", status_code=201, response_model=CodesOut, responses=problems(*BODY_PROBLEMS, 404)
)
async def add_codes(
    pool_id: str,
    caller: Annotated[Principal, allowed(Scope.RULES_WRITE)],
    body: Annotated[CodesCreate, json_body(CodesCreate, bytes_max=BATCH_BODY_BYTES_MAX)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Draw codes, which this answer alone tells, or add those that are printed already."""
    known_id("cpl", pool_id)
    now = site.clock.now()
    if body.generate is not None:
        codes = await service.generate(session, pool_id, body.generate, now, actor=caller.key_id)
        return answer(CodesOut(pool_id=pool_id, added=len(codes), codes=codes), status=201)
    added = await service.upload(session, pool_id, body.codes or [], now, actor=caller.key_id)
    return answer(CodesOut(pool_id=pool_id, added=added, codes=[]), status=201)


@router.post("/code-pools/{pool_id}/close", response_model=CodePoolOut, responses=problems(404))
async def close_code_pool(
    pool_id: str, caller: Annotated[Principal, allowed(Scope.RULES_WRITE)], session: Writes, site: SiteHere
) -> Response:
    """Let no code of the pool be claimed any more."""
    pool = await service.close(session, known_id("cpl", pool_id), site.clock.now(), actor=caller.key_id)
    return answer(show_pool(pool))


@router.post("/codes/claim", status_code=201, response_model=CodeClaimOut, responses=problems(*BODY_PROBLEMS, 404, 409))
async def claim_code(
    caller: Annotated[Principal, allowed(Scope.EARNING_CLAIM)],
    body: Annotated[CodeClaimCreate, json_body(CodeClaimCreate)],
    once: Once,
    site: SiteHere,
    request: Request,
) -> Response:
    """Use a code. One that is wrong, used, expired or withdrawn is not valid; guesses are counted."""
    maxima = attempts.allowances(caller.key_id, request.client.host if request.client else "")
    await attempts.take(site.engine, maxima, site.clock.now())
    effect = partial(_claim, caller=caller, body=body, site=site, maxima=maxima)
    return await once.run(caller, body, effect)


async def _claim(
    session: WriteSession, *, caller: Principal, body: CodeClaimCreate, site: Site, maxima: dict[str, int]
) -> Outcome:
    member_id = await claimant(session, caller, body.member)
    claimed = await service.claim(session, member_id, body.code, site.clock.now(), actor=caller.key_id)
    await attempts.give_back(session, maxima)
    return Outcome(show_claim(claimed), status=201)
