"""Endpoints under /earning-rules."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.chain.guarantee import guaranteed_life_s
from mereau.core.db import WriteSession
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
from mereau.core.schemas import ExternalId, PageOut
from mereau.earning.domain import Trigger
from mereau.earning.rules import repository, service
from mereau.earning.rules.schemas import RuleCreate, RuleOut, RuleStatus, rule_spec, show_rule

router = APIRouter(prefix=f"{V1}/earning-rules", tags=["Earning rules"])


@router.post("", status_code=201, response_model=RuleOut, responses=problems(*BODY_PROBLEMS))
async def create_rule(
    caller: Annotated[Principal, allowed(Scope.RULES_WRITE)],
    body: Annotated[RuleCreate, json_body(RuleCreate)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Add the next version of a rule, as a draft. An expiry shorter than what the contract guarantees is refused."""
    guaranteed_s = await _guaranteed_life_s(session, body.expiry)
    rule = await service.create_rule(
        session,
        body.external_id,
        rule_spec(body),
        site.clock.now(),
        actor=caller.key_id,
        guaranteed_life_s=guaranteed_s,
    )
    return answer(show_rule(rule), status=201)


@router.get("", response_model=PageOut[RuleOut], responses=problems(422))
async def list_rules(
    caller: Annotated[Principal, allowed(Scope.RULES_READ)],
    page: Paging,
    session: Reads,
    status: Annotated[RuleStatus | None, Query(description="Only versions in this state.")] = None,
    trigger: Annotated[Trigger | None, Query(description="Only rules of this trigger.")] = None,
    external_id: Annotated[ExternalId | None, Query(description="Only versions of this rule.")] = None,
) -> Response:
    """Every version of every rule, the newest first."""
    rows = await repository.page(
        session, page.after, page.limit + 1, status=status, trigger=trigger, external_id=external_id
    )
    return answer_page(cut_page(rows, page.limit, lambda rule: rule.id), show_rule)


@router.get("/{rule_id}", response_model=RuleOut, responses=problems(404))
async def get_rule(rule_id: str, caller: Annotated[Principal, allowed(Scope.RULES_READ)], session: Reads) -> Response:
    """One version of a rule."""
    return answer(show_rule(await service.get_rule(session, known_id("rul", rule_id))))


@router.post("/{rule_id}/activate", response_model=RuleOut, responses=problems(404, 409, 422))
async def activate_rule(
    rule_id: str,
    caller: Annotated[Principal, allowed(Scope.RULES_WRITE)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Let this version pay from now on, in place of the rule's active one; repeating it changes nothing."""
    rule = await service.get_rule(session, known_id("rul", rule_id))
    guaranteed_s = await _guaranteed_life_s(session, rule.spec.get("expiry"))
    rule = await service.activate_rule(
        session, rule.id, site.clock.now(), actor=caller.key_id, guaranteed_life_s=guaranteed_s
    )
    return answer(show_rule(rule))


@router.post("/{rule_id}/deactivate", response_model=RuleOut, responses=problems(404, 409))
async def deactivate_rule(
    rule_id: str, caller: Annotated[Principal, allowed(Scope.RULES_WRITE)], session: Writes, site: SiteHere
) -> Response:
    """Let this version pay no longer; what it gave stays. Repeating it changes nothing."""
    rule = await service.deactivate_rule(session, known_id("rul", rule_id), site.clock.now(), actor=caller.key_id)
    return answer(show_rule(rule))


async def _guaranteed_life_s(session: WriteSession, expiry: object) -> int | None:
    """Looked up only for rules that say when their tokens expire."""
    return None if expiry is None else await guaranteed_life_s(session)
