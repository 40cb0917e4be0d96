"""The daily run of each day."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Date, DateTime
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import Instant, Json
from mereau.core.db import Base


class DailyRun(Base):
    """One row per day, by the programme's calendar. `steps` holds, by its name, what each step has done so far.

    A step there: {"changed": integer, "finished_at": RFC 3339 or null}. `failed_reason` is that of the newest
    failure and stays until the step that failed is finished.
    """

    __tablename__ = "daily_runs"
    __table_args__ = (CheckConstraint("failures >= 0", name="failures"),)

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    steps: Mapped[Json]
    failures: Mapped[int]
    failed_step: Mapped[str | None]
    failed_reason: Mapped[str | None]
    started_at: Mapped[Instant]
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
