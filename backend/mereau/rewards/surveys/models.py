"""What members say of what was delivered."""

from datetime import datetime

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import Id, IdKey, Instant
from mereau.core.db import Base


class Survey(Base):
    """One question for each delivery, answered once. Its code is derived; only the SHA-256 of it stands here."""

    __tablename__ = "surveys"
    __table_args__ = (
        CheckConstraint("score between 0 and 10", name="score"),
        CheckConstraint("(answered_at is null) = (score is null)", name="answered"),
        Index("ix_surveys_code_digest", "code_digest", unique=True),
        Index("ix_surveys_asked_at", "asked_at"),
    )

    id: Mapped[IdKey]
    delivery_id: Mapped[Id] = mapped_column(ForeignKey("deliveries.id"), unique=True)
    member_id: Mapped[Id] = mapped_column(ForeignKey("members.id"))
    partner_id: Mapped[Id] = mapped_column(ForeignKey("partners.id"))
    code_digest: Mapped[bytes] = mapped_column(LargeBinary)
    asked_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    score: Mapped[int | None]
    comment: Mapped[str | None]
    answered_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
