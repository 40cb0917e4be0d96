"""What people credited and debited by hand, and how much of it on a day."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import CreatedAt, Id, IdKey, Tokens
from mereau.core.db import Base


class Adjustment(Base):
    """A credit or debit by hand: applied at once, or a request that a second person decides on before it expires.

    `applied_tokens` is what came of it; of a debit perhaps less than was asked for. Its entries name it as their
    source. `requested_by` and `decided_by` are people: a member of staff, a partner, or an operator's key. The
    note stays here; entries commit to its digest.
    """

    __tablename__ = "adjustments"
    __table_args__ = (
        CheckConstraint("direction in ('credit', 'debit')", name="direction"),
        CheckConstraint("state in ('pending_approval', 'applied', 'rejected')", name="state"),
        CheckConstraint("tokens > 0", name="tokens"),
        CheckConstraint(
            "(state = 'applied') = (applied_tokens is not null) and applied_tokens between 1 and tokens",
            name="applied",
        ),
        CheckConstraint("decided_by <> requested_by", name="two_people"),
        Index("ix_adjustments_partner_id_id", "partner_id", "id"),
        Index("ix_adjustments_member_id_id", "member_id", "id"),
    )

    id: Mapped[IdKey]
    member_id: Mapped[Id] = mapped_column(ForeignKey("members.id"))
    partner_id: Mapped[Id] = mapped_column(ForeignKey("partners.id"))
    staff_id: Mapped[Id | None]
    direction: Mapped[str]
    tokens: Mapped[Tokens]
    applied_tokens: Mapped[Tokens | None]
    reason_code: Mapped[str]
    note: Mapped[str]
    state: Mapped[str]
    requested_by: Mapped[Id]
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    decided_by: Mapped[Id | None]
    decided_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    decision_note: Mapped[str | None]
    created_at: Mapped[CreatedAt]


class AdjustmentCounter(Base):
    """Tokens that a person moved by hand, or that were moved for a member, on a day of the programme's zone."""

    __tablename__ = "adjustment_counters"
    __table_args__ = (CheckConstraint("tokens >= 0", name="tokens"),)

    subject_id: Mapped[Id] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    tokens: Mapped[Tokens]
