"""Seeing milestones and crediting what they earn. The crediting counts each once; seeing one again costs nothing."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from mereau.core.db import WriteSession
from mereau.earning.crediting.service import award
from mereau.earning.evaluation.facts.domain import MemberFacts, Occasion
from mereau.earning.milestones import queries
from mereau.earning.milestones.domain import (
    FOLLOWED,
    Milestone,
    celebrated_on,
    day_start,
    joining_days,
    milestone_of,
    months_between,
)
from mereau.earning.rules.service import active_rules
from mereau.earning.terms import service as terms
from mereau.members import queries as members
from mereau.members.profile import service as profiles
from mereau.outbox.models import OutboxEvent
from mereau.programs import service as programs

__all__ = ["follow", "pass_daily"]


async def follow(session: WriteSession, trigger: str, events: Sequence[OutboxEvent], now: datetime) -> None:
    """Credit what events of this trigger earn; nothing is asked where no rule is active for it."""
    mine = [event for event in events if trigger in FOLLOWED.get(event.type, ())]
    if not mine or not await active_rules(session, trigger):
        return
    if trigger == "profile_completed":
        told = {event.subject_id: event.created_at for event in mine}
        complete = await profiles.complete_members(session, sorted(told))
        seen = [Milestone(member_id, member_id, told[member_id]) for member_id in sorted(complete)]
    elif trigger == "first_purchase":
        seen = await queries.first_purchases(session, [event.subject_id for event in mine])
    else:
        found = (milestone_of(trigger, event.subject_id, event.payload, event.created_at) for event in mine)
        seen = [milestone for milestone in found if milestone is not None]
    await _credit(session, trigger, seen, now)


async def pass_daily(
    session: WriteSession, trigger: str, day: date, place: str, limit: int, now: datetime
) -> tuple[int, str | None]:
    """Credit the milestones of members by id after `place`, on a day of the programme.

    How many were seen, and the place of the next chunk, None after the last.
    """
    if not await active_rules(session, trigger):
        return 0, None
    seen = await _seen_on(session, trigger, day, place, limit)
    await _credit(session, trigger, seen, now)
    return len(seen), seen[-1].member_id if len(seen) == limit else None


async def _seen_on(session: WriteSession, trigger: str, day: date, place: str, limit: int) -> list[Milestone]:
    time_zone = (await programs.current(session)).time_zone
    zone = ZoneInfo(time_zone)
    at = day_start(day, zone)
    if trigger == "birthday":
        born = await queries.born_on(session, celebrated_on(day), place, limit)
        return [Milestone(member_id, f"birthday_{day.year}", at) for member_id in born]
    if trigger == "tenure":
        joined = await queries.joined_on(session, joining_days(day), day, time_zone, place, limit)
        months = [(member_id, months_between(since, day)) for member_id, since in joined]
        return [Milestone(member_id, f"tenure_{n}", at, attributes={"months": n}) for member_id, n in months]
    after_days = (await terms.current(session)).win_back_after_days
    last = day - timedelta(days=after_days)
    lapsed = await queries.bought_last(
        session, day_start(last, zone), day_start(last + timedelta(days=1), zone), place, limit
    )
    return [Milestone(member_id, sale_id, at, attributes={"days": after_days}) for member_id, sale_id in lapsed]


async def _credit(session: WriteSession, trigger: str, seen: Sequence[Milestone], now: datetime) -> None:
    known = await members.active_members(session, sorted({milestone.member_id for milestone in seen}), [])
    occasions = [
        Occasion(
            trigger=trigger,
            occurred_at=milestone.occurred_at,
            member=MemberFacts(milestone.member_id),
            source_id=milestone.source_id,
            source_reference=milestone.source_id,
            partner_id=milestone.partner_id,
            location_id=milestone.location_id,
            channel=milestone.channel,
            attributes=milestone.attributes,
        )
        for milestone in seen
        if milestone.member_id in known.ids
    ]
    await award(session, occasions, now)
