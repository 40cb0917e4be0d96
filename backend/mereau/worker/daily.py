"""The daily order: activate what is pending, automatic rewards, tiers, expire, tiers again (see docs/architecture.md).

Expiry takes what is left after everybody could rise and be rewarded; who falls by it falls on the same day.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import transaction
from mereau.core.errors import MereauError
from mereau.programs.days import service as days
from mereau.programs.days.service import Turn

RETRY_AFTER: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Step:
    """One duty of the day, in transactions of its own. It may run again after a crash, and must then do no harm.

    `run` returns how many things it changed. One that works `in_pieces` is called again until it returns 0, and
    other jobs have their turn in between.
    """

    name: str
    run: Callable[[AsyncEngine, datetime], Awaitable[int]]
    in_pieces: bool = False


class DailyOrder:
    """Runs each step once on every day of the programme, in their order; what stopped half way goes on there."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = {step.name: step for step in steps}
        self._not_before: datetime | None = None

    async def run(self, engine: AsyncEngine, now: datetime) -> int:
        """Do what is left of today, up to the end of a piece; how many things changed.

        A step that fails keeps those after it waiting, is noted with its reason, and raises; it has its next try
        after `RETRY_AFTER`.
        """
        if self._not_before is not None and now < self._not_before:
            return 0
        total = 0
        while (turn := await self._next(engine, now)) is not None:
            step = self._steps[turn.step]
            changed = await self._do(engine, turn, step, now)
            total += changed
            if step.in_pieces and changed:
                break
        return total

    async def _next(self, engine: AsyncEngine, now: datetime) -> Turn | None:
        async with transaction(engine) as session:
            return await days.next_turn(session, list(self._steps), now)

    async def _do(self, engine: AsyncEngine, turn: Turn, step: Step, now: datetime) -> int:
        try:
            changed = await step.run(engine, now)
        except (MereauError, DBAPIError) as error:
            self._not_before = now + RETRY_AFTER
            # The text of a database's error may quote a row; its name does not.
            reason = error.detail if isinstance(error, MereauError) else type(error).__name__
            async with transaction(engine) as session:
                await days.note_failure(session, turn, reason)
            raise
        is_finished = not (step.in_pieces and changed)
        async with transaction(engine) as session:
            await days.note_done(session, list(self._steps), turn, changed, is_finished=is_finished, now=now)
        return changed
