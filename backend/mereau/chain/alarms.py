"""Standing alarms of the chain side: what an operator must look at while the parts go on working.

Relayer and mirror set and clear them; /chain/status, `mereau status` and /readyz show them. A frozen mirror is
no alarm of this table but a state of the mirror itself, which stops redemptions.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from mereau.chain.models import ChainAlarm
from mereau.core.db import WriteSession

HEAD_AGE: Final = "head_age"
"""The head block is older than the operator allows."""
NODE: Final = "node"
"""The node contradicts itself or the stored chain, so that nothing is taken from it."""
SECOND_NODE: Final = "second_node"
"""The second node disagrees, is behind or does not answer."""
UNBOUND_HASHES: Final = "unbound_hashes"
"""The chain has transactions of a type of its own, so that their hashes are the node's word; nothing else is."""

# A mirror that can take nothing from its node is stale soon enough, and says so by its age.
_UNREADY: Final = frozenset({HEAD_AGE})


@dataclass(frozen=True, slots=True)
class Alarm:
    """`name` says what kind it is, `detail` what was found, `since` when it began."""

    name: str
    detail: str
    since: datetime

    @property
    def makes_unready(self) -> bool:
        """Whether balances may be old because of it; every other alarm only wants somebody to look."""
        return self.name in _UNREADY


async def set_alarm(session: WriteSession, name: str, detail: str | None, now: datetime) -> None:
    """Let the alarm `name` stand with `detail`, or clear it with None. `since` stays while it stands."""
    if detail is None:
        await session.execute(delete(ChainAlarm).where(ChainAlarm.name == name))
        return
    row = insert(ChainAlarm).values(name=name, detail=detail, since=now)
    await session.execute(
        row.on_conflict_do_update(
            index_elements=[ChainAlarm.name],
            set_={"detail": row.excluded.detail},
            where=ChainAlarm.detail != row.excluded.detail,
        )
    )


async def alarms(session: AsyncSession) -> list[Alarm]:
    """Every standing alarm, by name."""
    rows = await session.scalars(select(ChainAlarm).order_by(ChainAlarm.name))
    return [Alarm(row.name, row.detail, row.since) for row in rows]
