"""SQL of adjustments and of what they count."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy import ColumnElement, Select, select, text, true

from mereau.auth.domain import Reach
from mereau.core.db import ReadSession, WriteSession
from mereau.ledger.adjustments.models import Adjustment

_OPEN: Final = text("""
    insert into adjustment_counters (subject_id, day, tokens)
    select subject_id, :day, 0 from unnest(cast(:ids as text[])) as wanted (subject_id) order by subject_id
    on conflict do nothing
""")
_LOCK: Final = text("""
    select subject_id, tokens from adjustment_counters
    where day = :day and subject_id = any(cast(:ids as text[])) order by subject_id for update
""")
_COUNT: Final = text("""
    update adjustment_counters set tokens = tokens + :tokens
    where day = :day and subject_id = any(cast(:ids as text[]))
""")


@dataclass(frozen=True, slots=True)
class Sought:
    """Which adjustments a list shows; None is any. `state` is as it shows at `now`."""

    now: datetime
    state: str | None = None
    member_id: str | None = None


async def lock_counters(session: WriteSession, day: date, subject_ids: Iterable[str]) -> dict[str, int]:
    """Subject -> tokens of the day, opened at zero and locked in the order of the ids until the transaction ends."""
    values = {"day": day, "ids": sorted(subject_ids)}
    await session.execute(_OPEN, values)
    return {row.subject_id: row.tokens for row in await session.execute(_LOCK, values)}


async def count(session: WriteSession, day: date, subject_ids: Iterable[str], tokens: int) -> None:
    """Add to counters that the caller has locked."""
    await session.execute(_COUNT, {"day": day, "ids": list(subject_ids), "tokens": tokens})


async def add(session: WriteSession, adjustment: Adjustment) -> None:
    session.add(adjustment)
    await session.flush()


async def lock(session: WriteSession, adjustment_id: str, reach: Reach) -> Adjustment | None:
    """An adjustment that the caller may see, locked: of two who decide, the second waits and reads it anew."""
    query = _seen_by(reach).where(Adjustment.id == adjustment_id).with_for_update()
    return await session.scalar(query.execution_options(populate_existing=True))


async def page(
    session: ReadSession, reach: Reach, sought: Sought, after: str | None, limit: int
) -> Sequence[Adjustment]:
    """The newest first, from below the id `after`."""
    query = _seen_by(reach).where(_in_state(sought)).order_by(Adjustment.id.desc()).limit(limit)
    if sought.member_id is not None:
        query = query.where(Adjustment.member_id == sought.member_id)
    if after is not None:
        query = query.where(Adjustment.id < after)
    return (await session.scalars(query)).all()


def _seen_by(reach: Reach) -> Select[Adjustment]:
    mine = true() if reach.partner_id is None else Adjustment.partner_id == reach.partner_id
    return select(Adjustment).where(mine)


def _in_state(sought: Sought) -> ColumnElement[bool]:
    waits = Adjustment.state == "pending_approval"
    if sought.state is None:
        return true()
    if sought.state == "expired":
        return waits & (Adjustment.expires_at <= sought.now)
    if sought.state == "pending_approval":
        return waits & (Adjustment.expires_at > sought.now)
    return Adjustment.state == sought.state
