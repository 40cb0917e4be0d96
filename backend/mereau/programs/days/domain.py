"""How far the day's steps are. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self


@dataclass(frozen=True, slots=True)
class StepState:
    """What a step changed so far, in whatever things it counts, and when it was finished."""

    changed: int = 0
    finished_at: datetime | None = None

    def moved(self, changed: int, finished_at: datetime | None) -> "StepState":
        """The state after one more piece of the step's work."""
        return StepState(self.changed + changed, finished_at)

    def to_dict(self) -> dict[str, object]:
        """The stored form."""
        at = self.finished_at
        return {"changed": self.changed, "finished_at": None if at is None else at.isoformat()}

    @classmethod
    def of(cls, stored: object) -> Self:
        """The state that `to_dict` stored; where nothing was, that of a step that has not begun."""
        if not isinstance(stored, Mapping):
            return cls()
        at = stored["finished_at"]
        return cls(stored["changed"], None if at is None else datetime.fromisoformat(at))


def next_step(names: Sequence[str], states: Mapping[str, StepState]) -> str | None:
    """The first of the steps, in their order, that is not finished; None when all are."""
    return next((name for name in names if states.get(name, StepState()).finished_at is None), None)
