"""Domain events, durable before anybody hears of them."""

from sqlalchemy import BigInteger, Identity
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import CreatedAt, Id, IdKey, Json
from mereau.core.db import Base


class OutboxEvent(Base):
    """One event. `seq` orders them; readers keep their own place in `outbox_cursors`."""

    __tablename__ = "outbox_events"

    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    id: Mapped[Id] = mapped_column(unique=True)
    type: Mapped[str]
    subject_id: Mapped[Id]
    payload: Mapped[Json]
    created_at: Mapped[CreatedAt]


class OutboxCursor(Base):
    """How far a consumer has read."""

    __tablename__ = "outbox_cursors"

    consumer: Mapped[IdKey]
    seq: Mapped[int] = mapped_column(BigInteger)
