"""Periodic jobs: each has a period and runs in transactions of its own, on one process at a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.activity import JOBS_LOCK
from mereau.core.clock import Clock
from mereau.core.errors import MereauError
from mereau.worker.queries import leadership

_TICK_S: Final = 0.5
_PAUSE_S: Final = 2.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Job:
    """One duty. `run` gets the instant of the round and returns how many things it changed."""

    name: str
    period_s: float
    run: Callable[[AsyncEngine, datetime], Awaitable[int]]


class JobRunner:
    """Runs due jobs in their order while this process leads; stands by otherwise."""

    def __init__(self, engine: AsyncEngine, clock: Clock, jobs: Sequence[Job]) -> None:
        self._engine = engine
        self._clock = clock
        self._jobs = jobs
        self._due_s = {job.name: 0.0 for job in jobs}

    async def step(self) -> dict[str, int]:
        """One round: what each due job changed. A job that fails is logged and waits for its next turn."""
        changed = {}
        for job in self._jobs:
            if time.monotonic() < self._due_s[job.name]:
                continue
            self._due_s[job.name] = time.monotonic() + job.period_s
            try:
                changed[job.name] = await job.run(self._engine, self._clock.now())
            except (MereauError, DBAPIError):
                log.exception("job_failed", job=job.name)
                continue
            if changed[job.name]:
                log.info("job_done", job=job.name, changed=changed[job.name])
        return changed

    async def run(self, stop: asyncio.Event) -> None:
        """Lead or stand by until `stop` is set; a lost database is waited for."""
        while not stop.is_set():
            try:
                async with leadership(self._engine, JOBS_LOCK) as lead:
                    while not stop.is_set():
                        if await lead.held():
                            await self.step()
                        await _pause(stop, _TICK_S)
            except (DBAPIError, OSError) as error:
                log.warning("jobs_interrupted", reason=str(error))
                await _pause(stop, _PAUSE_S)


async def _pause(stop: asyncio.Event, pause_s: float) -> None:
    """Sleep, unless told to stop."""
    try:
        await asyncio.wait_for(stop.wait(), pause_s)
    except TimeoutError:
        return
