"""SQL of cards."""

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from mereau.core.db import ReadSession, WriteSession
from mereau.members.models import Member, PaymentCard

Session = ReadSession | WriteSession


async def add(session: WriteSession, card: PaymentCard) -> bool:
    """Whether the card is new; waits for a running twin, which is visible afterwards."""
    values = {column.name: getattr(card, column.name) for column in PaymentCard.__table__.columns}
    statement = insert(PaymentCard).values(values).on_conflict_do_nothing(index_elements=["digest"])
    return await session.scalar(statement.returning(PaymentCard.id)) is not None


async def of_member(session: Session, member_id: str) -> Sequence[PaymentCard]:
    query = select(PaymentCard).where(PaymentCard.member_id == member_id).order_by(PaymentCard.id.desc())
    return (await session.scalars(query)).all()


async def remove(session: WriteSession, member_id: str, card_id: str) -> bool:
    """Whether the member had the card."""
    statement = delete(PaymentCard).where(PaymentCard.id == card_id, PaymentCard.member_id == member_id)
    return await session.scalar(statement.returning(PaymentCard.id)) is not None


async def holders(session: Session, digests: Sequence[bytes]) -> Mapping[bytes, str]:
    """Digest -> the active member whose card it is."""
    rows = await session.execute(
        select(PaymentCard.digest, PaymentCard.member_id)
        .join(Member, Member.id == PaymentCard.member_id)
        .where(PaymentCard.digest == func.any(list(digests)), Member.status == "active")
    )
    return {bytes(digest): member_id for digest, member_id in rows}
