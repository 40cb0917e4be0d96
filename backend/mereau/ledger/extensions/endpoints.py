"""Extending what a member has."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.auth.idempotency import Once
from mereau.auth.once import Outcome
from mereau.core.db import WriteSession
from mereau.core.http import BODY_PROBLEMS, V1, Site, SiteHere, json_body, known_id, problems
from mereau.ledger.extensions import service
from mereau.ledger.extensions.schemas import ExtensionCreate, ExtensionOut, show_extension

router = APIRouter(prefix=f"{V1}/members", tags=["Members"])


@router.post(
    "/{member_id}/extensions",
    status_code=201,
    response_model=ExtensionOut,
    responses=problems(*BODY_PROBLEMS, 404, 409),
)
async def extend_lots(
    member_id: str,
    caller: Annotated[Principal, allowed(Scope.LEDGER_WRITE)],
    body: Annotated[ExtensionCreate, json_body(ExtensionCreate)],
    once: Once,
    site: SiteHere,
) -> Response:
    """Give a member's active tokens more time; none of them less."""
    effect = partial(_extend, member_id=known_id("mem", member_id), caller=caller, body=body, site=site)
    return await once.run(caller, body, effect)


async def _extend(
    session: WriteSession, *, member_id: str, caller: Principal, body: ExtensionCreate, site: Site
) -> Outcome:
    now = site.clock.now()
    extended = await service.extend(session, member_id, body.until, body.reason_code, now, actor=caller.key_id)
    return Outcome(show_extension(extended))
