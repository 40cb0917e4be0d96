"""Members, their consents and cards. Personal fields live here and nowhere else."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, LargeBinary, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import CreatedAt, Id, IdKey, Instant
from mereau.core.db import Base


class Member(Base):
    """`external_id` is the caller's own number for the member, unique in the programme.

    `email_key` is the normal form of `email`, for abuse checks; `device_digest` stands for the device that enrolled.
    `birth_date_set_at` stays when the birth date goes, so that a date cannot be set afresh.
    """

    __tablename__ = "members"
    __table_args__ = (
        CheckConstraint("status in ('active', 'blocked', 'deleted')", name="status"),
        Index("ix_members_email_key", "email_key", postgresql_where="email_key is not null"),
        Index("ix_members_phone", "phone", postgresql_where="phone is not null"),
        Index("ix_members_device_digest", "device_digest", postgresql_where="device_digest is not null"),
    )

    id: Mapped[IdKey]
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    display_name: Mapped[str | None]
    email: Mapped[str | None]
    email_key: Mapped[str | None]
    phone: Mapped[str | None]
    device_digest: Mapped[bytes | None]
    locale: Mapped[str]
    birth_date: Mapped[date | None]
    birth_date_set_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    attributes: Mapped[dict[str, object]] = mapped_column(JSONB, server_default="{}")
    labels: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    status: Mapped[str]
    blocked_reason: Mapped[str | None]
    enrolled_by_partner_id: Mapped[Id | None] = mapped_column(ForeignKey("partners.id"))
    created_at: Mapped[CreatedAt]


class ProfileRequirement(Base):
    """A field without which the programme calls no profile complete."""

    __tablename__ = "profile_requirements"

    field: Mapped[str] = mapped_column(Text, primary_key=True)


class Consent(Base):
    """That a member said yes or no to something, under which text, and how it was learnt. Append-only."""

    __tablename__ = "consents"
    __table_args__ = (
        CheckConstraint(
            "kind in ('newsletter', 'prospecting_email', 'prospecting_sms', 'profiling', 'terms')", name="kind"
        ),
        CheckConstraint("state in ('given', 'withdrawn')", name="state"),
        UniqueConstraint("member_id", "kind", "occurred_at"),
    )

    id: Mapped[IdKey]
    member_id: Mapped[Id] = mapped_column(ForeignKey("members.id"))
    kind: Mapped[str]
    state: Mapped[str]
    occurred_at: Mapped[Instant]
    source: Mapped[str]
    text_version: Mapped[str]
    recorded_by: Mapped[str]
    created_at: Mapped[CreatedAt]


class PaymentCard(Base):
    """A card that a member pays with, by the digest of a connector's opaque token; never a card number."""

    __tablename__ = "payment_cards"
    __table_args__ = (Index("ix_payment_cards_member_id", "member_id"),)

    id: Mapped[IdKey]
    member_id: Mapped[Id] = mapped_column(ForeignKey("members.id"))
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    name: Mapped[str | None]
    created_at: Mapped[CreatedAt]
