"""The endpoint of dry runs."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.core.http import BODY_PROBLEMS, V1, Reads, SiteHere, answer, json_body, problems
from mereau.earning.rules.schemas import rule_spec
from mereau.earning.simulation import service
from mereau.earning.simulation.schemas import SimulationCreate, SimulationOut, show_simulation

router = APIRouter(prefix=f"{V1}/earning-rules", tags=["Earning rules"])


@router.post("/simulate", response_model=SimulationOut, responses=problems(*BODY_PROBLEMS, 404, 409))
async def simulate(
    caller: Annotated[Principal, allowed(Scope.RULES_WRITE)],
    body: Annotated[SimulationCreate, json_body(SimulationCreate)],
    session: Reads,
    site: SiteHere,
) -> Response:
    """What an occasion would earn: which rules fire, which do not and why. Writes nothing."""
    member = body.member
    done = await service.simulate(
        session,
        body.tried(),
        site.clock.now(),
        member_id=None if member is None else await service.find_member(session, member.id, member.external_id),
        rule_id=body.rule_id,
        trial=None if body.rule is None else service.Trial(body.rule.external_id, rule_spec(body.rule)),
    )
    return answer(show_simulation(done))
