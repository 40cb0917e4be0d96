"""SQL of segments: definitions, members and the statement that brings a segment up to date."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Select,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    union_all,
    update,
)

from mereau.core.db import ReadSession, WriteSession
from mereau.members.models import Member
from mereau.segments.models import Segment, SegmentMember

Session = ReadSession | WriteSession

# For this transaction alone, as in `facts`.
_MEMORY = text("set local work_mem = '128MB'")
_ADD = text("""
    insert into segment_members (segment_id, member_id, since)
    select :segment_id, member_id, :now from unnest(cast(:member_ids as text[])) as added (member_id)
    on conflict do nothing
    returning member_id
""")
_REMOVE = text("""
    delete from segment_members where segment_id = :segment_id and member_id = any(cast(:member_ids as text[]))
    returning member_id
""")


@dataclass(frozen=True, slots=True)
class Difference:
    """What a refresh did; the ids are empty for a first fill, whose members nobody needs one by one."""

    member_count: int
    entered_count: int
    left_count: int
    entered: Sequence[str]
    left: Sequence[str]


async def by_external_id(session: Session, external_id: str) -> Segment | None:
    return await session.scalar(select(Segment).where(Segment.external_id == external_id))


async def find(session: Session, segment_id: str, *, for_update: bool = False) -> Segment | None:
    """The segment; its row is the lock of its members."""
    query = select(Segment).where(Segment.id == segment_id)
    if for_update:
        query = query.with_for_update().execution_options(populate_existing=True)
    return await session.scalar(query)


async def add(session: WriteSession, segment: Segment) -> None:
    session.add(segment)
    await session.flush()


async def drop(session: WriteSession, segment_id: str) -> None:
    """The segment and who belongs to it."""
    await session.execute(delete(SegmentMember).where(SegmentMember.segment_id == segment_id))
    await session.execute(delete(Segment).where(Segment.id == segment_id))


async def listed(session: Session, after_id: str | None, limit: int) -> Sequence[Segment]:
    """The oldest first."""
    query = select(Segment).order_by(Segment.id).limit(limit)
    if after_id is not None:
        query = query.where(Segment.id > after_id)
    return (await session.scalars(query)).all()


async def segments_of(session: Session, member_id: str, after_id: str | None, limit: int) -> Sequence[Segment]:
    """Those that the member belongs to."""
    mine = exists().where(SegmentMember.segment_id == Segment.id, SegmentMember.member_id == member_id)
    query = select(Segment).where(mine).order_by(Segment.id).limit(limit)
    if after_id is not None:
        query = query.where(Segment.id > after_id)
    return (await session.scalars(query)).all()


async def next_due(session: Session, day_began_at: datetime) -> tuple[str, datetime] | None:
    """The segment that has waited longest for a refresh, and since when: somebody asked, or a day began."""
    due_at = case((Segment.queued_at.is_not(None), Segment.queued_at), else_=literal(day_began_at))
    stale = or_(Segment.refreshed_at.is_(None), Segment.refreshed_at < day_began_at)
    query = select(Segment.id, due_at).where(or_(Segment.queued_at.is_not(None), stale), Segment.kind == "dynamic")
    row = (await session.execute(query.order_by(due_at, Segment.id).limit(1))).one_or_none()
    return None if row is None else (row[0], row[1])


async def start(session: WriteSession, segment_id: str, now: datetime) -> None:
    """Let everybody see that the refresh is under way."""
    await session.execute(update(Segment).where(Segment.id == segment_id).values(started_at=now))


async def apply(
    session: WriteSession, segment_id: str, matching: Select[str], now: datetime, *, tell: bool
) -> Difference:
    """Let exactly the matching members belong to a locked segment; one statement. `tell` asks for the ids."""
    await session.execute(_MEMORY)
    found = matching.cte("found")
    here = SegmentMember.segment_id == segment_id
    known = exists().where(here, SegmentMember.member_id == found.c.id)
    fresh = select(literal(segment_id), found.c.id, literal(now)).where(~known)
    entered = (
        insert(SegmentMember)
        .from_select(["segment_id", "member_id", "since"], fresh)
        .returning(SegmentMember.member_id)
        .cte("entered")
    )
    gone = ~exists(select(1).select_from(found).where(found.c.id == SegmentMember.member_id))
    left = delete(SegmentMember).where(here, gone).returning(SegmentMember.member_id).cte("left")
    counts = [select(func.count()).select_from(source).scalar_subquery() for source in (found, entered, left)]
    if not tell:
        row = (await session.execute(select(*counts))).one()
        return Difference(row[0], row[1], row[2], (), ())
    rows = (
        await session.execute(
            union_all(
                select(literal("found"), func.count().cast(Member.id.type)).select_from(found),
                select(literal("entered"), entered.c.member_id),
                select(literal("left"), left.c.member_id),
            )
        )
    ).all()
    ids = {word: [value for kind, value in rows if kind == word] for word in ("found", "entered", "left")}
    return Difference(int(ids["found"][0]), len(ids["entered"]), len(ids["left"]), ids["entered"], ids["left"])


async def add_members(session: WriteSession, segment_id: str, member_ids: Sequence[str], now: datetime) -> list[str]:
    """Ids of those who were not there before."""
    values = {"segment_id": segment_id, "member_ids": sorted(set(member_ids)), "now": now}
    return list((await session.execute(_ADD, values)).scalars())


async def remove_members(session: WriteSession, segment_id: str, member_ids: Sequence[str]) -> list[str]:
    """Ids of those who were there."""
    values = {"segment_id": segment_id, "member_ids": sorted(set(member_ids))}
    return list((await session.execute(_REMOVE, values)).scalars())


async def count(session: Session, matching: Select[str]) -> int:
    return await session.scalar(select(func.count()).select_from(matching.subquery())) or 0


async def static_lists(session: Session, external_ids: Sequence[str]) -> set[str]:
    """Those of the external ids that name a static list."""
    query = select(Segment.external_id).where(Segment.kind == "static")
    return set(await session.scalars(query.where(Segment.external_id == func.any(list(external_ids)))))


async def stream_members(
    session: ReadSession, segment_id: str, *, rows_per_fetch: int
) -> AsyncIterator[Sequence[Sequence[str | None]]]:
    """(id, external_id, display_name, email, locale) of active members, some rows at a time."""
    query = (
        select(Member.id, Member.external_id, Member.display_name, Member.email, Member.locale)
        .join(SegmentMember, and_(SegmentMember.member_id == Member.id, SegmentMember.segment_id == segment_id))
        .where(Member.status == "active")
        .order_by(Member.id)
    )
    result = await session.stream(query.execution_options(yield_per=rows_per_fetch))
    async for partition in result.partitions():
        yield [tuple(row) for row in partition]
