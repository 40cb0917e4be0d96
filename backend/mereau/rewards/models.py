"""Rewards, redemptions and vouchers."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, LargeBinary, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import CreatedAt, Id, IdKey, Tokens
from mereau.core.db import Base


class Reward(Base):
    """What tokens buy. `stock` null means without limit; `validity_days` runs from the grant."""

    __tablename__ = "rewards"
    __table_args__ = (
        CheckConstraint("price_tokens > 0", name="price_tokens"),
        CheckConstraint("stock >= 0", name="stock"),
        CheckConstraint("status in ('draft', 'active', 'inactive')", name="status"),
    )

    id: Mapped[IdKey]
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    partner_id: Mapped[Id] = mapped_column(ForeignKey("partners.id"))
    name_fr: Mapped[str]
    name_en: Mapped[str]
    price_tokens: Mapped[Tokens]
    stock: Mapped[int | None] = mapped_column(BigInteger)
    validity_days: Mapped[int]
    status: Mapped[str]
    created_at: Mapped[CreatedAt]


class Redemption(Base):
    """held -> burning -> granted -> used | expired | refunded; side: rejected, cancelled.

    The voucher's code is derived from the redemption by a secret of the installation; only its
    SHA-256 stands here, so a copy of the table opens no till.
    """

    __tablename__ = "redemptions"
    __table_args__ = (
        CheckConstraint(
            "state in ('held', 'burning', 'granted', 'used', 'expired', 'refunded', 'rejected', 'cancelled')",
            name="state",
        ),
        UniqueConstraint("member_id", "external_id"),
        Index("ix_redemptions_voucher_digest", "voucher_digest", unique=True),
    )

    id: Mapped[IdKey]
    external_id: Mapped[str | None]
    member_id: Mapped[Id] = mapped_column(ForeignKey("members.id"))
    reward_id: Mapped[Id] = mapped_column(ForeignKey("rewards.id"))
    partner_id: Mapped[Id] = mapped_column(ForeignKey("partners.id"))
    tokens: Mapped[Tokens]
    state: Mapped[str]
    entry_id: Mapped[Id] = mapped_column(unique=True)
    reason: Mapped[str | None]
    voucher_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    voucher_expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    used_by_key_id: Mapped[Id | None]
    created_at: Mapped[CreatedAt]
