"""Guesses of one account or address within a window of time."""

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import Instant
from mereau.core.db import Base


class Attempts(Base):
    """`count` of `subject` since `window_start`; a new window starts at 0."""

    __tablename__ = "attempts"
    __table_args__ = (Index("ix_attempts_window_start", "window_start"),)

    subject: Mapped[str] = mapped_column(Text, primary_key=True)
    window_start: Mapped[Instant]
    count: Mapped[int]
