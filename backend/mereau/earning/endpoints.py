"""Endpoints under /sales: single sales, batches and returns."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.auth.idempotency import Once, Outcome
from mereau.core.db import WriteSession
from mereau.core.errors import MereauError
from mereau.core.http import (
    BATCH_BODY_BYTES_MAX,
    BODY_PROBLEMS,
    V1,
    Reads,
    Site,
    SiteHere,
    answer,
    json_body,
    known_id,
    not_found,
    problems,
)
from mereau.earning import queries
from mereau.earning.intake.queries import find_sale
from mereau.earning.intake.service import check_staff, draft_sales
from mereau.earning.returns.domain import ReturnDraft
from mereau.earning.returns.service import record_returns
from mereau.earning.sales.domain import SaleDraft
from mereau.earning.sales.service import record_sales
from mereau.earning.schemas import (
    BatchItem,
    ReturnCreate,
    ReturnRecorded,
    SaleCreate,
    SaleOut,
    SaleRecorded,
    SalesBatchCreate,
    SalesBatchOut,
    show_batch_sale,
    show_problem,
    show_recorded_return,
    show_recorded_sale,
    show_sale,
)
from mereau.ledger.balances.queries import find_balance
from mereau.ledger.queries import statuses
from mereau.ledger.schemas import BalanceOut, EntryRef, show_balance, show_entry_ref

router = APIRouter(prefix=f"{V1}/sales", tags=["Sales"])


@router.post(
    "",
    status_code=201,
    response_model=SaleRecorded,
    responses={
        200: {"model": SaleRecorded, "description": "The same receipt was recorded before."},
        **problems(*BODY_PROBLEMS, 409),
    },
)
async def record_sale(
    caller: Annotated[Principal, allowed(Scope.SALES_WRITE)],
    body: Annotated[SaleCreate, json_body(SaleCreate)],
    once: Once,
    site: SiteHere,
) -> Response:
    """Record a receipt and credit what it earns; answers with the member's balance after it."""
    return await once.run(caller, body, partial(_record, caller=caller, body=body, site=site))


@router.post("/batch", response_model=SalesBatchOut, responses=problems(*BODY_PROBLEMS, 409))
async def record_sales_batch(
    caller: Annotated[Principal, allowed(Scope.SALES_WRITE)],
    body: Annotated[SalesBatchCreate, json_body(SalesBatchCreate, bytes_max=BATCH_BODY_BYTES_MAX)],
    once: Once,
    site: SiteHere,
) -> Response:
    """Record up to 500 receipts in one transaction; what is wrong with one does not touch the others."""
    return await once.run(caller, body, partial(_record_batch, caller=caller, body=body, site=site))


@router.get("/{sale_id}", response_model=SaleOut, responses=problems(404))
async def get_sale(sale_id: str, caller: Annotated[Principal, allowed(Scope.SALES_READ)], session: Reads) -> Response:
    """A sale with its lines and returns: for its partner, its member, operators and auditors."""
    view = await queries.sale_view(
        session,
        known_id("sal", sale_id),
        partner_id=caller.reach.partner_id,
        member_id=caller.reach.member_id,
    )
    if view is None:
        raise not_found("sal")
    return answer(show_sale(view))


@router.post(
    "/{sale_id}/returns",
    status_code=201,
    response_model=ReturnRecorded,
    responses={
        200: {"model": ReturnRecorded, "description": "The same return was recorded before."},
        **problems(*BODY_PROBLEMS, 404, 409),
    },
)
async def record_return(
    sale_id: str,
    caller: Annotated[Principal, allowed(Scope.SALES_WRITE)],
    body: Annotated[ReturnCreate, json_body(ReturnCreate)],
    once: Once,
    site: SiteHere,
) -> Response:
    """Take goods back, line by line, and with them the tokens that they had earned."""
    known_id("sal", sale_id)
    effect = partial(_record_return, sale_id=sale_id, caller=caller, body=body, site=site)
    return await once.run(caller, body, effect)


async def _record(session: WriteSession, *, caller: Principal, body: SaleCreate, site: Site) -> Outcome:
    (draft,) = await draft_sales(session, caller, [body])
    if isinstance(draft, MereauError):
        raise draft
    (sale,) = await record_sales(session, [draft], site.clock.now())
    if isinstance(sale, MereauError):
        raise sale
    entry, balance = await _standing(session, sale.entry_id, sale.member_id)
    return Outcome(show_recorded_sale(sale, body.currency, entry, balance), status=200 if sale.duplicate else 201)


async def _record_batch(session: WriteSession, *, caller: Principal, body: SalesBatchCreate, site: Site) -> Outcome:
    drafts = await draft_sales(session, caller, body.sales)
    sound = [draft for draft in drafts if isinstance(draft, SaleDraft)]
    recorded = iter(await record_sales(session, sound, site.clock.now()) if sound else [])
    results = []
    for sale, draft in zip(body.sales, drafts, strict=True):
        outcome = next(recorded) if isinstance(draft, SaleDraft) else draft
        if isinstance(outcome, MereauError):
            item = BatchItem(status=outcome.status, sale=None, problem=show_problem(outcome))
        else:
            status = 200 if outcome.duplicate else 201
            item = BatchItem(status=status, sale=show_batch_sale(outcome, sale.currency), problem=None)
        results.append(item)
    return Outcome(SalesBatchOut(results=results), status=200)


async def _record_return(
    session: WriteSession, *, sale_id: str, caller: Principal, body: ReturnCreate, site: Site
) -> Outcome:
    sale = await find_sale(session, sale_id, caller.reach.partner_id)
    if sale is None:
        raise not_found("sal")
    draft = ReturnDraft(
        sale_id=sale_id,
        partner_id=sale.partner_id,
        external_id=body.external_id,
        occurred_at=body.occurred_at,
        lines=[(line.line_number, line.quantity) for line in body.lines],
        staff_id=await check_staff(session, caller, sale.partner_id, body.staff_id),
    )
    (done,) = await record_returns(session, [draft], site.clock.now())
    if isinstance(done, MereauError):
        raise done
    entry, balance = await _standing(session, done.entry_id, sale.member_id)
    return Outcome(show_recorded_return(done, entry, balance), status=200 if done.duplicate else 201)


async def _standing(
    session: WriteSession, entry_id: str | None, member_id: str | None
) -> tuple[EntryRef | None, BalanceOut | None]:
    """The entry and the balance after the write, read in its own transaction."""
    views = {} if entry_id is None else await statuses(session, [entry_id])
    entry = None if entry_id is None else show_entry_ref(views[entry_id])
    balance = None if member_id is None else await find_balance(session, member_id)
    return entry, None if balance is None else show_balance(balance)
