"""Endpoints under /earning-rules."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.core.http import (
    BODY_PROBLEMS,
    V1,
    Paging,
    Reads,
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
from mereau.earning.rules import service
from mereau.earning.rules.schemas import RuleCreate, RuleOut, rule_spec, show_rule

router = APIRouter(prefix=f"{V1}/earning-rules", tags=["Earning rules"])


@router.post("", status_code=201, response_model=RuleOut, responses=problems(*BODY_PROBLEMS))
async def create_rule(
    caller: Annotated[Principal, allowed(Scope.RULES_WRITE)],
    body: Annotated[RuleCreate, json_body(RuleCreate)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Add the next version of a rule, as a draft that values nothing yet."""
    rule = await service.create_rule(session, body.external_id, rule_spec(body), site.clock.now(), actor=caller.key_id)
    return answer(show_rule(rule), status=201)


@router.get("", response_model=PageOut[RuleOut], responses=problems(422))
async def list_rules(caller: Annotated[Principal, allowed(Scope.RULES_READ)], page: Paging, session: Reads) -> Response:
    """Every version of every rule, the newest first."""
    # A programme has tens of rules, not thousands: the page is cut here.
    rules = sorted(await service.list_rules(session), key=lambda rule: rule.id, reverse=True)
    rows = [rule for rule in rules if page.after is None or rule.id < page.after]
    return answer_page(cut_page(rows[: page.limit + 1], page.limit, lambda rule: rule.id), show_rule)


@router.post("/{rule_id}/activate", response_model=RuleOut, responses=problems(404))
async def activate_rule(
    rule_id: str, caller: Annotated[Principal, allowed(Scope.RULES_WRITE)], session: Writes, site: SiteHere
) -> Response:
    """Let this version value sales from now on; repeating it changes nothing."""
    rule = await service.activate_rule(session, known_id("rul", rule_id), site.clock.now(), actor=caller.key_id)
    return answer(show_rule(rule))
