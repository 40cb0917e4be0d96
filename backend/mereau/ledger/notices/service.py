"""Announcing expiries: once for a member, a day and each of the programme's notices."""

from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from mereau.core.db import WriteSession
from mereau.ledger import events
from mereau.ledger.notices import repository
from mereau.ledger.notices.repository import Reach
from mereau.outbox import service as outbox
from mereau.programs import service as programs
from mereau.programs.calendar.domain import day_of, midnight

Place = tuple[date, str]
"""Where a walk stands: the day of expiry and the member seen last."""

START: Final[Place] = (date.min, "")


async def announce(session: WriteSession, after: Place, limit: int, now: datetime) -> tuple[int, Place | None]:
    """Tell the outbox of up to `limit` members and days behind a place: how many, and where to go on (None: the end).

    Of several notices that are due at once, the nearest to the day is given and the others are not. Days are
    those of the programme's zone. What is earned after a notice for the same day has none of its own.
    """
    program = await programs.current(session)
    if not program.notice_days:
        return 0, None
    tz = ZoneInfo(program.time_zone)
    today = day_of(now, tz)
    reach = Reach(
        zone=program.time_zone,
        today=today,
        notice_days=program.notice_days,
        from_at=now if after == START else midnight(after[0], tz),
        until_at=midnight(today + timedelta(days=max(program.notice_days) + 1), tz),
    )
    found = await repository.note(session, reach, after, limit, now)
    told = [
        events.expiring(item.member_id, item.tokens, item.expires_on, item.notice_days)
        for item in found
        if item.notice_days is not None
    ]
    await outbox.publish(session, told, now)
    return len(told), (found[-1].expires_on, found[-1].member_id) if len(found) == limit else None
