"""The mirror's own alarms: written when they change, not on every step."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.chain.alarms import HEAD_AGE, NODE, SECOND_NODE, UNBOUND_HASHES, set_alarm
from mereau.core.clock import Clock
from mereau.core.db import transaction

_NAMES: Final = (HEAD_AGE, NODE, SECOND_NODE, UNBOUND_HASHES)


class MirrorAlarms:
    """What this mirror found, beside what stands in the table. The first `tell` clears a predecessor's alarms."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._told: dict[str, str | None] | None = None

    async def tell(self, **found: str | None) -> None:
        """Let each named alarm stand with its detail, or clear it with None; those not named stay as they are."""
        before = self._told
        now = {**(before or dict.fromkeys(_NAMES)), **found}
        changed = {name: detail for name, detail in now.items() if before is None or before[name] != detail}
        if changed:
            async with transaction(self._engine, "alarm") as session:
                for name, detail in changed.items():
                    await set_alarm(session, name, detail, self._clock.now())
            self._told = now
