"""Endpoints under /members/{member_id}/actions and /event-schemas."""

from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.auth.idempotency import Once
from mereau.auth.once import Outcome
from mereau.core.db import WriteSession
from mereau.core.errors import FieldError, InvalidInputError
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
    not_found,
    problems,
)
from mereau.core.pagination import cut_page
from mereau.core.schemas import PageOut
from mereau.earning.actions import service
from mereau.earning.actions.domain import ActionDraft
from mereau.earning.actions.schemas import (
    ActionCreate,
    ActionOut,
    ActionRecorded,
    EventSchemaCreate,
    EventSchemaOut,
    show_action,
    show_recorded,
    show_schema,
)
from mereau.partners import queries as partners

router = APIRouter(prefix=V1, tags=["Actions"])
_OPERATOR: Final = "operator"


@router.post(
    "/members/{member_id}/actions",
    status_code=201,
    response_model=ActionRecorded,
    responses={
        200: {"model": ActionRecorded, "description": "The same action was recorded before."},
        **problems(*BODY_PROBLEMS, 404, 409),
    },
)
async def record_action(
    member_id: str,
    caller: Annotated[Principal, allowed(Scope.ACTIONS_WRITE)],
    body: Annotated[ActionCreate, json_body(ActionCreate)],
    once: Once,
    site: SiteHere,
) -> Response:
    """Record what a member did and credit what it earns. Members cannot tell of themselves, nor can staff."""
    known_id("mem", member_id)
    effect = partial(_record, member_id=member_id, caller=caller, body=body, site=site)
    return await once.run(caller, body, effect)


@router.get("/members/{member_id}/actions", response_model=PageOut[ActionOut], responses=problems(404, 422))
async def list_actions(
    member_id: str, caller: Annotated[Principal, allowed(Scope.ACTIONS_READ)], page: Paging, session: Reads
) -> Response:
    """What a member did, the last first; members see their own, partners what they handed in."""
    known_id("mem", member_id)
    if caller.reach.member_id not in {None, member_id}:
        raise not_found("mem")
    rows = await service.actions_of(session, member_id, caller.partner_id, page.after, page.limit + 1)
    return answer_page(cut_page(rows, page.limit, lambda action: action.id), show_action)


@router.post("/event-schemas", status_code=201, response_model=EventSchemaOut, responses=problems(*BODY_PROBLEMS))
async def register_event_schema(
    caller: Annotated[Principal, allowed(Scope.RULES_WRITE)],
    body: Annotated[EventSchemaCreate, json_body(EventSchemaCreate)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Say what a custom event holds; the next version of it, or the newest where nothing changes."""
    schema = await service.register_schema(session, body.name, body.specs(), site.clock.now(), actor=caller.key_id)
    return answer(show_schema(schema), status=201)


@router.get("/event-schemas", response_model=PageOut[EventSchemaOut], responses=problems(422))
async def list_event_schemas(
    caller: Annotated[Principal, allowed(Scope.RULES_READ)], page: Paging, session: Reads
) -> Response:
    """All versions of all custom events, the newest first."""
    rows = await service.schemas(session, page.after, page.limit + 1)
    return answer_page(cut_page(rows, page.limit, lambda schema: schema.id), show_schema)


async def _record(
    session: WriteSession, *, member_id: str, caller: Principal, body: ActionCreate, site: Site
) -> Outcome:
    draft = ActionDraft(
        member_id=member_id,
        source=caller.partner_id or _OPERATOR,
        partner_id=await _payer(session, caller, body),
        type=body.type,
        external_id=body.external_id,
        occurred_at=body.occurred_at,
        attributes=body.attributes,
    )
    recorded = await service.perform(session, draft, site.clock.now(), actor=caller.key_id)
    return Outcome(show_recorded(recorded), status=200 if recorded.duplicate else 201)


async def _payer(session: WriteSession, caller: Principal, body: ActionCreate) -> str | None:
    """The partner from whose allowance the action is paid; a partner spends nobody's but its own."""
    if caller.partner_id is not None:
        if body.partner_id not in {None, caller.partner_id}:
            raise _refusal("not_yours", "Must be absent, or the key's own partner.")
        return caller.partner_id
    if body.partner_id is not None and not await partners.known_partners(session, [body.partner_id]):
        raise _refusal("unknown", "There is no such partner.")
    return body.partner_id


def _refusal(code: str, detail: str) -> InvalidInputError:
    found = FieldError("/partner_id", code, detail)
    return InvalidInputError("The action names something that does not fit; see errors.", errors=[found])
