"""Proofs on the wire."""

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict

from mereau.core.schemas import Remark, Request, Resource
from mereau.rewards.fulfilment.models import DeliveryProof


class ProofDecision(Request):
    """Approve a proof, or say what is wrong with it."""

    model_config = ConfigDict(json_schema_extra={"example": {"decision": "refused", "remarks": "Le nom est coupé."}})

    decision: Literal["approved", "refused"]
    remarks: Remark | None = None


class ProofOut(Resource):
    """A proof; its file is read at /proofs/{id}/file."""

    id: str
    delivery_id: str
    state: Literal["submitted", "approved", "refused"]
    remarks: str | None
    decided_at: datetime | None
    created_at: datetime


class ProofsOut(Resource):
    """All proofs of a delivery, the newest first."""

    data: list[ProofOut]


def show_proof(proof: DeliveryProof) -> ProofOut:
    return ProofOut.model_validate(proof)
