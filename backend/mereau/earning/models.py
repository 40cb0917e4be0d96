"""Earning rules."""

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from mereau.core.columns import Bytes, CreatedAt, IdKey, Json
from mereau.core.db import Base


class EarningRule(Base):
    """One version of a rule; frozen once active. `spec` is the structured rule (see domain)."""

    __tablename__ = "earning_rules"
    __table_args__ = (
        UniqueConstraint("external_id", "version"),
        CheckConstraint("status in ('draft', 'active', 'inactive')", name="status"),
        # One rule at a time decides what a sale earns: which one is never a matter of edit order.
        Index("uq_earning_rules_active", "status", unique=True, postgresql_where="status = 'active'"),
    )

    id: Mapped[IdKey]
    external_id: Mapped[str]
    version: Mapped[int]
    status: Mapped[str]
    spec: Mapped[Json]
    spec_digest: Mapped[Bytes]
    created_at: Mapped[CreatedAt]
