"""Endpoints under /members that show what the ledger holds."""

from typing import Annotated

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.core.http import V1, Paging, Reads, answer, answer_page, known_id, not_found, problems, site_of
from mereau.core.pagination import cut_page
from mereau.core.schemas import PageOut
from mereau.ledger import queries
from mereau.ledger.balances.queries import find_balance
from mereau.ledger.schemas import EntryOut, LotOut, MemberBalanceOut, show_entry, show_lot, show_member_balance

router = APIRouter(prefix=f"{V1}/members", tags=["Members"])


@router.get("/{member_id}/balance", response_model=MemberBalanceOut, responses=problems(404))
async def get_balance(
    member_id: str, caller: Annotated[Principal, allowed(Scope.LEDGER_READ)], request: Request
) -> Response:
    """What the member has; for members their own alone."""
    _check_owner(member_id, caller)
    # The most frequent request of all: one statement needs no session around it, nor a dependency that makes one.
    balance = await find_balance(site_of(request).reads, member_id)
    if balance is None:
        raise not_found("mem")
    return answer(show_member_balance(member_id, balance))


@router.get("/{member_id}/entries", response_model=PageOut[EntryOut], responses=problems(404, 422))
async def list_entries(
    member_id: str, caller: Annotated[Principal, allowed(Scope.LEDGER_READ)], page: Paging, session: Reads
) -> Response:
    """The member's statement, newest first."""
    _check_owner(member_id, caller)
    rows = await queries.entries(session, member_id, page.after_number(), page.limit + 1)
    return answer_page(cut_page(rows, page.limit, lambda entry: entry.seq), show_entry)


@router.get("/{member_id}/lots", response_model=PageOut[LotOut], responses=problems(404, 422))
async def list_lots(
    member_id: str, caller: Annotated[Principal, allowed(Scope.LEDGER_READ)], page: Paging, session: Reads
) -> Response:
    """The member's tokens credit by credit, the newest first."""
    _check_owner(member_id, caller)
    rows = await queries.lots(session, member_id, page.after, page.limit + 1)
    return answer_page(cut_page(rows, page.limit, lambda lot: lot.entry_id), show_lot)


def _check_owner(member_id: str, caller: Principal) -> None:
    """Members read their own ledger; for them every other id does not exist."""
    known_id("mem", member_id)
    if caller.reach.member_id not in {None, member_id}:
        raise not_found("mem")
