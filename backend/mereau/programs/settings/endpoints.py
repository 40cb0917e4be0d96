"""Endpoints of the programme."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.chain.guarantee import guaranteed_life_s
from mereau.core.http import BODY_PROBLEMS, V1, Reads, SiteHere, Writes, answer, json_body, problems
from mereau.programs import service as programs
from mereau.programs.settings import service
from mereau.programs.settings.schemas import ProgramChange, ProgramOut, show_program

router = APIRouter(prefix=f"{V1}/program", tags=["Programme"])


@router.get("", response_model=ProgramOut, responses=problems())
async def get_program(caller: Annotated[Principal, allowed(Scope.PROGRAM_READ)], session: Reads) -> Response:
    """The programme: its names, its token, and how long tokens wait and live."""
    return answer(show_program(await programs.current(session)))


@router.patch("", response_model=ProgramOut, responses=problems(*BODY_PROBLEMS))
async def change_program(
    caller: Annotated[Principal, allowed(Scope.PROGRAM_WRITE)],
    body: Annotated[ProgramChange, json_body(ProgramChange)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Change settings from now on. An expiry that is shorter than what the contract guarantees is refused."""
    wanted = body.wanted()
    guaranteed_s = None if wanted.expiry is None else await guaranteed_life_s(session)
    program = await service.change(session, wanted, guaranteed_s, site.clock.now(), actor=caller.key_id)
    return answer(show_program(program))
