"""Sales with their lines, returns with theirs."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import AmountMinor, Bytes, CreatedAt, Id, IdKey, Instant, Tokens
from mereau.core.db import Base


class Sale(Base):
    """One receipt. `(partner_id, external_id)` is the reference that makes it count once, for ever."""

    __tablename__ = "sales"
    __table_args__ = (
        UniqueConstraint("partner_id", "external_id"),
        Index("ix_sales_member_id_occurred_at", "member_id", "occurred_at"),
    )

    id: Mapped[IdKey]
    partner_id: Mapped[Id] = mapped_column(ForeignKey("partners.id"))
    location_id: Mapped[Id | None]
    staff_id: Mapped[Id | None]
    channel: Mapped[str | None]
    member_id: Mapped[Id | None] = mapped_column(ForeignKey("members.id"))
    external_id: Mapped[str]
    occurred_at: Mapped[Instant]
    currency: Mapped[str]
    shipping_minor: Mapped[AmountMinor]
    eligible_minor: Mapped[AmountMinor]
    tokens: Mapped[Tokens]
    rule: Mapped[str | None]
    inputs_digest: Mapped[Bytes]
    entry_id: Mapped[Id | None]
    created_at: Mapped[CreatedAt]


class SaleLine(Base):
    """One line. `returned_quantity` and `reversed_tokens` accumulate over the returns."""

    __tablename__ = "sale_lines"
    __table_args__ = (
        CheckConstraint("returned_quantity between 0 and quantity", name="returned_quantity"),
        CheckConstraint("reversed_tokens between 0 and tokens", name="reversed_tokens"),
    )

    sale_id: Mapped[Id] = mapped_column(ForeignKey("sales.id"), primary_key=True)
    line_number: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]
    category: Mapped[str | None]
    brand: Mapped[str | None]
    labels: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    quantity: Mapped[int] = mapped_column(BigInteger)
    unit_price_micro: Mapped[int | None] = mapped_column(BigInteger)
    amount_minor: Mapped[AmountMinor]
    discount_minor: Mapped[AmountMinor]
    tax_minor: Mapped[AmountMinor]
    eligible: Mapped[bool] = mapped_column(server_default="true")
    eligible_minor: Mapped[AmountMinor]
    tokens: Mapped[Tokens]
    returned_quantity: Mapped[int] = mapped_column(BigInteger)
    reversed_tokens: Mapped[Tokens]


class SaleCredit(Base):
    """What one entry of a sale that several rules credited gave for a line, and what of it came back.

    The sale's own `rule` and `entry_id` are those of the first; a sale that one rule credited needs no rows here.
    """

    __tablename__ = "sale_credits"
    __table_args__ = (
        CheckConstraint("reversed_tokens between 0 and tokens", name="reversed_tokens"),
        Index("ix_sale_credits_sale_id", "sale_id"),
    )

    entry_id: Mapped[Id] = mapped_column(primary_key=True)
    line_number: Mapped[int] = mapped_column(primary_key=True)
    sale_id: Mapped[Id] = mapped_column(ForeignKey("sales.id"))
    rule: Mapped[str]
    tokens: Mapped[Tokens]
    reversed_tokens: Mapped[Tokens]


class Return(Base):
    """Goods that came back against one sale; one document may touch several sales, one row each."""

    __tablename__ = "returns"
    __table_args__ = (
        UniqueConstraint("partner_id", "external_id", "sale_id"),
        Index("ix_returns_sale_id", "sale_id"),
    )

    id: Mapped[IdKey]
    sale_id: Mapped[Id] = mapped_column(ForeignKey("sales.id"))
    partner_id: Mapped[Id] = mapped_column(ForeignKey("partners.id"))
    staff_id: Mapped[Id | None]
    external_id: Mapped[str]
    occurred_at: Mapped[Instant]
    tokens_due: Mapped[Tokens]
    tokens_reversed: Mapped[Tokens]
    inputs_digest: Mapped[Bytes]
    entry_id: Mapped[Id | None]
    created_at: Mapped[CreatedAt]


class ReturnLine(Base):
    """How many units of a sale's line came back, and how many tokens that reverses."""

    __tablename__ = "return_lines"

    return_id: Mapped[Id] = mapped_column(ForeignKey("returns.id"), primary_key=True)
    line_number: Mapped[int] = mapped_column(primary_key=True)
    quantity: Mapped[int] = mapped_column(BigInteger)
    tokens: Mapped[Tokens]
