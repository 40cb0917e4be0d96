"""Endpoints of deliveries."""

from functools import partial
from mimetypes import guess_extension
from typing import Annotated, Literal

from fastapi import APIRouter, Query
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
    not_found,
    problems,
)
from mereau.core.pagination import cut_page
from mereau.core.schemas import PageOut
from mereau.rewards.fulfilment import service
from mereau.rewards.fulfilment.models import DeliveryFile
from mereau.rewards.fulfilment.schemas import (
    CancelCreate,
    DeliveriesOut,
    DeliveryCreate,
    DeliveryOut,
    StepCreate,
    show_delivery,
)
from mereau.rewards.fulfilment.service import DeliveryView

router = APIRouter(prefix=V1, tags=["Deliveries"])

StateQuery = Annotated[
    Literal["ordered", "prepared", "shipped", "delivered", "returned", "cancelled"] | None,
    Query(description="Deliveries in this state alone."),
]


@router.post(
    "/members/{member_id}/deliveries",
    status_code=202,
    response_model=DeliveryOut,
    responses=problems(*BODY_PROBLEMS, 404, 409),
)
async def order_delivery(
    member_id: str,
    caller: Annotated[Principal, allowed(Scope.REDEMPTIONS_WRITE)],
    body: Annotated[DeliveryCreate, json_body(DeliveryCreate, bytes_max=BATCH_BODY_BYTES_MAX)],
    once: Once,
    site: SiteHere,
) -> Response:
    """Redeem a reward that brings goods: pieces and tokens are reserved together, or nothing is."""
    known_id("mem", member_id)
    if caller.reach.member_id not in {None, member_id}:
        raise not_found("mem")
    effect = partial(_order, member_id=member_id, caller=caller, body=body, site=site)
    return await once.run(caller, body, effect, location=f"{V1}/deliveries")


@router.get("/deliveries", response_model=PageOut[DeliveryOut], responses=problems(422))
async def list_deliveries(
    caller: Annotated[Principal, allowed(Scope.DELIVERIES_READ)],
    page: Paging,
    session: Reads,
    state: StateQuery = None,
) -> Response:
    """Deliveries, the newest first: a member's own, those that a partner sends, or all."""
    rows = await service.list_deliveries(session, caller.reach, before_id=page.after, limit=page.limit + 1, state=state)
    return answer_page(cut_page(rows, page.limit, lambda view: view.delivery.id), partial(_show, caller=caller))


@router.post("/deliveries/steps", response_model=DeliveriesOut, responses=problems(*BODY_PROBLEMS, 404, 409))
async def take_step(
    caller: Annotated[Principal, allowed(Scope.DELIVERIES_WRITE)],
    body: Annotated[StepCreate, json_body(StepCreate, bytes_max=BATCH_BODY_BYTES_MAX)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Let deliveries be prepared, shipped, delivered or returned, all or none. Repeating it changes nothing."""
    views = await service.take_step(
        session, body.passage(), site.clock.now(), actor=caller.key_id, partner_id=caller.reach.partner_id
    )
    return answer(DeliveriesOut(data=[_show(view, caller) for view in views]))


@router.get("/deliveries/{delivery_id}", response_model=DeliveryOut, responses=problems(404))
async def get_delivery(
    delivery_id: str, caller: Annotated[Principal, allowed(Scope.DELIVERIES_READ)], session: Reads
) -> Response:
    """A delivery; its address is for its member and for who sends it."""
    return answer(_show(await service.get(session, known_id("dlv", delivery_id), caller.reach), caller))


@router.get("/deliveries/{delivery_id}/logo", response_class=Response, responses=problems(404))
async def get_logo(
    delivery_id: str, caller: Annotated[Principal, allowed(Scope.DELIVERIES_WRITE)], session: Reads
) -> Response:
    """The logo that the member sent, as a file."""
    return answer_file(await service.logo(session, known_id("dlv", delivery_id), caller.reach))


@router.post(
    "/deliveries/{delivery_id}/cancel", response_model=DeliveryOut, responses=problems(*BODY_PROBLEMS, 404, 409)
)
async def cancel_delivery(
    delivery_id: str,
    caller: Annotated[Principal, allowed(Scope.REDEMPTIONS_WRITE)],
    body: Annotated[CancelCreate, json_body(CancelCreate)],
    once: Once,
    site: SiteHere,
) -> Response:
    """Take an order back before it is shipped; pieces and tokens are free again."""
    known_id("dlv", delivery_id)
    return await once.run(caller, body, partial(_cancel, delivery_id=delivery_id, caller=caller, body=body, site=site))


@router.delete("/deliveries/{delivery_id}/address", status_code=204, responses=problems(404, 409))
async def erase_address(
    delivery_id: str, caller: Annotated[Principal, allowed(Scope.DELIVERIES_WRITE)], session: Writes, site: SiteHere
) -> Response:
    """Forget address, marking and files of a delivery that has ended; it happens by itself after 90 days."""
    known_id("dlv", delivery_id)
    await service.erase(session, delivery_id, site.clock.now(), actor=caller.key_id, reach=caller.reach)
    return Response(status_code=204)


def answer_file(file: DeliveryFile) -> Response:
    """A stored file, to be saved and never to be run in a browser."""
    headers = {
        "Content-Disposition": f'attachment; filename="{file.id}{guess_extension(file.media_type)}"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return Response(file.content, media_type=file.media_type, headers=headers)


def _show(view: DeliveryView, caller: Principal) -> DeliveryOut:
    with_address = caller.member_id is not None or caller.may(Scope.DELIVERIES_WRITE)
    return show_delivery(view, with_address=with_address)


async def _order(
    session: WriteSession, *, member_id: str, caller: Principal, body: DeliveryCreate, site: Site
) -> Outcome:
    view = await service.order(session, member_id, body.draft(), site.clock.now(), actor=caller.key_id)
    return Outcome(_show(view, caller), status=202)


async def _cancel(
    session: WriteSession, *, delivery_id: str, caller: Principal, body: CancelCreate, site: Site
) -> Outcome:
    view = await service.cancel(
        session, delivery_id, body.reason, site.clock.now(), actor=caller.key_id, reach=caller.reach
    )
    return Outcome(_show(view, caller), status=200)
