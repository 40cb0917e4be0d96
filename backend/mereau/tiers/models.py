"""Tier sets as documents, the tiers in force, who holds which, and how that changed."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Date, DateTime, ForeignKey, Identity, Index, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import CreatedAt, Id, IdKey, Instant, Json
from mereau.core.db import Base


class TierSet(Base):
    """One version of all tiers together: `document` is what `tiers.domain.parse_ladder` reads.

    draft -> active -> retired, or straight to retired; at most one draft and one active at a time. A document
    never changes.
    """

    __tablename__ = "tier_sets"
    __table_args__ = (
        CheckConstraint("status in ('draft', 'active', 'retired')", name="status"),
        Index("uq_tier_sets_status", "status", unique=True, postgresql_where="status <> 'retired'"),
    )

    id: Mapped[IdKey]
    version: Mapped[int] = mapped_column(unique=True)
    status: Mapped[str]
    document: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[CreatedAt]
    activated_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Tier(Base):
    """A tier that is or was in force; its id stays the same through all versions of the set."""

    __tablename__ = "tiers"
    __table_args__ = (
        CheckConstraint("status in ('active', 'retired')", name="status"),
        Index("uq_tiers_rank", "rank", unique=True, postgresql_where="status = 'active'"),
    )

    id: Mapped[IdKey]
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    status: Mapped[str]
    rank: Mapped[int]
    threshold: Mapped[int] = mapped_column(BigInteger)
    name_fr: Mapped[str]
    name_en: Mapped[str]
    description_fr: Mapped[str | None]
    description_en: Mapped[str | None]
    picture_url: Mapped[str | None]
    benefits: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[CreatedAt]


class TierStanding(Base):
    """The tier that a member holds since `since`; no row before the first.

    `below_since`: since when the member has been below what the tier demands, and its grace runs. While
    `assigned_by` is set the tier was given by hand and nothing but its end (null: none) takes it away.
    """

    __tablename__ = "tier_standings"
    __table_args__ = (
        Index("ix_tier_standings_below_since", "below_since", postgresql_where="below_since is not null"),
        Index("ix_tier_standings_assigned_until", "assigned_until", postgresql_where="assigned_until is not null"),
    )

    member_id: Mapped[Id] = mapped_column(ForeignKey("members.id"), primary_key=True)
    tier_id: Mapped[Id | None] = mapped_column(ForeignKey("tiers.id"))
    since: Mapped[Instant]
    below_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    assigned_by: Mapped[str | None]
    assigned_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    assigned_reason: Mapped[str | None]


class TierChange(Base):
    """One line of a member's tier history; append-only. Its last line names the tier that the member holds."""

    __tablename__ = "tier_changes"
    __table_args__ = (
        CheckConstraint("direction in ('joined', 'up', 'down', 'kept')", name="direction"),
        Index("ix_tier_changes_member_id_seq", "member_id", "seq"),
    )

    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    member_id: Mapped[Id] = mapped_column(ForeignKey("members.id"))
    from_tier_id: Mapped[Id | None] = mapped_column(ForeignKey("tiers.id"))
    to_tier_id: Mapped[Id | None] = mapped_column(ForeignKey("tiers.id"))
    direction: Mapped[str]
    cause: Mapped[str]
    figures: Mapped[Json]
    actor: Mapped[str | None]
    at: Mapped[Instant]


class TierPass(Base):
    """One walk through all members: of a day, or of a set just activated. `after_id` is how far it has come."""

    __tablename__ = "tier_passes"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    set_version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    after_id: Mapped[Id]
    evaluated: Mapped[int] = mapped_column(BigInteger)
    changed: Mapped[int] = mapped_column(BigInteger)
    started_at: Mapped[Instant]
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
