"""Goods, their variants with their stock, the movements that made it, and the rewards that bring them."""

from datetime import datetime
from typing import Literal

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import AmountMinor, CreatedAt, Id, IdKey, Instant
from mereau.core.db import Base


class Goods(Base):
    """What may be given away. `cost_minor` is of one piece, in the programme's currency."""

    __tablename__ = "goods"
    __table_args__ = (
        CheckConstraint("status in ('draft', 'approved', 'withdrawn')", name="status"),
        CheckConstraint("cost_minor >= 0", name="cost_minor"),
    )

    id: Mapped[IdKey]
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    partner_id: Mapped[Id] = mapped_column(ForeignKey("partners.id"))
    name_fr: Mapped[str]
    name_en: Mapped[str]
    text_fr: Mapped[str | None]
    text_en: Mapped[str | None]
    supplier: Mapped[str]
    cost_minor: Mapped[AmountMinor]
    status: Mapped[str]
    approved_by_key_id: Mapped[Id | None]
    approved_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[CreatedAt]


class GoodsVariant(Base):
    """One size and colour. Its figures are the sums of its movements: reserved pieces lie on the shelf as well."""

    __tablename__ = "goods_variants"
    __table_args__ = (
        CheckConstraint("reserved >= 0 and on_hand >= reserved", name="stock"),
        CheckConstraint("buffer >= 0 and alert_at >= 0", name="levels"),
        UniqueConstraint("goods_id", "size", "colour", postgresql_nulls_not_distinct=True),
    )

    id: Mapped[IdKey]
    goods_id: Mapped[Id] = mapped_column(ForeignKey("goods.id"))
    sku: Mapped[str] = mapped_column(Text, unique=True)
    size: Mapped[str | None]
    colour: Mapped[str | None]
    on_hand: Mapped[int] = mapped_column(BigInteger)
    reserved: Mapped[int] = mapped_column(BigInteger)
    buffer: Mapped[int] = mapped_column(BigInteger)
    alert_at: Mapped[int] = mapped_column(BigInteger)


class GoodsMovement(Base):
    """One change of a stock, append-only; the two changes are what it added to the variant's figures."""

    __tablename__ = "goods_movements"
    __table_args__ = (
        CheckConstraint(
            "kind in ('received', 'reserved', 'released', 'shipped', 'returned', 'counted', 'written_off')",
            name="kind",
        ),
        Index("ix_goods_movements_variant_id", "variant_id", "seq"),
    )

    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    variant_id: Mapped[Id] = mapped_column(ForeignKey("goods_variants.id"))
    kind: Mapped[str]
    on_hand_change: Mapped[int] = mapped_column(BigInteger)
    reserved_change: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str]
    delivery_id: Mapped[Id | None]
    actor: Mapped[str]
    at: Mapped[Instant]


class GoodsOffer(Base):
    """How a gift is delivered: what members may have put on it, and who approves the proof."""

    __tablename__ = "goods_offers"
    __table_args__ = (
        CheckConstraint("personalisation in ('none', 'text', 'logo')", name="personalisation"),
        CheckConstraint("proof_by in ('operator', 'member')", name="proof_by"),
    )

    reward_id: Mapped[IdKey] = mapped_column(ForeignKey("rewards.id"))
    personalisation: Mapped[Literal["none", "text", "logo"]] = mapped_column(String)
    proof_by: Mapped[Literal["operator", "member"]] = mapped_column(String)


class GoodsOfferItem(Base):
    """Goods that may fill a further slot of a gift; its terms name those of the first.

    Every slot is filled, by one of its goods.
    """

    __tablename__ = "goods_offer_items"
    __table_args__ = (CheckConstraint("pieces > 0", name="pieces"),)

    reward_id: Mapped[IdKey] = mapped_column(ForeignKey("goods_offers.reward_id"))
    slot: Mapped[int] = mapped_column(primary_key=True)
    goods_id: Mapped[IdKey] = mapped_column(ForeignKey("goods.id"))
    pieces: Mapped[int]
