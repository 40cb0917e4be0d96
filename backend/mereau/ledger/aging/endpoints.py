"""Endpoints under /entries: saying that what pending tokens wait for has happened."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.core.http import V1, SiteHere, Writes, answer, known_id, problems
from mereau.ledger import queries
from mereau.ledger.aging import service
from mereau.ledger.schemas import EntryOut, show_entry

router = APIRouter(prefix=f"{V1}/entries", tags=["Members"])


@router.post("/{entry_id}/activate", response_model=EntryOut, responses=problems(404, 409))
async def activate_entry(
    entry_id: str, caller: Annotated[Principal, allowed(Scope.LEDGER_WRITE)], session: Writes, site: SiteHere
) -> Response:
    """Let pending tokens be spendable now; repeating it changes nothing."""
    await service.activate_early(session, known_id("ent", entry_id), site.clock.now(), actor=caller.key_id)
    return answer(show_entry((await queries.statuses(session, [entry_id]))[entry_id]))
