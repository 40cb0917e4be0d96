"""SQL of occasions that were judged."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text

from mereau.core.db import WriteSession

Claim = tuple[str, str, str]
"""Trigger, source id, member id."""

# In the order of the primary key, so that two calls with common occasions wait instead of deadlocking. The conflict
# clause waits for a running twin: what is not returned was judged by it.
_CLAIM = text("""
    insert into earning_occasions (trigger, source_id, member_id, occurred_at, created_at)
    select trigger, source_id, member_id, occurred_at, :now
    from unnest(cast(:triggers as text[]), cast(:source_ids as text[]), cast(:member_ids as text[]),
                cast(:occurred as timestamptz[])) as occasion (trigger, source_id, member_id, occurred_at)
    order by 1, 2, 3
    on conflict do nothing
    returning trigger, source_id, member_id
""")


async def claim(session: WriteSession, claims: Sequence[tuple[Claim, datetime]], now: datetime) -> set[Claim]:
    """Note occasions as judged, each with when it occurred; those that were not before."""
    rows = await session.execute(
        _CLAIM,
        {
            "triggers": [claim[0] for claim, _ in claims],
            "source_ids": [claim[1] for claim, _ in claims],
            "member_ids": [claim[2] for claim, _ in claims],
            "occurred": [at for _, at in claims],
            "now": now,
        },
    )
    return {(trigger, source_id, member_id) for trigger, source_id, member_id in rows}
