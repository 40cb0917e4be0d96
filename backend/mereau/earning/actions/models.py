"""Actions of members, and the schemas of those that the programme named itself."""

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import Bytes, CreatedAt, Id, IdKey, Instant, Json, Tokens
from mereau.core.db import Base


class EventSchema(Base):
    """One version of what a custom event says; the newest version judges what comes in."""

    __tablename__ = "event_schemas"
    __table_args__ = (UniqueConstraint("name", "version"),)

    id: Mapped[IdKey]
    name: Mapped[str]
    version: Mapped[int]
    fields: Mapped[list[dict[str, object]]] = mapped_column(JSONB)
    created_at: Mapped[CreatedAt]


class Action(Base):
    """One thing that a member did. `(source, external_id)` is the reference that makes it count once, for ever.

    `source` is the partner's id, or `operator`.
    """

    __tablename__ = "actions"
    __table_args__ = (
        UniqueConstraint("source", "external_id"),
        Index("ix_actions_member_id_id", "member_id", "id"),
    )

    id: Mapped[IdKey]
    member_id: Mapped[Id] = mapped_column(ForeignKey("members.id"))
    partner_id: Mapped[Id | None] = mapped_column(ForeignKey("partners.id"))
    source: Mapped[str]
    external_id: Mapped[str]
    type: Mapped[str]
    schema_version: Mapped[int | None]
    occurred_at: Mapped[Instant]
    attributes: Mapped[Json]
    inputs_digest: Mapped[Bytes]
    tokens: Mapped[Tokens]
    created_at: Mapped[CreatedAt]
