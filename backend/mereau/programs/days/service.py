"""Keeps the book of daily runs: what of a day is done, and what is next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from mereau.core.db import ReadSession, WriteSession
from mereau.programs import service as programs
from mereau.programs.calendar.domain import day_of
from mereau.programs.days import repository
from mereau.programs.days.domain import StepState, next_step
from mereau.programs.days.models import DailyRun
from mereau.programs.days.repository import last_finished_at

__all__ = ["Turn", "last_finished_at", "list_days", "next_turn", "note_done", "note_failure"]


@dataclass(frozen=True, slots=True)
class Turn:
    """The step whose turn it is, and the day for which."""

    day: date
    step: str


async def next_turn(session: WriteSession, names: Sequence[str], now: datetime) -> Turn | None:
    """What of today, by the programme's calendar, is to be done now; None when all is done.

    Begins the day with its first call. A day that ended unfinished is left as it was: today's steps do what it
    did not. A step that a later version adds has its turn on the same day.
    """
    day = day_of(now, ZoneInfo((await programs.current(session)).time_zone))
    run = await repository.find_day(session, day)
    if run is None:
        await repository.open_day(session, day, now)
    step = next_step(names, {} if run is None else states_of(run))
    return None if step is None else Turn(day, step)


async def note_done(
    session: WriteSession, names: Sequence[str], turn: Turn, changed: int, *, is_finished: bool, now: datetime
) -> None:
    """Write down one piece of a step's work, and whether it was the last; locks the day."""
    run = await repository.lock_day(session, turn.day)
    states = states_of(run)
    states[turn.step] = states.get(turn.step, StepState()).moved(changed, now if is_finished else None)
    run.steps = {name: state.to_dict() for name, state in states.items()}
    if is_finished and run.failed_step == turn.step:
        run.failed_step = run.failed_reason = None
    run.finished_at = now if next_step(names, states) is None else None
    await session.flush()


async def note_failure(session: WriteSession, turn: Turn, reason: str) -> None:
    """Write down that a step failed; it keeps its turn. `reason` names no person. Locks the day."""
    run = await repository.lock_day(session, turn.day)
    run.failures += 1
    run.failed_step, run.failed_reason = turn.step, reason
    await session.flush()


async def list_days(session: ReadSession, before: date | None, limit: int) -> Sequence[DailyRun]:
    """Daily runs from before a day (None: all), the newest first."""
    return await repository.days_before(session, before, limit)


def states_of(run: DailyRun) -> dict[str, StepState]:
    """Step name -> how far it is."""
    return {name: StepState.of(stored) for name, stored in run.steps.items()}
