"""SQL of notices: what will expire is found and noted in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy import text

from mereau.core.db import WriteSession

_NOTE: Final = text("""
    with days as (
        select member_id, (expires_at at time zone :zone)::date as expires_on, remaining
        from lots
        where remaining > 0 and state = 'active' and expires_at > :now
          and expires_at >= :from_at and expires_at < :until_at
    ), due as (
        select member_id, expires_on, sum(remaining)::bigint as tokens
        from days
        where (expires_on, member_id) > (cast(:after_on as date), :after_id)
        group by expires_on, member_id
        order by expires_on, member_id
        limit :limit
    ), noted as (
        insert into lot_notices (member_id, expires_on, notice_days, tokens, created_at)
        select member_id, expires_on, (
            select min(n) from unnest(cast(:notice_days as integer[])) as n
            where due.expires_on <= cast(:today as date) + n
        ), tokens, :now
        from due
        on conflict do nothing
        returning member_id, expires_on, notice_days, tokens
    )
    select due.member_id, due.expires_on, due.tokens, noted.notice_days
    from due left join noted using (member_id, expires_on)
    order by due.expires_on, due.member_id
""")


@dataclass(frozen=True, slots=True)
class Expiring:
    """What a member loses on a day; `notice_days` is None where that was announced before."""

    member_id: str
    expires_on: date
    tokens: int
    notice_days: int | None


@dataclass(frozen=True, slots=True)
class Reach:
    """Which days are looked at: those of lots that expire from `from_at` until before `until_at`."""

    zone: str
    today: date
    notice_days: Sequence[int]
    from_at: datetime
    until_at: datetime


async def note(
    session: WriteSession, reach: Reach, after: tuple[date, str], limit: int, now: datetime
) -> list[Expiring]:
    """The next members and days from behind that place, in their order, noted where they were not."""
    values = {
        "zone": reach.zone,
        "today": reach.today,
        "notice_days": list(reach.notice_days),
        "from_at": reach.from_at,
        "until_at": reach.until_at,
        "after_on": after[0],
        "after_id": after[1],
        "limit": limit,
        "now": now,
    }
    return [Expiring(*row) for row in await session.execute(_NOTE, values)]
