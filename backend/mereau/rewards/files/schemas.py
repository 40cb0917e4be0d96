"""Files on the wire."""

from pydantic import Field

from mereau.core.schemas import Resource
from mereau.rewards.files.domain import IMAGES, PHOTO_PATH, MediaType
from mereau.rewards.files.service import StoredFile


class FileOut(Resource):
    """A file that is kept."""

    digest: str = Field(description="SHA-256 of the content; what a digital reward names as its content.")
    media_type: MediaType
    size_bytes: int
    url: str | None = Field(description="Where a photo is shown, and what a reward names; null for what is no image.")


def show_file(stored: StoredFile) -> FileOut:
    url = f"{PHOTO_PATH}{stored.digest}" if stored.media_type in IMAGES else None
    return FileOut(digest=stored.digest, media_type=stored.media_type, size_bytes=stored.size_bytes, url=url)
