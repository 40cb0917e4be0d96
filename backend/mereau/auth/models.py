"""API keys (hashes only) and idempotency keys."""

from datetime import datetime

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, LargeBinary, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import Bytes, CreatedAt, Id, IdKey
from mereau.core.db import Base


class ApiKey(Base):
    """A credential. The key itself is shown once; here stands its SHA-256 (128 bits of entropy and more)."""

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint("role in ('operator', 'partner', 'staff', 'member', 'auditor')", name="role"),
        Index("ix_api_keys_digest", "digest", unique=True),
    )

    id: Mapped[IdKey]
    role: Mapped[str]
    partner_id: Mapped[Id | None]
    staff_id: Mapped[Id | None]
    member_id: Mapped[Id | None]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    name: Mapped[str]
    hint: Mapped[str]
    digest: Mapped[Bytes]
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[CreatedAt]


class IdempotencyKey(Base):
    """What a write answered, so that its repetition answers the same. Scoped to the API key that asked."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_created_at", "created_at"),)

    api_key_id: Mapped[Id] = mapped_column(ForeignKey("api_keys.id"), primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    request_digest: Mapped[Bytes]
    status: Mapped[int | None]
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[CreatedAt]
