"""Endpoints of proofs."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.core.http import (
    BATCH_BODY_BYTES_MAX,
    BODY_PROBLEMS,
    V1,
    Reads,
    SiteHere,
    Writes,
    answer,
    json_body,
    known_id,
    problems,
)
from mereau.rewards.fulfilment.endpoints import answer_file
from mereau.rewards.fulfilment.proofs import service
from mereau.rewards.fulfilment.proofs.schemas import ProofDecision, ProofOut, ProofsOut, show_proof
from mereau.rewards.fulfilment.schemas import FileIn

router = APIRouter(prefix=V1, tags=["Deliveries"])


@router.post(
    "/deliveries/{delivery_id}/proofs",
    status_code=201,
    response_model=ProofOut,
    responses=problems(*BODY_PROBLEMS, 404, 409),
)
async def submit_proof(
    delivery_id: str,
    caller: Annotated[Principal, allowed(Scope.DELIVERIES_WRITE)],
    body: Annotated[FileIn, json_body(FileIn, bytes_max=BATCH_BODY_BYTES_MAX)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Submit a proof of what will be marked; nothing marked is shipped before one is approved."""
    known_id("dlv", delivery_id)
    draft = body.draft("/content_base64")
    proof = await service.submit(session, delivery_id, draft, site.clock.now(), actor=caller.key_id, reach=caller.reach)
    return answer(show_proof(proof), status=201)


@router.get("/deliveries/{delivery_id}/proofs", response_model=ProofsOut, responses=problems(404))
async def list_proofs(
    delivery_id: str, caller: Annotated[Principal, allowed(Scope.DELIVERIES_READ)], session: Reads
) -> Response:
    """The proofs of a delivery, the newest first."""
    rows = await service.list_proofs(session, known_id("dlv", delivery_id), caller.reach)
    return answer(ProofsOut(data=[show_proof(proof) for proof in rows]))


@router.get("/proofs/{proof_id}/file", response_class=Response, responses=problems(404))
async def get_proof_file(
    proof_id: str, caller: Annotated[Principal, allowed(Scope.DELIVERIES_READ)], session: Reads
) -> Response:
    """The proof itself, as a file."""
    return answer_file(await service.file_of(session, known_id("prf", proof_id), caller.reach))


@router.post("/proofs/{proof_id}/decision", response_model=ProofOut, responses=problems(*BODY_PROBLEMS, 404, 409))
async def decide_proof(
    proof_id: str,
    caller: Annotated[Principal, allowed(Scope.REDEMPTIONS_WRITE)],
    body: Annotated[ProofDecision, json_body(ProofDecision)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Approve or refuse a proof: the operator, or the member where the reward leaves it to them."""
    proof = await service.decide(
        session,
        known_id("prf", proof_id),
        is_approved=body.decision == "approved",
        remarks=body.remarks,
        now=site.clock.now(),
        actor=caller.key_id,
        reach=caller.reach,
    )
    return answer(show_proof(proof))
