"""Daily runs on the wire."""

from datetime import date, datetime

from pydantic import Field

from mereau.core.schemas import Resource
from mereau.programs.days.models import DailyRun
from mereau.programs.days.service import states_of


class DailyStepOut(Resource):
    """One step; `changed` counts what it did, in its own unit."""

    name: str
    changed: int
    finished_at: datetime | None


class DailyRunOut(Resource):
    """What was done on one day of the programme, in this order."""

    day: date = Field(description="By the programme's time zone.")
    steps: list[DailyStepOut]
    failures: int = Field(description="How often a step failed and was tried again.")
    failed_step: str | None = Field(description="The step that fails at present, or failed when the day ended.")
    failed_reason: str | None
    started_at: datetime
    finished_at: datetime | None


def show_daily_run(run: DailyRun) -> DailyRunOut:
    steps = [
        DailyStepOut(name=name, changed=state.changed, finished_at=state.finished_at)
        for name, state in states_of(run).items()
    ]
    return DailyRunOut(
        day=run.day,
        # JSONB keeps no order of keys. What is not finished yet stands last.
        steps=sorted(steps, key=lambda step: (step.finished_at is None, step.finished_at, step.name)),
        failures=run.failures,
        failed_step=run.failed_step,
        failed_reason=run.failed_reason,
        started_at=run.started_at,
        finished_at=run.finished_at,
    )
