"""Uploading files over HTTP, and photos for everybody."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world
from mereau.rewards.files.domain import FILE_BYTES_MAX

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
PDF = b"%PDF-1.7\n%%EOF\n"


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


async def upload(world: ApiWorld, content: Any, who: str | None = "operator", **headers: str) -> httpx.Response:
    return await world.post(who, "/files", headers=headers, content=content)


async def photo(world: ApiWorld, digest: str) -> httpx.Response:
    """As a browser asks: without any key, outside of the versioned paths."""
    return await world.client.get(f"http://mereau.test/files/{digest}")


async def test_a_photo_is_uploaded_and_shown_to_everybody(world: ApiWorld) -> None:
    response = await upload(world, PNG)
    digest = hashlib.sha256(PNG).hexdigest()
    assert (response.status_code, response.json()) == (
        201, {"digest": digest, "media_type": "image/png", "size_bytes": len(PNG), "url": f"/files/{digest}"}
    )  # fmt: skip
    seen = await photo(world, digest)
    assert (seen.status_code, seen.content, seen.headers["content-type"]) == (200, PNG, "image/png")
    assert "immutable" in seen.headers["cache-control"]
    assert (seen.headers["x-content-type-options"], seen.headers["content-security-policy"]) == (
        "nosniff", "default-src 'none'; sandbox"
    )  # fmt: skip


async def test_the_same_file_again_is_the_same_file(world: ApiWorld) -> None:
    first = await upload(world, PDF)
    before = await world.fingerprint()
    again = await upload(world, PDF)
    assert (again.status_code, again.json()) == (201, first.json())
    assert await world.fingerprint() == before
    acts = await world.hand.rows("select actor, subject_id from journal_entries where action = 'file.uploaded'")
    assert [tuple(act) for act in acts] == [(world.key_ids["operator"], first.json()["digest"])]


async def test_content_to_be_downloaded_is_no_photo(world: ApiWorld) -> None:
    made = (await upload(world, PDF)).json()
    assert made["url"] is None
    for digest in (made["digest"], "00" * 32, "none", "..%2Fsecret"):
        response = await photo(world, digest)
        assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("content", [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<html></html>", b"text"])
async def test_what_is_not_taken_is_told_and_not_kept(world: ApiWorld, content: bytes) -> None:
    before = await world.fingerprint()
    response = await upload(world, content)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (422, "media_type")
    assert await world.fingerprint() == before


async def test_a_file_has_so_many_bytes_at_most(world: ApiWorld) -> None:
    full = PDF + bytes(FILE_BYTES_MAX - len(PDF))
    assert (await upload(world, full)).status_code == 201
    response = await upload(world, full + b"\x00")
    assert (response.status_code, response.json()["code"]) == (413, "payload_too_large")

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(FILE_BYTES_MAX // len(full) + 2):
            yield full

    assert (await upload(world, endless())).status_code == 413


async def test_an_encoded_body_is_refused(world: ApiWorld) -> None:
    response = await upload(world, PDF, **{"content-encoding": "gzip"})
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


async def test_a_reward_names_what_was_uploaded(world: ApiWorld) -> None:
    image, document = (await upload(world, PNG)).json(), (await upload(world, PDF)).json()
    shown = {"url": image["url"], "alt_fr": "Une tasse", "alt_en": "A cup"}
    reward = {
        "external_id": "guide", "partner_id": world.ids["partner_a"], "name_fr": "Le guide", "name_en": "The guide",
        "price_tokens": 5, "photos": [shown], "terms": {"kind": "digital", "content": document["digest"]},
    }  # fmt: skip
    made = await world.made("operator", "/rewards", reward)
    assert (made["photos"], made["terms"]["content"]) == ([shown], document["digest"])
    elsewhere = await world.send(
        "operator", "PATCH", f"/rewards/{made['id']}", {"photos": [shown | {"url": "https://img.example/a.png"}]}
    )
    assert elsewhere.status_code == 200


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"terms": {"kind": "digital", "content": "ab" * 32}}, "/terms/content"),
        ({"photos": [{"url": f"/files/{'ab' * 32}", "alt_fr": "a", "alt_en": "a"}]}, "/photos/0/url"),
        ({"photos": [{"url": f"/files/{hashlib.sha256(PDF).hexdigest()}", "alt_fr": "a", "alt_en": "a"}]},
         "/photos/0/url"),
        ({"photos": [{"url": "/files/../secret", "alt_fr": "a", "alt_en": "a"}]}, "/photos/0/url"),
        ({"photos": [{"url": f"/files/{'AB' * 32}", "alt_fr": "a", "alt_en": "a"}]}, "/photos/0/url"),
    ],
)  # fmt: skip
async def test_a_reward_names_nothing_else(world: ApiWorld, change: dict[str, Any], pointer: str) -> None:
    await upload(world, PDF)
    reward = {
        "external_id": "guide", "partner_id": world.ids["partner_a"], "name_fr": "Le guide", "name_en": "The guide",
        "price_tokens": 5,
    }  # fmt: skip
    response = await world.post("operator", "/rewards", reward | change)
    assert (response.status_code, [error["pointer"] for error in response.json()["errors"]]) == (422, [pointer])
