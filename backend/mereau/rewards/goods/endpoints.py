"""Endpoints of goods and their stock."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter
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
    problems,
)
from mereau.core.pagination import cut_page
from mereau.core.schemas import PageOut
from mereau.rewards.goods import service
from mereau.rewards.goods.domain import MovementKind
from mereau.rewards.goods.schemas import (
    GoodsCreate,
    GoodsOut,
    GoodsStatusPut,
    MovementCreate,
    MovementOut,
    VariantOut,
    show_goods,
    show_movement,
    show_variant,
)

router = APIRouter(prefix=f"{V1}/goods", tags=["Goods"])


@router.post("", status_code=201, response_model=GoodsOut, responses=problems(*BODY_PROBLEMS, 404, 409))
async def create_goods(
    caller: Annotated[Principal, allowed(Scope.GOODS_WRITE)],
    body: Annotated[GoodsCreate, json_body(GoodsCreate)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Take goods into the catalogue, as a draft."""
    stocked = await service.create(session, body.draft(), site.clock.now(), actor=caller.key_id)
    return answer(show_goods(stocked), status=201)


@router.get("", response_model=PageOut[GoodsOut], responses=problems(422))
async def list_goods(caller: Annotated[Principal, allowed(Scope.GOODS_READ)], page: Paging, session: Reads) -> Response:
    """Goods with their stock, the oldest first; a partner sees what it keeps."""
    rows = await service.list_goods(
        session, after_id=page.after or "", limit=page.limit + 1, partner_id=caller.reach.partner_id
    )
    return answer_page(cut_page(rows, page.limit, lambda stocked: stocked.goods.id), show_goods)


@router.get("/{goods_id}", response_model=GoodsOut, responses=problems(404))
async def get_goods(goods_id: str, caller: Annotated[Principal, allowed(Scope.GOODS_READ)], session: Reads) -> Response:
    """Goods with their stock."""
    return answer(show_goods(await service.get(session, known_id("gds", goods_id), partner_id=caller.reach.partner_id)))


@router.post("/{goods_id}/status", response_model=GoodsOut, responses=problems(*BODY_PROBLEMS, 404))
async def set_status(
    goods_id: str,
    caller: Annotated[Principal, allowed(Scope.GOODS_WRITE)],
    body: Annotated[GoodsStatusPut, json_body(GoodsStatusPut)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Approve goods, or withdraw them from what may be ordered."""
    known_id("gds", goods_id)
    return answer(
        show_goods(await service.set_status(session, goods_id, body.status, site.clock.now(), actor=caller.key_id))
    )


@router.post(
    "/{goods_id}/movements", status_code=201, response_model=VariantOut, responses=problems(*BODY_PROBLEMS, 404, 409)
)
async def move_stock(
    goods_id: str,
    caller: Annotated[Principal, allowed(Scope.DELIVERIES_WRITE)],
    body: Annotated[MovementCreate, json_body(MovementCreate)],
    once: Once,
    site: SiteHere,
) -> Response:
    """Receive pieces, state how many a count has found, or write some off; answers the stock afterwards."""
    known_id("gds", goods_id)
    return await once.run(caller, body, partial(_move, goods_id=goods_id, caller=caller, body=body, site=site))


@router.get("/{goods_id}/movements", response_model=PageOut[MovementOut], responses=problems(404, 422))
async def list_movements(
    goods_id: str, caller: Annotated[Principal, allowed(Scope.GOODS_READ)], page: Paging, session: Reads
) -> Response:
    """Every change of the stock, the newest first."""
    rows = await service.movements(
        session,
        known_id("gds", goods_id),
        before_seq=page.after_number(),
        limit=page.limit + 1,
        partner_id=caller.reach.partner_id,
    )
    return answer_page(cut_page(rows, page.limit, lambda row: row[0].seq), show_movement)


async def _move(
    session: WriteSession, *, goods_id: str, caller: Principal, body: MovementCreate, site: Site
) -> Outcome:
    variant = await service.move_by_sku(
        session,
        goods_id,
        sku=body.sku,
        kind=MovementKind(body.kind),
        pieces=body.pieces,
        reason=body.reason,
        now=site.clock.now(),
        actor=caller.key_id,
        partner_id=caller.reach.partner_id,
    )
    return Outcome(show_variant(variant))
