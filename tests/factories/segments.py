"""A club whose members are sorted into segments."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from factories.tiers import Club, make_club
from mereau.core.db import snapshot, transaction
from mereau.segments import service, tasks
from mereau.segments.models import Segment
from mereau.segments.service import Named, SegmentDraft

NOBODY = Named((), (), "/x")


@dataclass
class Sorting(Club):
    """Members by number; a filter is written as its JSON."""

    async def save(self, filter_: Mapping[str, Any] | None, external_id: str = "s") -> Segment:
        async with transaction(self.engine) as session:
            draft = SegmentDraft(external_id, "Un groupe", "A group", None if filter_ is None else dict(filter_))
            return await service.create(session, draft, self.now, actor="key:k")

    async def change(self, segment: Segment, filter_: Mapping[str, Any] | None, **changes: Any) -> Segment:
        fields = {"external_id": segment.external_id, "name_fr": "Autre", "name_en": "Other"} | changes
        async with transaction(self.engine) as session:
            draft = SegmentDraft(**fields, filter=None if filter_ is None else dict(filter_))
            return await service.change(session, segment.id, draft, self.now, actor="key:k")

    async def queue(self, segment: Segment) -> None:
        async with transaction(self.engine) as session:
            await service.queue_refresh(session, segment.id, self.now, actor="key:k")

    async def refresh_due(self) -> int:
        return await tasks.refresh_due(self.engine, self.now)

    async def refresh(self, segment: Segment) -> int:
        """Facts and one segment at this moment; how many entered or left."""
        async with transaction(self.engine) as session:
            await service.refresh_facts(session, self.now)
            return await service.refresh(session, segment.id, self.now)

    async def seen(self, segment: Segment) -> Segment:
        async with snapshot(self.engine) as session:
            return await service.get(session, segment.id)

    async def members_in(self, segment: Segment) -> list[int]:
        """Numbers of those who belong to it."""
        rows = await self.rows("select member_id from segment_members where segment_id = :id", id=segment.id)
        return sorted(self.members.index(row.member_id) for row in rows)

    async def list_members(self, segment: Segment, add: Named = NOBODY, remove: Named = NOBODY) -> Segment:
        async with transaction(self.engine) as session:
            return await service.change_list(session, segment.id, add, remove, self.now, actor="key:k")

    async def found(self, filter_: Mapping[str, Any]) -> list[int]:
        """Numbers of whom a filter finds now, facts included."""
        segment = await self.save(filter_, self.next_id("found"))
        await self.refresh(segment)
        return await self.members_in(segment)

    async def facts(self, member: int = 0) -> Any:
        (row,) = await self.rows("select * from member_facts where member_id = :id", id=self.members[member])
        return row


async def make_sorting(engine: AsyncEngine, **changes: Any) -> Sorting:
    club = await make_club(engine, **{"member_count": 4} | changes)
    return Sorting(engine, club.now, club.partners, club.members)
