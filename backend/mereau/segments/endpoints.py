"""Endpoints of segments, for operators and auditors."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.core.http import (
    BATCH_BODY_BYTES_MAX,
    BODY_PROBLEMS,
    V1,
    Paging,
    Reads,
    SiteHere,
    Writes,
    answer,
    answer_page,
    json_body,
    known_id,
    problems,
)
from mereau.core.pagination import cut_page
from mereau.core.schemas import PageOut
from mereau.members import service as members
from mereau.segments import service
from mereau.segments.schemas import (
    MembersNamed,
    SegmentCreate,
    SegmentListChange,
    SegmentOut,
    SegmentPreviewCreate,
    SegmentPreviewOut,
    show_segment,
)
from mereau.segments.service import Named

router = APIRouter(prefix=V1, tags=["Segments"])


@router.post("/segments", status_code=201, response_model=SegmentOut, responses=problems(*BODY_PROBLEMS, 409))
async def create_segment(
    caller: Annotated[Principal, allowed(Scope.SEGMENTS_WRITE)],
    body: Annotated[SegmentCreate, json_body(SegmentCreate)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Save a segment. One with a filter is filled by the next refresh, within seconds."""
    segment = await service.create(session, body.draft(), site.clock.now(), actor=caller.key_id)
    return answer(show_segment(segment), status=201)


@router.post("/segments/preview", response_model=SegmentPreviewOut, responses=problems(*BODY_PROBLEMS))
async def preview_segment(
    caller: Annotated[Principal, allowed(Scope.SEGMENTS_READ)],
    body: Annotated[SegmentPreviewCreate, json_body(SegmentPreviewCreate)],
    session: Reads,
    site: SiteHere,
) -> Response:
    """Count whom a filter finds; nothing is saved."""
    found = await service.preview(session, body.filter, site.clock.now())
    return answer(SegmentPreviewOut(member_count=found, facts_as_of=await service.facts_as_of(session)))


@router.get("/segments", response_model=PageOut[SegmentOut], responses=problems(422))
async def list_segments(
    caller: Annotated[Principal, allowed(Scope.SEGMENTS_READ)], page: Paging, session: Reads
) -> Response:
    """The oldest first."""
    rows = await service.list_segments(session, page.after, page.limit + 1)
    return answer_page(cut_page(rows, page.limit, lambda segment: segment.id), show_segment)


@router.get("/segments/{segment_id}", response_model=SegmentOut, responses=problems(404))
async def get_segment(
    segment_id: str, caller: Annotated[Principal, allowed(Scope.SEGMENTS_READ)], session: Reads
) -> Response:
    """A segment, with how its refresh stands."""
    return answer(show_segment(await service.get(session, known_id("seg", segment_id))))


@router.put("/segments/{segment_id}", response_model=SegmentOut, responses=problems(*BODY_PROBLEMS, 404, 409))
async def change_segment(
    segment_id: str,
    caller: Annotated[Principal, allowed(Scope.SEGMENTS_WRITE)],
    body: Annotated[SegmentCreate, json_body(SegmentCreate)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Give it other names or another filter; its members stay until the refresh that follows."""
    known_id("seg", segment_id)
    segment = await service.change(session, segment_id, body.draft(), site.clock.now(), actor=caller.key_id)
    return answer(show_segment(segment))


@router.delete("/segments/{segment_id}", status_code=204, responses=problems(404))
async def drop_segment(
    segment_id: str, caller: Annotated[Principal, allowed(Scope.SEGMENTS_WRITE)], session: Writes, site: SiteHere
) -> Response:
    """Forget it. Whatever asks for it from now on finds nobody in it."""
    await service.drop(session, known_id("seg", segment_id), site.clock.now(), actor=caller.key_id)
    return Response(status_code=204)


@router.post("/segments/{segment_id}/refresh", status_code=202, response_model=SegmentOut, responses=problems(404, 409))
async def refresh_segment(
    segment_id: str, caller: Annotated[Principal, allowed(Scope.SEGMENTS_WRITE)], session: Writes, site: SiteHere
) -> Response:
    """Ask for a refresh; `state` of the segment goes from queued over running to idle."""
    segment = await service.queue_refresh(session, known_id("seg", segment_id), site.clock.now(), actor=caller.key_id)
    return answer(show_segment(segment), status=202)


@router.post("/segments/{segment_id}/members", response_model=SegmentOut, responses=problems(*BODY_PROBLEMS, 404, 409))
async def change_list(
    segment_id: str,
    caller: Annotated[Principal, allowed(Scope.SEGMENTS_WRITE)],
    body: Annotated[SegmentListChange, json_body(SegmentListChange, bytes_max=BATCH_BODY_BYTES_MAX)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Add members to a static list, or take them off, up to 10,000 at a time."""
    known_id("seg", segment_id)
    added, removed = _named(body.add, "/add"), _named(body.remove, "/remove")
    segment = await service.change_list(session, segment_id, added, removed, site.clock.now(), actor=caller.key_id)
    return answer(show_segment(segment))


def _named(said: MembersNamed, pointer: str) -> Named:
    return Named(said.ids, said.external_ids, pointer)


@router.get("/members/{member_id}/segments", response_model=PageOut[SegmentOut], responses=problems(404, 422))
async def list_member_segments(
    member_id: str, caller: Annotated[Principal, allowed(Scope.SEGMENTS_READ)], page: Paging, session: Reads
) -> Response:
    """The segments that a member belongs to, each as of its last refresh."""
    await members.get(session, known_id("mem", member_id))
    rows = await service.segments_of(session, member_id, page.after, page.limit + 1)
    return answer_page(cut_page(rows, page.limit, lambda segment: segment.id), show_segment)
