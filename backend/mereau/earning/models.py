"""Earning rules, what they have given so far, and what was judged by them."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import Bytes, CreatedAt, Id, IdKey, Instant, Json, Tokens
from mereau.core.db import Base


class EarningRule(Base):
    """One version of a rule; frozen once active. `spec` is the structured rule (see domain).

    `segment_ids` are the segments that its audience names, as they were found when it was activated.
    """

    __tablename__ = "earning_rules"
    __table_args__ = (
        UniqueConstraint("external_id", "version"),
        CheckConstraint("status in ('draft', 'active', 'inactive')", name="status"),
        # Many rules side by side, but one version of each.
        Index("uq_earning_rules_active", "external_id", unique=True, postgresql_where="status = 'active'"),
    )

    id: Mapped[IdKey]
    external_id: Mapped[str]
    version: Mapped[int]
    status: Mapped[str]
    trigger: Mapped[str] = mapped_column(server_default="sale")
    spec: Mapped[Json]
    spec_digest: Mapped[Bytes]
    segment_ids: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    created_at: Mapped[CreatedAt]


class EarningCounter(Base):
    """What a rule gave in a period; the row is the lock of those who would overrun its limits.

    `rule` is an external id, so that versions share their counters. Empty texts stand for all rules that name a
    limit of the programme, and for all members. `seen` counts what qualified for every n-th.
    """

    __tablename__ = "earning_counters"
    __table_args__ = (CheckConstraint("uses >= 0 and tokens >= 0 and seen >= 0", name="counted"),)

    rule: Mapped[str] = mapped_column(primary_key=True)
    member_id: Mapped[Id] = mapped_column(primary_key=True)
    period: Mapped[str] = mapped_column(primary_key=True)
    starts_at: Mapped[Instant] = mapped_column(primary_key=True)
    uses: Mapped[int] = mapped_column(BigInteger)
    tokens: Mapped[Tokens]
    seen: Mapped[int] = mapped_column(BigInteger)
    exhausted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class EarningStep(Base):
    """A sale that counts towards a rule's every n-th, until all of it has come back."""

    __tablename__ = "earning_steps"

    sale_id: Mapped[Id] = mapped_column(ForeignKey("sales.id"), primary_key=True)
    rule: Mapped[str] = mapped_column(primary_key=True)
    member_id: Mapped[Id]
    period: Mapped[str]
    starts_at: Mapped[Instant]


class EarningOccasion(Base):
    """An occasion that is no sale and was judged: once for its trigger, document and member, for ever."""

    __tablename__ = "earning_occasions"

    trigger: Mapped[str] = mapped_column(primary_key=True)
    source_id: Mapped[Id] = mapped_column(primary_key=True)
    member_id: Mapped[Id] = mapped_column(ForeignKey("members.id"), primary_key=True)
    occurred_at: Mapped[Instant]
    created_at: Mapped[CreatedAt]
