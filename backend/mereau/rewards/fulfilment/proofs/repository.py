"""SQL of proofs. The delivery is locked before its proofs."""

from sqlalchemy import select, update

from mereau.auth.domain import Reach
from mereau.core.db import ReadSession, WriteSession
from mereau.rewards.fulfilment.models import Delivery, DeliveryFile, DeliveryProof

Session = ReadSession | WriteSession


async def proof(session: Session, proof_id: str, reach: Reach) -> DeliveryProof | None:
    """A proof of a delivery that the caller may see."""
    query = (
        select(DeliveryProof)
        .join(Delivery, Delivery.id == DeliveryProof.delivery_id)
        .where(DeliveryProof.id == proof_id)
    )
    if reach.member_id is not None:
        query = query.where(Delivery.member_id == reach.member_id)
    if reach.partner_id is not None:
        query = query.where(Delivery.partner_id == reach.partner_id)
    return await session.scalar(query.execution_options(populate_existing=True))


async def proofs_of(session: Session, delivery_id: str) -> list[DeliveryProof]:
    """The newest first."""
    rows = await session.scalars(
        select(DeliveryProof).where(DeliveryProof.delivery_id == delivery_id).order_by(DeliveryProof.id.desc())
    )
    return list(rows)


async def file(session: Session, file_id: str) -> DeliveryFile | None:
    return await session.get(DeliveryFile, file_id)


async def replace(session: WriteSession, proof_: DeliveryProof, file_: DeliveryFile) -> None:
    """Add a proof; one that still waits to be decided is refused, for it is replaced."""
    await session.execute(
        update(DeliveryProof)
        .where(DeliveryProof.delivery_id == proof_.delivery_id, DeliveryProof.state == "submitted")
        .values(state="refused", remarks="replaced", decided_at=proof_.created_at)
    )
    session.add_all([proof_, file_])
    await session.flush()
