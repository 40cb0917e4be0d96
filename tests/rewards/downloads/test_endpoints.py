"""From the redemption to the file, over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world

EBOOK = b"%PDF-1.7\nrecipes\n%%EOF\n"


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine, public_url="https://club.example") as world:
        yield world


async def bought(world: ApiWorld) -> dict[str, Any]:
    """Member A's granted redemption of an ebook."""
    uploaded = await world.post("operator", "/files", EBOOK)
    terms = {"kind": "digital", "content": uploaded.json()["digest"], "downloads_max": 1}
    reward = {
        "external_id": "ebook", "partner_id": world.ids["partner_a"], "name_fr": "Recettes", "name_en": "Recipes",
        "price_tokens": 5, "terms": terms,
    }  # fmt: skip
    made = await world.made("operator", "/rewards", reward)
    await world.made("partner_a", "/sales", world.a_sale())
    path = f"/members/{world.ids['member_a']}/redemptions"
    redemption = await world.made("member_a", path, {"reward_id": made["id"]})
    await world.grant(redemption)
    return redemption


async def opened(world: ApiWorld, url: str, **params: str) -> httpx.Response:
    """As a browser does, without a key."""
    return await world.client.get(url.replace("https://club.example", "http://mereau.test"), params=params)


async def test_a_member_downloads_what_they_redeemed(world: ApiWorld) -> None:
    redemption = await bought(world)
    made = await world.made("member_a", f"/redemptions/{redemption['id']}/links", None)
    assert made["url"].startswith("https://club.example/d/")
    assert made["downloads_left"] == 1
    file = await opened(world, made["url"])
    assert (file.status_code, file.content, file.headers["content-type"]) == (200, EBOOK, "application/pdf")
    assert file.headers["content-disposition"] == f'attachment; filename="{redemption["id"]}.pdf"'
    assert (file.headers["x-content-type-options"], file.headers["cache-control"]) == ("nosniff", "no-store")
    seen = (await world.get("member_a", f"/redemptions/{redemption['id']}")).json()
    assert seen["state"] == "used"


async def test_a_link_that_was_used_says_what_to_do(world: ApiWorld) -> None:
    redemption = await bought(world)
    made = await world.made("member_a", f"/redemptions/{redemption['id']}/links", None)
    await opened(world, made["url"])
    again = await opened(world, made["url"], lang="en")
    assert (again.status_code, again.headers["content-type"]) == (410, "text/html; charset=utf-8")
    assert "Ask for a new one" in again.text
    french = await opened(world, "https://club.example/d/never-made")
    assert (french.status_code, "Demandez-en un nouveau" in french.text) == (410, True)
    refused = await world.post("member_a", f"/redemptions/{redemption['id']}/links")
    assert (refused.status_code, refused.json()["code"]) == (409, "downloads_used")


async def test_looking_at_a_link_without_opening_it_uses_nothing(world: ApiWorld) -> None:
    redemption = await bought(world)
    made = await world.made("member_a", f"/redemptions/{redemption['id']}/links", None)
    url = made["url"].replace("https://club.example", "http://mereau.test")
    assert (await world.client.head(url)).status_code == 405
    assert (await opened(world, made["url"])).status_code == 200
