"""Keeping files, and asking for them."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import FieldError, InvalidInputError, NotFoundError
from mereau.journal import service as journal
from mereau.rewards.files import repository
from mereau.rewards.files.domain import IMAGES, MediaType, media_type_of, photo_digest

Session = ReadSession | WriteSession


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that is kept; `digest` is the SHA-256 of its content in hex."""

    digest: str
    media_type: MediaType
    size_bytes: int


async def keep(session: WriteSession, content: bytes, now: datetime, *, actor: str) -> StoredFile:
    """Keep a file; the same content again is the same file. InvalidInputError for what is not taken."""
    media_type = media_type_of(content)
    if media_type is None:
        detail = "PNG, JPEG, WebP, PDF, EPUB, ZIP, MP3 and MP4 are taken."
        raise InvalidInputError("The file is not taken.", errors=[FieldError("", "media_type", detail)])
    stored = StoredFile(hashlib.sha256(content).hexdigest(), media_type, len(content))
    if await repository.add(session, stored.digest, media_type, content):
        detail_ = {"media_type": media_type, "size_bytes": stored.size_bytes}
        await journal.record(
            session, at=now, actor=actor, action="file.uploaded", subject_id=stored.digest, detail=detail_
        )
    return stored


async def image(session: Session, digest: str) -> tuple[str, bytes]:
    """(media type, content) of a photo; NotFoundError for everything else that is kept."""
    found = await repository.content(session, digest)
    if found is None or found[0] not in IMAGES:
        raise NotFoundError("There is no such photo.")
    return found


async def missing(session: Session, content: str | None, photo_urls: Sequence[str]) -> list[FieldError]:
    """What a reward names and nobody uploaded: its content, and its photos that are kept here."""
    photos = {place: digest for place, url in enumerate(photo_urls) if (digest := photo_digest(url)) is not None}
    named = {*photos.values()} | ({content} if content is not None else set())
    known = await repository.media_types(session, named) if named else {}
    return list(_missing(content, photos, known))


def _missing(content: str | None, photos: dict[int, str], known: dict[str, str]) -> Iterator[FieldError]:
    if content is not None and content not in known:
        yield FieldError("/terms/content", "unknown", "There is no such file: upload it first.")
    for place, digest in photos.items():
        if known.get(digest) not in IMAGES:
            yield FieldError(f"/photos/{place}/url", "unknown", "There is no such photo: upload it first.")
