"""Members' codes and the friends who came by them."""

from datetime import datetime

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import CreatedAt, Id, IdKey, Instant
from mereau.core.db import Base


class ReferralCode(Base):
    """A member's code, made when they first ask for it. The row is the lock of the member's referrals."""

    __tablename__ = "referral_codes"

    member_id: Mapped[Id] = mapped_column(ForeignKey("members.id"), primary_key=True)
    code: Mapped[str] = mapped_column(Text, unique=True)
    created_at: Mapped[CreatedAt]


class Referral(Base):
    """One friend. A member is brought by one other at most, whatever became of it.

    state: pending -> qualified -> cancelled, or pending -> expired; refused from the start. `reason` says why it was
    refused or cancelled, `is_capped` that the referrer had had their share and only the friend was credited.
    """

    __tablename__ = "referrals"
    __table_args__ = (
        CheckConstraint("state in ('pending', 'qualified', 'expired', 'refused', 'cancelled')", name="state"),
        Index("ix_referrals_referrer_id_id", "referrer_id", "id"),
        Index("ix_referrals_pending", "expires_at", postgresql_where="state = 'pending'"),
        Index("ix_referrals_sale_id", "sale_id", postgresql_where="sale_id is not null"),
    )

    id: Mapped[IdKey]
    referrer_id: Mapped[Id] = mapped_column(ForeignKey("members.id"))
    referred_id: Mapped[Id] = mapped_column(ForeignKey("members.id"), unique=True)
    state: Mapped[str]
    reason: Mapped[str | None]
    is_capped: Mapped[bool]
    sale_id: Mapped[Id | None]
    qualified_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[Instant]
    created_at: Mapped[CreatedAt]
