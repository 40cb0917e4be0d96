"""SQL of attempts: counting is one conditional statement, so that guesses side by side cannot outrun it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import text

from mereau.core.db import WriteSession

# In the order of the key, so that two callers with common subjects wait instead of deadlocking.
_TAKE = text("""
    insert into attempts as known (subject, window_start, count)
    select subject, :now, 1 from unnest(cast(:subjects as text[])) as asked (subject) order by subject
    on conflict (subject) do update
    set window_start = case when known.window_start <= :since then excluded.window_start else known.window_start end,
        count = case when known.window_start <= :since then 1 else least(known.count + 1, 1000000) end
    returning subject, window_start, count
""")

_GIVE_BACK = text("""
    update attempts set count = count - 1
    where count > 0 and subject in (
        select subject from attempts where subject = any(cast(:subjects as text[])) order by subject for update
    )
""")

_FORGET = text("""
    delete from attempts where subject in (
        select subject from attempts where window_start < :before order by subject limit :limit for update skip locked
    )
    returning 1
""")


async def take(
    session: WriteSession, subjects: Sequence[str], now: datetime, since: datetime
) -> Mapping[str, tuple[datetime, int]]:
    """Count one more for each; subject -> start of its window and count. Windows that began by `since` are over."""
    rows = await session.execute(_TAKE, {"subjects": list(subjects), "now": now, "since": since})
    return {subject: (start, count) for subject, start, count in rows}


async def give_back(session: WriteSession, subjects: Sequence[str]) -> None:
    await session.execute(_GIVE_BACK, {"subjects": list(subjects)})


async def forget_before(session: WriteSession, before: datetime, limit: int) -> int:
    """Delete at most `limit` windows that began before; how many."""
    return len((await session.execute(_FORGET, {"before": before, "limit": limit})).all())
