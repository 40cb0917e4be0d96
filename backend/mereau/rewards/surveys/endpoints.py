"""Endpoints of surveys."""

from datetime import datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.core.http import (
    BODY_PROBLEMS,
    V1,
    InstantQuery,
    Paging,
    Reads,
    SiteHere,
    Writes,
    answer,
    answer_page,
    json_body,
    problems,
)
from mereau.core.pagination import cut_page
from mereau.core.schemas import PageOut
from mereau.rewards.surveys import service
from mereau.rewards.surveys.models import Survey
from mereau.rewards.surveys.schemas import (
    AnsweredOut,
    ResultsOut,
    SurveyAnswer,
    SurveyOut,
    show_answered,
    show_results,
    show_survey,
)

router = APIRouter(prefix=f"{V1}/surveys", tags=["Surveys"])


@router.get("", response_model=PageOut[SurveyOut], responses=problems(422))
async def list_surveys(
    caller: Annotated[Principal, allowed(Scope.DELIVERIES_READ)],
    page: Paging,
    session: Reads,
    site: SiteHere,
    request: Request,
) -> Response:
    """Surveys, the newest first: a member's own with their codes, those after a partner's deliveries, or all."""
    rows = await service.list_surveys(session, caller.reach, before_id=page.after, limit=page.limit + 1)
    show = partial(_show, caller=caller, secret=request.app.state.voucher_secret, now=site.clock.now())
    return answer_page(cut_page(rows, page.limit, lambda survey: survey.id), show)


@router.get("/results", response_model=ResultsOut, responses=problems(422))
async def get_results(
    caller: Annotated[Principal, allowed(Scope.GOODS_READ)],
    session: Reads,
    since: InstantQuery = None,
    until: InstantQuery = None,
) -> Response:
    """The Net Promoter Score with how many answered of how many asked; a partner's own deliveries."""
    found = await service.results(session, since=since, until=until, partner_id=caller.reach.partner_id)
    return answer(show_results(found))


@router.post("/{code}/answers", status_code=201, response_model=AnsweredOut, responses=problems(*BODY_PROBLEMS, 404))
async def answer_survey(
    code: str, body: Annotated[SurveyAnswer, json_body(SurveyAnswer)], session: Writes, site: SiteHere
) -> Response:
    """Answer once. The code is the right to do so: no key is asked for, and every wrong code is one answer."""
    survey = await service.answer(session, code, body.score, body.comment, site.clock.now())
    return answer(show_answered(survey), status=201)


def _show(survey: Survey, *, caller: Principal, secret: bytes, now: datetime) -> SurveyOut:
    code = service.code_of(survey, secret, now) if caller.member_id is not None else None
    return show_survey(survey, code)
