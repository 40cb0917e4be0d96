"""Endpoints of downloads."""

from typing import Annotated

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from mereau.auth.dependencies import allowed
from mereau.auth.domain import Principal, Scope
from mereau.core.http import V1, SiteHere, Writes, answer, known_id, problems
from mereau.core.pages import Language, answer_html, page
from mereau.rewards.downloads import domain, service
from mereau.rewards.downloads.schemas import LinkOut, show_link

router = APIRouter(tags=["Rewards"])


@router.post(
    f"{V1}/redemptions/{{redemption_id}}/links", status_code=201, response_model=LinkOut, responses=problems(404, 409)
)
async def make_link(
    redemption_id: str,
    caller: Annotated[Principal, allowed(Scope.REDEMPTIONS_WRITE)],
    session: Writes,
    site: SiteHere,
    request: Request,
) -> Response:
    """A link to the content of a granted redemption. It works once; the last one asked for is the one that works."""
    link = await service.make_link(session, known_id("red", redemption_id), site.clock.now(), reach=caller.reach)
    base_url: str = request.app.state.public_url
    return answer(show_link(link, base_url), status=201)


@router.get("/d/{token}", include_in_schema=False)
async def download(token: str, session: Writes, site: SiteHere, language: Language = "fr") -> Response:
    """What a link leads to, for whoever holds it; every link that leads nowhere is one page."""
    found = await service.follow(session, token, site.clock.now())
    if found is None:
        return answer_html(page(language, *domain.dead_end(language)), status=410)
    headers = {
        "Content-Disposition": f'attachment; filename="{found.name}"',
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(found.content, media_type=found.media_type, headers=headers)
