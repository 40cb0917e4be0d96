"""Judges members and writes what changes: standings, history, events. A constant number of statements per chunk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import orjson

from mereau.core.db import ReadSession, WriteSession
from mereau.outbox import service as outbox
from mereau.programs import service as programs
from mereau.programs.calendar.domain import day_of
from mereau.tiers import queries, repository
from mereau.tiers.domain import (
    NO_TIER,
    Held,
    Ladder,
    Measure,
    direction_between,
    judge,
    ladder_of,
    measure,
    running_grace,
)
from mereau.tiers.errors import NoTiersError
from mereau.tiers.events import Change, changed
from mereau.tiers.queries import Reading
from mereau.tiers.repository import StandingSaved


@dataclass(frozen=True, slots=True)
class Force:
    """The set in force, as whoever judges needs it; `ids` are those of its tiers, the lowest first."""

    version: int
    activated_on: date
    by: Measure
    ids: tuple[str, ...]
    zone: ZoneInfo

    def tier_id(self, rank: int) -> str | None:
        return self.ids[rank - 1] if rank else None


async def find_force(session: ReadSession | WriteSession, now: datetime) -> Force | None:
    """What is in force, with its window at this instant; None before the first activation."""
    row = await repository.set_of(session, "active")
    if row is None or row.activated_at is None:
        return None
    tiers = await repository.tiers_in_force(session)
    zone = ZoneInfo((await programs.current(session)).time_zone)
    by = measure(ladder_of(row.document), now, zone)
    ids = tuple(tier.id for tier in tiers)
    return Force(row.version, day_of(row.activated_at, zone), by, ids, zone)


async def force(session: ReadSession | WriteSession, now: datetime) -> Force:
    """As `find_force`. Raises NoTiersError where nothing is in force."""
    found = await find_force(session, now)
    if found is None:
        raise NoTiersError("No tiers are active yet.")
    return found


async def evaluate(
    session: WriteSession, member_ids: Sequence[str], causes: Mapping[str, str] | str, now: datetime
) -> int:
    """Judge these members by what is committed now; how many changed tier or regained it.

    `causes` says why each was looked at. Publishes `tier.changed` for each. Locks tiers in the whole database
    until the transaction ends, so that nobody is judged twice at once. Before the first activation, 0.
    """
    await repository.lock(session)
    there = await find_force(session, now)
    if there is None or not member_ids:
        return 0
    rows = await queries.movable(session, there.by, member_ids)
    standings: list[StandingSaved] = []
    changes: list[Change] = []
    for row in rows:
        standing, direction = _judged(row, there, now)
        if standing != _standing(row):
            standings.append(standing)
        if direction is not None:
            cause = causes if isinstance(causes, str) else causes[row.member_id]
            if row.assigned_by is not None:
                cause = "assignment_ended"
            figures = _figures(row, there)
            changes.append(Change(row.member_id, row.tier_id, standing.tier_id, direction, cause, figures))
    await repository.save(session, standings)
    await tell(session, changes, now)
    return len(changes)


async def tell(session: WriteSession, changes: Sequence[Change], now: datetime) -> None:
    """Append to the history and publish `tier.changed`."""
    if not changes:
        return
    rows = (
        (c.member_id, c.source, c.target, c.direction, c.cause, orjson.dumps(c.figures).decode(), c.actor, now)
        for c in changes
    )
    await repository.add_changes(session, rows)
    await outbox.publish(session, [changed(change) for change in changes], now)


def held_of(row: Reading, ladder: Ladder) -> Held:
    """What a row of `queries` holds; who holds a tier that is gone stands on the next that remains below it."""
    rank = row.tier_rank or NO_TIER
    if row.tier_status == "retired":
        rank = ladder.rank_of(row.tier_threshold or 0)
    return Held(rank, row.below_since, row.assigned_by is not None, row.assigned_until)


def _judged(row: Reading, there: Force, now: datetime) -> tuple[StandingSaved, str | None]:
    """The standing as it is to be, and what is to be told of it."""
    held = held_of(row, there.by.ladder)
    verdict = judge(held, row.earned, there.by.ladder.qualification, now)
    tier_id = there.tier_id(verdict.rank)
    moved = tier_id != row.tier_id
    direction: str | None = verdict.direction
    if direction is None and moved:
        direction = direction_between(row.tier_threshold or 0, there.by.ladder.threshold(verdict.rank))
    since = now if moved or row.since is None else row.since
    if _still_assigned(held, now):
        standing = StandingSaved(
            row.member_id, tier_id, since, None, row.assigned_by, row.assigned_until, row.assigned_reason
        )
    else:
        standing = StandingSaved(row.member_id, tier_id, since, verdict.below_since)
    return standing, direction


def _still_assigned(held: Held, now: datetime) -> bool:
    return held.assigned and (held.assigned_until is None or held.assigned_until > now)


def _standing(row: Reading) -> StandingSaved | None:
    if row.since is None:
        return None
    return StandingSaved(
        row.member_id, row.tier_id, row.since, row.below_since, row.assigned_by, row.assigned_until, row.assigned_reason
    )


def _figures(row: Reading, there: Force) -> dict[str, object]:
    rule = there.by.ladder.qualification
    return {"figure": int(row.figure), "earned_rank": row.earned, "basis": rule.basis, "set_version": there.version}


async def evaluate_due(session: WriteSession, now: datetime, limit: int) -> int:
    """Judge up to `limit` members whose grace or assignment is over; how many there were."""
    there = await find_force(session, now)
    if there is None:
        return 0
    below_before = now - running_grace(there.by.ladder.qualification)
    due = await repository.members_due(session, below_before, now, limit)
    await evaluate(session, due, "grace_over", now)
    return len(due)


async def walk(session: WriteSession, now: datetime, limit: int) -> int:
    """Judge the next `limit` members of today's pass; how many, 0 when it is finished.

    There is one pass a day, by the programme's calendar, and one for each set put in force. Each chunk is one
    transaction that also moves the pass on: killed anywhere, the next call goes on from there.
    """
    await repository.lock(session)
    there = await find_force(session, now)
    if there is None:
        return 0
    today = day_of(now, there.zone)
    place = await repository.last_pass(session, there.version)
    if place is None or (place.finished_at is not None and place.day < today):
        place = await repository.add_pass(session, today, there.version, now)
    if place.finished_at is not None:
        return 0
    ids = await repository.members_after(session, place.after_id, limit)
    cause = "activation" if place.day == there.activated_on else "daily"
    place.changed += await evaluate(session, ids, cause, now)
    place.evaluated += len(ids)
    if ids:
        place.after_id = ids[-1]
    else:
        place.finished_at = now
    await session.flush()
    return len(ids)
