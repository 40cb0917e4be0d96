"""The endpoint that streams a segment's members."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Role, Scope
from mereau.core.errors import ForbiddenError
from mereau.core.http import V1, SiteHere, Writes, known_id, problems
from mereau.segments.export import service

router = APIRouter(prefix=V1, tags=["Segments"])


@router.get(
    "/segments/{segment_id}/members.csv",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {}}, "description": "One line per member."}, **problems(404, 422)},
)
async def export_members(
    segment_id: str,
    caller: Annotated[Principal, allowed(Scope.SEGMENTS_READ)],
    session: Writes,
    site: SiteHere,
    personal: Annotated[
        bool, Query(description="Names, e-mail addresses and locales as well; operators only.")
    ] = False,
) -> StreamingResponse:
    """Who belongs to it, as CSV (semicolons, UTF-8 with its mark); who took it away is journalled."""
    known_id("seg", segment_id)
    if personal and caller.role is not Role.OPERATOR:
        raise ForbiddenError("Personal data leave with operators only.")
    await service.note(session, segment_id, site.clock.now(), personal=personal, actor=caller.key_id)
    lines = service.lines(site.engine, segment_id, personal=personal)
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers={"Content-Disposition": "attachment"})
