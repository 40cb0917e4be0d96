"""Rewards with their versions and counters, redemptions and what comes of them."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import Bytes, CreatedAt, Id, IdKey, Instant, Json, Tokens
from mereau.core.db import Base


class Reward(Base):
    """What tokens buy. `stock` null means without limit; `validity_days` runs from the grant.

    `version` counts the changes of everything but the stock; each stands whole in `reward_versions`.
    """

    __tablename__ = "rewards"
    __table_args__ = (
        CheckConstraint("price_tokens >= 0", name="price_tokens"),
        CheckConstraint("stock >= 0", name="stock"),
        CheckConstraint("status in ('draft', 'active', 'inactive')", name="status"),
    )

    id: Mapped[IdKey]
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    partner_id: Mapped[Id] = mapped_column(ForeignKey("partners.id"))
    name_fr: Mapped[str]
    name_en: Mapped[str]
    price_tokens: Mapped[Tokens]
    stock: Mapped[int | None] = mapped_column(BigInteger)
    validity_days: Mapped[int]
    status: Mapped[str]
    terms: Mapped[Json] = mapped_column(server_default='{"kind": "service"}')
    description_fr: Mapped[str] = mapped_column(Text, server_default="")
    description_en: Mapped[str] = mapped_column(Text, server_default="")
    category: Mapped[str | None]
    brand: Mapped[str | None]
    labels: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    photos: Mapped[list[dict[str, str]]] = mapped_column(JSONB, server_default="[]")
    featured_position: Mapped[int | None]
    visible_from: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    visible_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    active_from: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    active_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    audience: Mapped[dict[str, list[str]]] = mapped_column(JSONB, server_default="{}")
    tier_prices: Mapped[dict[str, int]] = mapped_column(JSONB, server_default="{}")
    limits: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")
    automatic_at_tokens: Mapped[int | None] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[CreatedAt]


class RewardVersion(Base):
    """A reward as it stood after one change; redemptions name the version that they were made under."""

    __tablename__ = "reward_versions"

    reward_id: Mapped[Id] = mapped_column(ForeignKey("rewards.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[Json]
    created_at: Mapped[CreatedAt]


class RewardCounter(Base):
    """Pieces taken within one limit: `owner_id` empty for all members, `starts_on` empty where it is for ever.

    The row is the limit's lock: it is moved only by a conditional update, so parallel redemptions never pass it.
    """

    __tablename__ = "reward_counters"
    __table_args__ = (CheckConstraint("pieces >= 0", name="pieces"),)

    reward_id: Mapped[Id] = mapped_column(ForeignKey("rewards.id"), primary_key=True)
    owner_id: Mapped[Id] = mapped_column(primary_key=True)
    period: Mapped[str] = mapped_column(primary_key=True)
    starts_on: Mapped[str] = mapped_column(primary_key=True)
    pieces: Mapped[int] = mapped_column(BigInteger)


class Redemption(Base):
    """held -> burning -> granted -> used | expired | refunded; side: rejected, cancelled.

    `promise` is what its kind of reward gives, fixed with the price when the tokens were held. `counted` names the
    counters that it moved. The voucher's code is derived from the redemption by a secret of the installation; only its
    SHA-256 stands here, so a copy of the table opens no till.
    """

    __tablename__ = "redemptions"
    __table_args__ = (
        CheckConstraint(
            "state in ('held', 'burning', 'granted', 'used', 'expired', 'refunded', 'rejected', 'cancelled')",
            name="state",
        ),
        CheckConstraint("quantity > 0", name="quantity"),
        UniqueConstraint("member_id", "external_id"),
        Index("ix_redemptions_voucher_digest", "voucher_digest", unique=True),
    )

    id: Mapped[IdKey]
    external_id: Mapped[str | None]
    member_id: Mapped[Id] = mapped_column(ForeignKey("members.id"))
    reward_id: Mapped[Id] = mapped_column(ForeignKey("rewards.id"))
    partner_id: Mapped[Id] = mapped_column(ForeignKey("partners.id"))
    tokens: Mapped[Tokens]
    state: Mapped[str]
    entry_id: Mapped[Id] = mapped_column(unique=True)
    reason: Mapped[str | None]
    voucher_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    voucher_expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    used_by_key_id: Mapped[Id | None]
    quantity: Mapped[int] = mapped_column(server_default="1")
    reward_version: Mapped[int] = mapped_column(server_default="1")
    kind: Mapped[str] = mapped_column(server_default="service")
    promise: Mapped[Json] = mapped_column(server_default="{}")
    counted: Mapped[list[list[str]]] = mapped_column(JSONB, server_default="[]")
    channel: Mapped[str | None]
    location_id: Mapped[Id | None]
    staff_id: Mapped[Id | None]
    granted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    refunded_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[CreatedAt]


class Ticket(Base):
    """Who comes to an event: personal data, in a table that erasure empties."""

    __tablename__ = "tickets"

    redemption_id: Mapped[Id] = mapped_column(ForeignKey("redemptions.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    holder_name: Mapped[str]


class PoolCode(Base):
    """A code of another shop's till, uploaded by the operator: free until a redemption takes it, and never twice."""

    __tablename__ = "reward_codes"
    __table_args__ = (
        UniqueConstraint("reward_id", "code"),
        Index("ix_reward_codes_free", "reward_id", "seq", postgresql_where="redemption_id is null"),
        Index("ix_reward_codes_redemption_id", "redemption_id"),
    )

    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    reward_id: Mapped[Id] = mapped_column(ForeignKey("rewards.id"))
    code: Mapped[str]
    redemption_id: Mapped[Id | None] = mapped_column(ForeignKey("redemptions.id"))


class RedemptionCode(Base):
    """What a member shows at the till so that staff may redeem for them: one at a time, for minutes, used once."""

    __tablename__ = "redemption_codes"

    member_id: Mapped[Id] = mapped_column(ForeignKey("members.id"), primary_key=True)
    digest: Mapped[Bytes] = mapped_column(unique=True)
    expires_at: Mapped[Instant]


class CodeMisses(Base):
    """How often a key sent a code that was none, since `since`."""

    __tablename__ = "redemption_code_misses"

    key_id: Mapped[IdKey]
    since: Mapped[Instant]
    misses: Mapped[int]


class DrawEntry(Base):
    """Entries of a draw that a redemption bought; the draw reads them."""

    __tablename__ = "draw_entries"
    __table_args__ = (Index("ix_draw_entries_draw", "draw", "redemption_id"),)

    redemption_id: Mapped[Id] = mapped_column(ForeignKey("redemptions.id"), primary_key=True)
    draw: Mapped[str]
    member_id: Mapped[Id] = mapped_column(ForeignKey("members.id"))
    entries: Mapped[int]
    created_at: Mapped[CreatedAt]
