"""Pools of codes, their codes as digests, and who claimed them."""

from datetime import datetime

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, LargeBinary, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import CreatedAt, Id, IdKey, Json, Tokens
from mereau.core.db import Base


class CodePool(Base):
    """Codes of one campaign: `campaign` is the external id of the rule that they call, None for every rule of codes."""

    __tablename__ = "code_pools"
    __table_args__ = (
        CheckConstraint("status in ('active', 'closed')", name="status"),
        CheckConstraint("uses_per_code > 0", name="uses_per_code"),
    )

    id: Mapped[IdKey]
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    partner_id: Mapped[Id | None] = mapped_column(ForeignKey("partners.id"))
    campaign: Mapped[str | None]
    object_reference: Mapped[str | None]
    attributes: Mapped[Json]
    uses_per_code: Mapped[int]
    valid_from: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    valid_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    status: Mapped[str]
    created_at: Mapped[CreatedAt]


class EarningCode(Base):
    """One code, by its digest alone; `uses_left` counts down."""

    __tablename__ = "earning_codes"
    __table_args__ = (
        CheckConstraint("uses_left >= 0", name="uses_left"),
        Index("ix_earning_codes_pool_id", "pool_id"),
    )

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    pool_id: Mapped[Id] = mapped_column(ForeignKey("code_pools.id"))
    uses_left: Mapped[int]


class CodeClaim(Base):
    """That a member claimed a code."""

    __tablename__ = "code_claims"
    __table_args__ = (UniqueConstraint("digest", "member_id"), Index("ix_code_claims_member_id", "member_id"))

    id: Mapped[IdKey]
    digest: Mapped[bytes] = mapped_column(LargeBinary, ForeignKey("earning_codes.digest"))
    pool_id: Mapped[Id] = mapped_column(ForeignKey("code_pools.id"))
    member_id: Mapped[Id] = mapped_column(ForeignKey("members.id"))
    tokens: Mapped[Tokens]
    created_at: Mapped[CreatedAt]
