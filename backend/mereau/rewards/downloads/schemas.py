"""Links on the wire."""

from datetime import datetime

from pydantic import Field

from mereau.core.schemas import Resource
from mereau.rewards.downloads.service import Link


class LinkOut(Resource):
    """A link to follow once."""

    url: str = Field(description="Shown this once: it is stored nowhere.")
    expires_at: datetime
    downloads_left: int = Field(description="How many downloads there are yet, this one included.")


def show_link(link: Link, base_url: str) -> LinkOut:
    return LinkOut(url=f"{base_url}/d/{link.token}", expires_at=link.expires_at, downloads_left=link.downloads_left)
