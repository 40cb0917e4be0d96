"""Endpoints under /daily-runs."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.core.http import V1, Paging, Reads, answer_page, problems
from mereau.core.pagination import cut_page, unknown_cursor
from mereau.core.schemas import PageOut
from mereau.programs.days import service
from mereau.programs.days.schemas import DailyRunOut, show_daily_run

router = APIRouter(prefix=f"{V1}/daily-runs", tags=["Operations"])


@router.get("", response_model=PageOut[DailyRunOut], responses=problems(422))
async def list_daily_runs(
    caller: Annotated[Principal, allowed(Scope.OPERATIONS_READ)], page: Paging, session: Reads
) -> Response:
    """What was done on each day, the newest first; a run without an end is under way, or was never completed."""
    rows = await service.list_days(session, _day(page.after), page.limit + 1)
    return answer_page(cut_page(rows, page.limit, lambda run: run.day.isoformat()), show_daily_run)


def _day(cursor: str | None) -> date | None:
    try:
        return None if cursor is None else date.fromisoformat(cursor)
    except ValueError:
        raise unknown_cursor() from None
