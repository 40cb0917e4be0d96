"""Segments, their members, and the facts about members that filters ask for."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, SmallInteger, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import AmountMinor, CreatedAt, IdKey, Instant
from mereau.core.db import Base


class Segment(Base):
    """A saved group. `filter` is null for a static list, whose members are named one by one.

    `member_count`, `entered_count` and `left_count` are of the last refresh, at `refreshed_at`. A refresh is
    asked for at `queued_at` and under way since `started_at`; both are null when none is.
    """

    __tablename__ = "segments"
    __table_args__ = (
        CheckConstraint("(kind = 'static') = (filter is null)", name="filter"),
        CheckConstraint("kind in ('dynamic', 'static')", name="kind"),
    )

    id: Mapped[IdKey]
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    name_fr: Mapped[str]
    name_en: Mapped[str]
    kind: Mapped[str]
    filter: Mapped[dict[str, object] | None] = mapped_column(JSONB(none_as_null=True))
    member_count: Mapped[int] = mapped_column(BigInteger)
    entered_count: Mapped[int] = mapped_column(BigInteger)
    left_count: Mapped[int] = mapped_column(BigInteger)
    refreshed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    queued_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[CreatedAt]


class SegmentMember(Base):
    """Somebody who belongs to a segment since its refresh at `since`.

    Without foreign keys, here and in `MemberFacts`: a refresh writes a million rows, all of them read from the
    tables that it would have to look up once more for each.
    """

    __tablename__ = "segment_members"

    segment_id: Mapped[IdKey]
    member_id: Mapped[IdKey]
    since: Mapped[Instant]


class MemberFacts(Base):
    """What a member's purchases add up to; see `segments.facts.domain` for what each figure means.

    The three scores are null for who never bought anything.
    """

    __tablename__ = "member_facts"
    __table_args__ = (
        CheckConstraint("lifecycle in ('new', 'regular', 'champion', 'at_risk', 'lapsed')", name="lifecycle"),
    )

    member_id: Mapped[IdKey]
    purchases: Mapped[int] = mapped_column(BigInteger)
    amount_minor: Mapped[AmountMinor]
    first_purchase_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_purchase_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    year_purchases: Mapped[int] = mapped_column(BigInteger)
    year_amount_minor: Mapped[AmountMinor]
    recency: Mapped[int | None] = mapped_column(SmallInteger)
    frequency: Mapped[int | None] = mapped_column(SmallInteger)
    monetary: Mapped[int | None] = mapped_column(SmallInteger)
    lifecycle: Mapped[str]


class FactsState(Base):
    """One row: the instant that the facts describe. It is also the lock of whoever refreshes them."""

    __tablename__ = "member_facts_state"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    as_of: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
