"""/batches, /supply and /chain/status: what the chain says, as the mirror has it."""

from typing import Annotated

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from mereau.api.schemas import (
    BatchDetailOut,
    BatchOut,
    ChainStatusOut,
    SupplyOut,
    show_batch,
    show_batch_detail,
    show_status,
    show_supply,
)
from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.chain import queries, status
from mereau.core.errors import UnavailableError
from mereau.core.http import V1, Paging, Reads, answer, answer_page, known_id, problems
from mereau.core.pagination import cut_page
from mereau.core.schemas import PageOut

router = APIRouter(prefix=V1, tags=["Chain"])


@router.get("/batches", response_model=PageOut[BatchOut], responses=problems(422))
async def list_batches(
    caller: Annotated[Principal, allowed(Scope.BATCHES_READ)], page: Paging, session: Reads
) -> Response:
    """Batches, newest first."""
    rows = await queries.list_batches(session, limit=page.limit + 1, before_seq=page.after_number())
    return answer_page(cut_page(rows, page.limit, lambda batch: batch.seq), show_batch)


@router.get("/batches/{batch_id}", response_model=BatchDetailOut, responses=problems(404))
async def get_batch(
    batch_id: str, caller: Annotated[Principal, allowed(Scope.BATCHES_READ)], session: Reads
) -> Response:
    """A batch with its orders."""
    return answer(show_batch_detail(await queries.get_batch(session, known_id("bat", batch_id))))


@router.get("/supply", response_model=SupplyOut, responses=problems())
async def get_supply(caller: Annotated[Principal, allowed(Scope.CHAIN_READ)], session: Reads) -> Response:
    """All tokens in circulation, with the block at which the figure stands."""
    supply = await status.supply(session)
    if supply is None:
        raise UnavailableError("The mirror has not read the chain yet.")
    return answer(show_supply(supply))


@router.get("/chain/status", response_model=ChainStatusOut, responses=problems())
async def get_chain_status(
    caller: Annotated[Principal, allowed(Scope.CHAIN_READ)], session: Reads, request: Request
) -> Response:
    """How far the mirror is, and what the node says just now."""
    found = await status.chain_status(session, request.app.state.rpc)
    if found is None:
        raise UnavailableError("No contract is deployed yet.")
    return answer(show_status(found))
