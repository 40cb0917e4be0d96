"""Endpoints under /sales: single sales, batches and returns."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.auth.idempotency import Once
from mereau.auth.once import Asked, Outcome
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
from mereau.earning.intake.service import check_staff, draft_sales
from mereau.earning.returns.schemas import ReturnCreate, ReturnRecorded, show_recorded_return
from mereau.earning.returns.service import record_returns
from mereau.earning.sales.service import SaleOutcome, record_sales
from mereau.earning.schemas import (
    BatchItem,
    SaleCreate,
    SaleOut,
    SaleRecorded,
    SalesBatchCreate,
    SalesBatchOut,
    show_batch_sale,
    show_problem,
    show_recorded_sale,
    show_sale,
)
from mereau.ledger.balances.queries import find_balances, find_standings
from mereau.ledger.schemas import BalanceOut, EntryRef, show_balance, show_entry_ref
from mereau.sales import queries
from mereau.sales.domain import RecordedSale, SaleDraft
from mereau.sales.queries import find_sale
from mereau.sales.returns.domain import ReturnDraft

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
) -> Response:
    """Record a receipt and credit what it earns; answers with the member's balance after it."""
    return await once.run_together(caller, body, _record)


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


async def _record(
    session: WriteSession, asked: Sequence[Asked[SaleCreate]], now: datetime
) -> list[Outcome | MereauError]:
    """The receipts of several requests, each answered as if it had come alone."""
    sales = await _record_all(session, [(item.caller, item.body) for item in asked], now)
    written = [sale for sale in sales if isinstance(sale, RecordedSale)]
    entries, balances = await _standing(
        session, (sale.entry_id for sale in written), (sale.member_id for sale in written)
    )

    def told(item: Asked[SaleCreate], sale: SaleOutcome) -> Outcome | MereauError:
        if isinstance(sale, MereauError):
            return sale
        entry, balance = entries.get(sale.entry_id), balances.get(sale.member_id)
        shown = show_recorded_sale(sale, item.body.currency, entry, balance)
        return Outcome(shown, status=200 if sale.duplicate else 201)

    return [told(item, sale) for item, sale in zip(asked, sales, strict=True)]


async def _record_batch(session: WriteSession, *, caller: Principal, body: SalesBatchCreate, site: Site) -> Outcome:
    sales = await _record_all(session, [(caller, sale) for sale in body.sales], site.clock.now())
    results = []
    for said, sale in zip(body.sales, sales, strict=True):
        if isinstance(sale, MereauError):
            item = BatchItem(status=sale.status, sale=None, problem=show_problem(sale))
        else:
            status = 200 if sale.duplicate else 201
            item = BatchItem(status=status, sale=show_batch_sale(sale, said.currency), problem=None)
        results.append(item)
    return Outcome(SalesBatchOut(results=results), status=200)


async def _record_all(
    session: WriteSession, said: Sequence[tuple[Principal, SaleCreate]], now: datetime
) -> list[SaleOutcome]:
    """What became of each sale, in their order; what is wrong with one does not touch the others."""
    drafts = await draft_sales(session, said)
    sound = [draft for draft in drafts if isinstance(draft, SaleDraft)]
    recorded = iter(await record_sales(session, sound, now) if sound else [])
    return [next(recorded) if isinstance(draft, SaleDraft) else draft for draft in drafts]


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
    entries, balances = await _standing(session, [done.entry_id], [sale.member_id])
    shown = show_recorded_return(done, entries.get(done.entry_id), balances.get(sale.member_id))
    return Outcome(shown, status=200 if done.duplicate else 201)


async def _standing(
    session: WriteSession, entry_ids: Iterable[str | None], member_ids: Iterable[str | None]
) -> tuple[dict[str | None, EntryRef], dict[str | None, BalanceOut]]:
    """The entries and the members' balances after the write, by their ids, read in its own transaction."""
    standings = await find_standings(session, [id_ for id_ in entry_ids if id_ is not None])
    balances = await find_balances(session, [id_ for id_ in member_ids if id_ is not None])
    return (
        {id_: show_entry_ref(standing) for id_, standing in standings.items()},
        {id_: show_balance(balance) for id_, balance in balances.items()},
    )
