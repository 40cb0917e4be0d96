"""Deliveries of rewards. Everything personal stands in tables of its own, which can be emptied."""

from datetime import datetime

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import Bytes, CreatedAt, Id, IdKey, Instant
from mereau.core.db import Base


class Delivery(Base):
    """ordered -> prepared -> shipped -> delivered -> returned; side: cancelled, before it is shipped.

    `cleared_at` is when the tokens were burned for good: nothing is prepared before. `proof` is `none` where
    nothing is marked, else awaited -> submitted -> approved, or refused and awaited again.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        CheckConstraint(
            "state in ('ordered', 'prepared', 'shipped', 'delivered', 'returned', 'cancelled')", name="state"
        ),
        CheckConstraint("proof in ('none', 'awaited', 'submitted', 'approved', 'refused')", name="proof"),
        CheckConstraint("state not in ('shipped', 'delivered') or proof in ('none', 'approved')", name="proof_gate"),
        CheckConstraint("state not in ('shipped', 'delivered') or cleared_at is not null", name="cleared_gate"),
        CheckConstraint("proof_by in ('operator', 'member')", name="proof_by"),
        Index("ix_deliveries_open", "partner_id", "id", postgresql_where="state = 'ordered' and pick_list_id is null"),
        Index("ix_deliveries_member_id", "member_id", "id"),
        Index("ix_deliveries_pick_list_id", "pick_list_id"),
    )

    id: Mapped[IdKey]
    redemption_id: Mapped[Id] = mapped_column(ForeignKey("redemptions.id"), unique=True)
    member_id: Mapped[Id] = mapped_column(ForeignKey("members.id"))
    partner_id: Mapped[Id] = mapped_column(ForeignKey("partners.id"))
    reward_id: Mapped[Id] = mapped_column(ForeignKey("rewards.id"))
    state: Mapped[str]
    reason: Mapped[str | None]
    cleared_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    proof: Mapped[str]
    proof_by: Mapped[str]
    pick_list_id: Mapped[Id | None] = mapped_column(ForeignKey("pick_lists.id"))
    carrier: Mapped[str | None]
    tracking_number: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    changed_at: Mapped[CreatedAt]


class DeliveryLine(Base):
    """Pieces of one variant in a delivery."""

    __tablename__ = "delivery_lines"
    __table_args__ = (CheckConstraint("pieces > 0", name="pieces"),)

    delivery_id: Mapped[IdKey] = mapped_column(ForeignKey("deliveries.id"))
    line_number: Mapped[int] = mapped_column(primary_key=True)
    variant_id: Mapped[Id] = mapped_column(ForeignKey("goods_variants.id"))
    pieces: Mapped[int]


class DeliveryRecipient(Base):
    """Personal: to whom a delivery goes, and the text that is put on it. Gone once it is erased."""

    __tablename__ = "delivery_recipients"

    delivery_id: Mapped[IdKey] = mapped_column(ForeignKey("deliveries.id"))
    name: Mapped[str]
    line_1: Mapped[str]
    line_2: Mapped[str | None]
    postal_code: Mapped[str]
    city: Mapped[str]
    country: Mapped[str]
    phone: Mapped[str | None]
    marking_text: Mapped[str | None]


class DeliveryFile(Base):
    """Personal: a logo that a member sent, or a proof. Gone once it is erased."""

    __tablename__ = "delivery_files"
    __table_args__ = (
        CheckConstraint("kind in ('logo', 'proof')", name="kind"),
        Index("ix_delivery_files_delivery_id", "delivery_id"),
    )

    id: Mapped[IdKey]
    delivery_id: Mapped[Id] = mapped_column(ForeignKey("deliveries.id"))
    kind: Mapped[str]
    media_type: Mapped[str]
    content: Mapped[Bytes]


class DeliveryProof(Base):
    """submitted -> approved | refused, with remarks. `file_id` names a file that may be erased meanwhile."""

    __tablename__ = "delivery_proofs"
    __table_args__ = (
        CheckConstraint("state in ('submitted', 'approved', 'refused')", name="state"),
        Index("ix_delivery_proofs_delivery_id", "delivery_id"),
        Index("uq_delivery_proofs_submitted", "delivery_id", unique=True, postgresql_where="state = 'submitted'"),
    )

    id: Mapped[IdKey]
    delivery_id: Mapped[Id] = mapped_column(ForeignKey("deliveries.id"))
    file_id: Mapped[Id]
    state: Mapped[str]
    remarks: Mapped[str | None]
    decided_by_key_id: Mapped[Id | None]
    decided_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[CreatedAt]


class PickList(Base):
    """Deliveries that a workshop prepares together."""

    __tablename__ = "pick_lists"

    id: Mapped[IdKey]
    partner_id: Mapped[Id] = mapped_column(ForeignKey("partners.id"))
    created_by_key_id: Mapped[Id]
    created_at: Mapped[Instant]
