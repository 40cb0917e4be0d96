"""Single objects that were given away, each with a code of its own."""

from datetime import datetime

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import CreatedAt, Id, IdKey
from mereau.core.db import Base


class GoodsObject(Base):
    """One piece of a delivery. Its code is printed once; only the SHA-256 of it stands here.

    The owner is the member to whom it was sent, or to whom they passed it on before it was activated.
    """

    __tablename__ = "goods_objects"
    __table_args__ = (
        CheckConstraint("outcome in ('reused', 'recycled', 'upcycled', 'discarded')", name="outcome"),
        CheckConstraint("(taken_back_at is null) = (outcome is null)", name="taken_back"),
        Index("ix_goods_objects_code_digest", "code_digest", unique=True),
        Index("ix_goods_objects_delivery_id", "delivery_id", "line_number"),
    )

    id: Mapped[IdKey]
    delivery_id: Mapped[Id] = mapped_column(ForeignKey("deliveries.id"))
    line_number: Mapped[int]
    variant_id: Mapped[Id] = mapped_column(ForeignKey("goods_variants.id"))
    partner_id: Mapped[Id] = mapped_column(ForeignKey("partners.id"))
    owner_member_id: Mapped[Id] = mapped_column(ForeignKey("members.id"))
    code_digest: Mapped[bytes] = mapped_column(LargeBinary)
    activated_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    taken_back_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    outcome: Mapped[str | None]
    created_at: Mapped[CreatedAt]
