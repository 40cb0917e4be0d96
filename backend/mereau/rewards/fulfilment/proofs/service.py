"""Proofs (bons à tirer): the workshop submits, the operator or the member approves or refuses with remarks."""

from collections.abc import Sequence
from datetime import datetime

from mereau.auth.domain import EVERYTHING, Reach
from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import FieldError, ForbiddenError, InvalidInputError, NotFoundError
from mereau.core.ids import new_id
from mereau.journal import service as journal
from mereau.outbox import service as outbox
from mereau.outbox.service import Event
from mereau.rewards.fulfilment import repository as deliveries
from mereau.rewards.fulfilment.domain import OPEN, FileDraft, may_pass
from mereau.rewards.fulfilment.errors import ProofDecidedError, ProofNotNeededError
from mereau.rewards.fulfilment.models import Delivery, DeliveryFile, DeliveryProof
from mereau.rewards.fulfilment.proofs import repository

Session = ReadSession | WriteSession


async def submit(
    session: WriteSession,
    delivery_id: str,
    draft: FileDraft,
    now: datetime,
    *,
    actor: str,
    reach: Reach = EVERYTHING,
) -> DeliveryProof:
    """Submit a proof for what will be marked, instead of one that still waits.

    NotFoundError for what the caller may not see; ProofNotNeededError where nothing is marked, the proof is
    approved, or the parcel has left. Locks the delivery.
    """
    delivery = await deliveries.delivery(session, delivery_id, reach, lock=True)
    if delivery is None:
        raise NotFoundError("There is no such delivery.")
    if may_pass(delivery.proof) or delivery.state not in OPEN:
        raise ProofNotNeededError(f"The delivery is {delivery.state}, its proof {delivery.proof}.")
    file = DeliveryFile(
        id=new_id("fil", now),
        delivery_id=delivery_id,
        kind="proof",
        media_type=draft.media_type,
        content=draft.content,
    )
    proof = DeliveryProof(
        id=new_id("prf", now), delivery_id=delivery_id, file_id=file.id, state="submitted", created_at=now
    )
    await repository.replace(session, proof, file)
    delivery.proof = "submitted"
    await session.flush()
    await _tell(session, proof, delivery, now, actor)
    return proof


async def decide(
    session: WriteSession,
    proof_id: str,
    *,
    is_approved: bool,
    remarks: str | None,
    now: datetime,
    actor: str,
    reach: Reach = EVERYTHING,
) -> DeliveryProof:
    """Approve a proof, or refuse it with remarks; the same decision again changes nothing.

    InvalidInputError for a refusal without remarks; NotFoundError for what the caller may not see; ForbiddenError
    for a member where the operator decides; ProofDecidedError where it was decided otherwise, ProofNotNeededError
    where the delivery was cancelled meanwhile. Locks the delivery.
    """
    if not is_approved and remarks is None:
        error = FieldError("/remarks", "required", "Say what is wrong with it.")
        raise InvalidInputError("A refusal needs remarks.", errors=[error])
    found = await get(session, proof_id, reach)
    delivery = await deliveries.delivery(session, found.delivery_id, reach, lock=True)
    proof = await get(session, proof_id, reach)
    if delivery is None or (reach.member_id is not None and delivery.proof_by != "member"):
        raise ForbiddenError("The operator decides on this proof.")
    state = "approved" if is_approved else "refused"
    if proof.state == state:
        return proof
    if proof.state != "submitted":
        raise ProofDecidedError(f"The proof is {proof.state}.")
    if delivery.state not in OPEN:
        raise ProofNotNeededError(f"The delivery is {delivery.state}.")
    proof.state, proof.remarks, proof.decided_by_key_id, proof.decided_at = state, remarks, actor, now
    delivery.proof = state
    await session.flush()
    await _tell(session, proof, delivery, now, actor)
    return proof


async def _tell(session: WriteSession, proof: DeliveryProof, delivery: Delivery, now: datetime, actor: str) -> None:
    detail = {"delivery_id": delivery.id, "member_id": delivery.member_id, "proof_by": delivery.proof_by}
    await outbox.publish(session, [Event(f"proof.{proof.state}", proof.id, detail)], now)
    await journal.record(
        session, at=now, actor=actor, action=f"proof.{proof.state}", subject_id=proof.id, detail=detail
    )


async def get(session: Session, proof_id: str, reach: Reach = EVERYTHING) -> DeliveryProof:
    """The proof, if the caller may see its delivery; else NotFoundError."""
    proof = await repository.proof(session, proof_id, reach)
    if proof is None:
        raise NotFoundError("There is no such proof.")
    return proof


async def list_proofs(session: Session, delivery_id: str, reach: Reach) -> Sequence[DeliveryProof]:
    """A delivery's proofs, the newest first; NotFoundError for a delivery that the caller may not see."""
    if await deliveries.delivery(session, delivery_id, reach) is None:
        raise NotFoundError("There is no such delivery.")
    return await repository.proofs_of(session, delivery_id)


async def file_of(session: Session, proof_id: str, reach: Reach) -> DeliveryFile:
    """The file to look at; NotFoundError once it is erased."""
    file = await repository.file(session, (await get(session, proof_id, reach)).file_id)
    if file is None:
        raise NotFoundError("The file is erased.")
    return file
