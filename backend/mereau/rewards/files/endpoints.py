"""Endpoints of files."""

from typing import Annotated, Final

from fastapi import APIRouter
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.core.http import V1, Reads, SiteHere, Writes, answer, problems, raw_body
from mereau.rewards.files import service
from mereau.rewards.files.domain import FILE_BYTES_MAX, PHOTO_PATH
from mereau.rewards.files.schemas import FileOut, show_file

router = APIRouter(tags=["Rewards"])

_BODY: Final = {
    "requestBody": {
        "required": True,
        "description": f"The file itself, of at most {FILE_BYTES_MAX} bytes.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
# What is named by its digest never changes. Nothing but images comes from here, and none of it may run.
_PHOTO_HEADERS: Final = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}


@router.post(
    f"{V1}/files",
    status_code=201,
    response_model=FileOut,
    responses=problems(400, 408, 413, 422),
    openapi_extra=_BODY,
)
async def upload_file(
    caller: Annotated[Principal, allowed(Scope.REWARDS_WRITE)],
    body: Annotated[bytes, raw_body(FILE_BYTES_MAX)],
    session: Writes,
    site: SiteHere,
) -> Response:
    """Upload a photo, or content to be downloaded. The same file again is the same file."""
    stored = await service.keep(session, body, site.clock.now(), actor=caller.key_id)
    return answer(show_file(stored), status=201)


@router.get(
    f"{PHOTO_PATH}{{digest}}",
    response_class=Response,
    responses={200: {"content": {"image/*": {}}, "description": "The photo."}, **problems(404)},
)
async def get_photo(digest: str, session: Reads) -> Response:
    """An uploaded photo, for everybody. Content to be downloaded is not found here."""
    media_type, content = await service.image(session, digest)
    return Response(content, media_type=media_type, headers=_PHOTO_HEADERS)
