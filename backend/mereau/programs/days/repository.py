"""SQL of daily runs."""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from mereau.core.db import ReadSession, WriteSession
from mereau.programs.days.models import DailyRun


async def open_day(session: WriteSession, day: date, now: datetime) -> None:
    """Begin a day; nothing happens where it has begun."""
    row = {"day": day, "steps": {}, "failures": 0, "started_at": now}
    await session.execute(insert(DailyRun).values(row).on_conflict_do_nothing())


async def lock_day(session: WriteSession, day: date) -> DailyRun:
    """The run of a day that has begun, locked until the transaction ends."""
    query = select(DailyRun).where(DailyRun.day == day).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).one()


async def find_day(session: ReadSession | WriteSession, day: date) -> DailyRun | None:
    return await session.scalar(select(DailyRun).where(DailyRun.day == day))


async def days_before(session: ReadSession, before: date | None, limit: int) -> Sequence[DailyRun]:
    """The newest first."""
    query = select(DailyRun).order_by(DailyRun.day.desc()).limit(limit)
    if before is not None:
        query = query.where(DailyRun.day < before)
    return (await session.scalars(query)).all()


async def last_finished_at(session: ReadSession) -> datetime | None:
    query = select(DailyRun.finished_at).where(DailyRun.finished_at.is_not(None)).order_by(DailyRun.day.desc()).limit(1)
    return await session.scalar(query)
