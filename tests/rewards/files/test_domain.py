"""What a file is, by its first bytes alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.rewards.files.domain import IMAGES, PHOTO_PATH, SUFFIXES, media_type_of, photo_digest

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
ZIP_HEAD = b"PK\x03\x04" + bytes(26)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"),
        (b"RIFF\x24\x00\x00\x00WEBPVP8X", "image/webp"),
        (b"%PDF-1.7\n", "application/pdf"),
        (ZIP_HEAD + b"mimetypeapplication/epub+zip", "application/epub+zip"),
        (ZIP_HEAD + b"notes.txt", "application/zip"),
        (b"ID3\x04\x00", "audio/mpeg"),
        (b"\x00\x00\x00\x18ftypmp42", "video/mp4"),
    ],
)
def test_each_kind_is_known(content: bytes, media_type: str) -> None:
    assert media_type_of(content) == media_type
    assert media_type in SUFFIXES


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x89PNG",
        PNG[1:],
        b"%PDF",
        b"<!doctype html><script>alert(1)</script>",
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        b"RIFF\x24\x00\x00\x00WAVEfmt ",
        b"MZ\x90\x00",
        b"#!/bin/sh\n",
    ],
)
def test_what_browsers_or_machines_would_run_is_not_taken(content: bytes) -> None:
    assert media_type_of(content) is None


@given(st.binary(max_size=64))
def test_no_text_page_is_taken_for_an_image(tail: bytes) -> None:
    assert media_type_of(b"<html>" + tail) is None
    assert media_type_of(PNG + tail) in IMAGES


def test_a_photo_is_named_by_its_path() -> None:
    digest = "ab" * 32
    assert photo_digest(PHOTO_PATH + digest) == digest
    assert photo_digest("https://img.example/files/" + digest) is None
