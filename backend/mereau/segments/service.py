"""Segments by name, their filters and members, and bringing them up to date."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import ConflictError, FieldError, InvalidInputError, NotFoundError
from mereau.core.ids import new_id
from mereau.journal import service as journal
from mereau.members.queries import active_members
from mereau.outbox import service as outbox
from mereau.programs import service as programs
from mereau.programs.calendar.domain import period_start
from mereau.segments import events, repository
from mereau.segments.errors import WrongKindError
from mereau.segments.facts import repository as facts
from mereau.segments.filters.domain import Node, OneOf, parse_filter, questions
from mereau.segments.filters.queries import matching
from mereau.segments.models import Segment
from mereau.tiers import service as tiers

Session = ReadSession | WriteSession


@dataclass(frozen=True, slots=True)
class SegmentDraft:
    """A segment to be; without a filter it is a static list."""

    external_id: str
    name_fr: str
    name_en: str
    filter: dict[str, object] | None


@dataclass(frozen=True, slots=True)
class Due:
    """A segment that waits for its refresh; `needs_facts` where the facts are older than its wait."""

    segment_id: str
    needs_facts: bool


@dataclass(frozen=True, slots=True)
class Named:
    """Members by either number that a caller knows, under the pointer where they were named."""

    ids: Sequence[str]
    external_ids: Sequence[str]
    pointer: str


async def get(session: Session, segment_id: str) -> Segment:
    """The segment; NotFoundError where there is none."""
    return _there(await repository.find(session, segment_id))


async def get_by_external_id(session: Session, external_id: str) -> Segment:
    """The segment known under this number; NotFoundError where there is none."""
    return _there(await repository.by_external_id(session, external_id))


def _there(segment: Segment | None) -> Segment:
    if segment is None:
        raise NotFoundError("There is no such segment.")
    return segment


async def list_segments(session: Session, after_id: str | None, limit: int) -> Sequence[Segment]:
    """The oldest first, from behind that id."""
    return await repository.listed(session, after_id, limit)


async def segments_of(session: Session, member_id: str, after_id: str | None, limit: int) -> Sequence[Segment]:
    """Those that the member belongs to, the oldest first, from behind that id."""
    return await repository.segments_of(session, member_id, after_id, limit)


async def create(session: WriteSession, draft: SegmentDraft, now: datetime, *, actor: str) -> Segment:
    """Save a segment; one with a filter waits for its first refresh.

    InvalidInputError names what is wrong with the filter by pointer; ConflictError for a taken external id.
    """
    if draft.filter is not None:
        await _checked(session, draft.filter)
    if await repository.by_external_id(session, draft.external_id) is not None:
        raise ConflictError(f"There is already a segment {draft.external_id}.")
    segment = Segment(
        id=new_id("seg", now),
        external_id=draft.external_id,
        name_fr=draft.name_fr,
        name_en=draft.name_en,
        kind="static" if draft.filter is None else "dynamic",
        filter=draft.filter,
        member_count=0,
        entered_count=0,
        left_count=0,
        queued_at=None if draft.filter is None else now,
        created_at=now,
    )
    await repository.add(session, segment)
    detail = {"external_id": draft.external_id, "filter": draft.filter}
    await journal.record(session, at=now, actor=actor, action="segment.created", subject_id=segment.id, detail=detail)
    return segment


async def change(session: WriteSession, segment_id: str, draft: SegmentDraft, now: datetime, *, actor: str) -> Segment:
    """Give a segment other names or another filter, by which it is filled anew at its next refresh."""
    segment = _there(await repository.find(session, segment_id, for_update=True))
    if (draft.filter is None) != (segment.filter is None):
        raise WrongKindError("A static list stays one, and a filter can only become another filter.")
    if draft.external_id != segment.external_id:
        raise ConflictError("The external id of a segment stays as it is.")
    before = {"name_fr": segment.name_fr, "name_en": segment.name_en, "filter": segment.filter}
    segment.name_fr, segment.name_en = draft.name_fr, draft.name_en
    if draft.filter is not None and draft.filter != segment.filter:
        await _checked(session, draft.filter)
        segment.filter, segment.refreshed_at, segment.queued_at = draft.filter, None, now
    await session.flush()
    detail = {"before": before, "filter": draft.filter}
    await journal.record(session, at=now, actor=actor, action="segment.changed", subject_id=segment.id, detail=detail)
    return segment


async def drop(session: WriteSession, segment_id: str, now: datetime, *, actor: str) -> None:
    """Forget a segment and who belongs to it; the journal keeps what it was."""
    segment = _there(await repository.find(session, segment_id, for_update=True))
    detail = {"external_id": segment.external_id, "filter": segment.filter}
    await repository.drop(session, segment.id)
    await journal.record(session, at=now, actor=actor, action="segment.dropped", subject_id=segment.id, detail=detail)


async def _checked(session: Session, raw: object) -> Node:
    """The filter, once everything that it names exists."""
    node = parse_filter(raw)
    asked = [leaf for leaf in questions(node) if isinstance(leaf, OneOf)]
    lists = {name for leaf in asked if leaf.what == "static_list" for name in leaf.names}
    held = {name for leaf in asked if leaf.what == "tier" for name in leaf.names}
    unknown = lists - (await repository.static_lists(session, sorted(lists)) if lists else set())
    unknown |= held - {tier.external_id for tier in await tiers.tiers_in_force(session)} if held else set()
    if unknown:
        errors = [
            FieldError("/filter", "unknown", f"There is no tier or static list {name}.") for name in sorted(unknown)
        ]
        raise InvalidInputError("The filter names what does not exist.", errors=errors)
    return node


async def preview(session: Session, raw: object, now: datetime) -> int:
    """How many members a filter finds now; nothing is written. Facts are as of their last refresh."""
    node = await _checked(session, raw)
    return await repository.count(session, matching(node, now, await _zone(session)))


async def _zone(session: Session) -> ZoneInfo:
    return ZoneInfo((await programs.current(session)).time_zone)


async def queue_refresh(session: WriteSession, segment_id: str, now: datetime, *, actor: str) -> Segment:
    """Ask for a refresh; one that is waiting or under way is not asked for twice."""
    segment = _there(await repository.find(session, segment_id, for_update=True))
    if segment.kind == "static":
        raise WrongKindError("A static list is always up to date.")
    if segment.queued_at is None:
        segment.queued_at = now
        await session.flush()
        detail = {"external_id": segment.external_id}
        await journal.record(
            session, at=now, actor=actor, action="segment.refresh_queued", subject_id=segment.id, detail=detail
        )
    return segment


async def next_due(session: Session, now: datetime) -> Due | None:
    """The segment to refresh next: an operator asked, or the programme's day began."""
    found = await repository.next_due(session, period_start(now, "day", await _zone(session)))
    if found is None:
        return None
    segment_id, since = found
    as_of = await facts.as_of(session)
    return Due(segment_id, needs_facts=as_of is None or as_of < since)


async def start(session: WriteSession, segment_id: str, now: datetime) -> None:
    """Let everybody see that the refresh of a segment is under way."""
    await repository.start(session, segment_id, now)


async def facts_as_of(session: Session) -> datetime | None:
    """The instant that the facts describe; None before their first refresh."""
    return await facts.as_of(session)


async def refresh_facts(session: WriteSession, now: datetime) -> int:
    """Bring the facts of all members to `now`; how many changed. Waits for a refresh that runs."""
    await facts.lock(session)
    return await facts.refresh(session, now)


async def refresh(session: WriteSession, segment_id: str, now: datetime) -> int:
    """Let exactly those belong to a segment whom its filter finds now; how many entered or left.

    Publishes `segment.entered` and `segment.left`, or one `segment.filled` for the first refresh of a filter.
    Locks the segment.
    """
    segment = await repository.find(session, segment_id, for_update=True)
    if segment is None or segment.filter is None:
        return 0
    query = matching(parse_filter(segment.filter), now, await _zone(session))
    first = segment.refreshed_at is None
    done = await repository.apply(session, segment.id, query, now, tell=not first)
    segment.member_count, segment.refreshed_at = done.member_count, now
    segment.entered_count, segment.left_count = done.entered_count, done.left_count
    segment.queued_at = segment.started_at = None
    await session.flush()
    said = [*events.entered(segment.id, done.entered), *events.left(segment.id, done.left)]
    await outbox.publish(session, [events.filled(segment.id, done.member_count)] if first else said, now)
    return done.entered_count + done.left_count


async def change_list(
    session: WriteSession, segment_id: str, added: Named, removed: Named, now: datetime, *, actor: str
) -> Segment:
    """Add members to a static list and remove others; who is on both sides is removed.

    InvalidInputError names each whom nobody knows, and nothing is changed. Locks the segment.
    """
    segment = _there(await repository.find(session, segment_id, for_update=True))
    if segment.kind != "static":
        raise WrongKindError("Its members follow from its filter.")
    if not any((added.ids, added.external_ids, removed.ids, removed.external_ids)):
        error = FieldError(added.pointer, "empty", "Name somebody who joins or leaves.")
        raise InvalidInputError("Nobody is named.", errors=[error])
    coming, going = await _known(session, added, removed)
    left = await repository.remove_members(session, segment.id, going)
    entered = await repository.add_members(session, segment.id, [id_ for id_ in coming if id_ not in set(going)], now)
    segment.member_count += len(entered) - len(left)
    segment.entered_count, segment.left_count, segment.refreshed_at = len(entered), len(left), now
    await session.flush()
    await outbox.publish(session, [*events.entered(segment.id, entered), *events.left(segment.id, left)], now)
    detail = {"entered": len(entered), "left": len(left)}
    await journal.record(
        session, at=now, actor=actor, action="segment.list_changed", subject_id=segment.id, detail=detail
    )
    return segment


async def _known(session: Session, *named: Named) -> list[list[str]]:
    ids = [id_ for side in named for id_ in side.ids]
    external_ids = [id_ for side in named for id_ in side.external_ids]
    there = await active_members(session, ids, external_ids)
    errors = [
        FieldError(f"{side.pointer}/{field}/{i}", "unknown", "There is no such active member.")
        for side in named
        for field, names, known in (
            ("ids", side.ids, there.ids),
            ("external_ids", side.external_ids, there.by_external_id),
        )
        for i, name in enumerate(names)
        if name not in known
    ]
    if errors:
        raise InvalidInputError("Some members are not known.", errors=errors)
    return [[*side.ids, *(there.by_external_id[name] for name in side.external_ids)] for side in named]
