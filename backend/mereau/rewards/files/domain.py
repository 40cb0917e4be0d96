"""Which files are taken, and what they are: told by their first bytes, never by what is said of them. Pure."""

from typing import Final, Literal

MediaType = Literal[
    "image/png", "image/jpeg", "image/webp", "application/pdf", "application/epub+zip", "application/zip",
    "audio/mpeg", "video/mp4",
]  # fmt: skip

FILE_BYTES_MAX: Final = 16 * 1024 * 1024
IMAGES: Final[frozenset[str]] = frozenset({"image/png", "image/jpeg", "image/webp"})
PHOTO_PATH: Final = "/files/"
"""Where photos are served, in front of their digest."""

# An EPUB is an archive whose first member says so (OCF 3.3, section 4.3); hence before the plain archive.
_SIGNATURES: Final[tuple[tuple[int, bytes, MediaType], ...]] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (8, b"WEBPVP8", "image/webp"),
    (0, b"%PDF-", "application/pdf"),
    (30, b"mimetypeapplication/epub+zip", "application/epub+zip"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"ID3", "audio/mpeg"),
    (4, b"ftyp", "video/mp4"),
)
SUFFIXES: Final[dict[str, str]] = {
    "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "application/pdf": "pdf",
    "application/epub+zip": "epub", "application/zip": "zip", "audio/mpeg": "mp3", "video/mp4": "mp4",
}  # fmt: skip


def media_type_of(content: bytes) -> MediaType | None:
    """What a file is; None for what is not taken, such as HTML and SVG, which browsers would run."""
    for offset, signature, media_type in _SIGNATURES:
        if content.startswith(signature, offset):
            return media_type
    return None


def photo_digest(url: str) -> str | None:
    """The digest of an uploaded photo's address; None for an address elsewhere."""
    return url.removeprefix(PHOTO_PATH) if url.startswith(PHOTO_PATH) else None
