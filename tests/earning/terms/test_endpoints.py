"""The programme's terms over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world
from mereau.earning.terms.domain import DEFAULT_TERMS


@pytest.fixture
async def world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        yield world


async def test_the_defaults_hold_until_somebody_says_otherwise(world: ApiWorld) -> None:
    seen = (await world.get("partner_a", "/earning-terms")).json()
    assert seen == {name: getattr(DEFAULT_TERMS, name) for name in DEFAULT_TERMS.__slots__}


async def test_terms_are_laid_down_whole_and_journalled(world: ApiWorld) -> None:
    body = {"win_back_after_days": 45, "referral_cap": 3, "referral_link_base": "https://shop.example/?ref="}
    changed = await world.send("operator", "PUT", "/earning-terms", body)
    assert changed.json() == (await world.get("auditor", "/earning-terms")).json()
    assert {name: changed.json()[name] for name in body} == body
    back = await world.send("operator", "PUT", "/earning-terms", {})
    assert back.json()["win_back_after_days"] == DEFAULT_TERMS.win_back_after_days
    rows = await world.hand.rows(
        "select detail from journal_entries where action = 'earning_terms.changed' order by id"
    )
    assert [row.detail["win_back_after_days"] for row in rows] == [45, DEFAULT_TERMS.win_back_after_days]


async def test_the_same_again_changes_nothing(world: ApiWorld) -> None:
    await world.send("operator", "PUT", "/earning-terms", {"referral_cap": 3})
    before = await world.fingerprint()
    await world.send("operator", "PUT", "/earning-terms", {"referral_cap": 3})
    assert await world.fingerprint() == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("win_back_after_days", 0), ("win_back_after_days", 1_096), ("claim_within_days", 0), ("referral_cap", 0),
        ("referral_minimum_minor", -1), ("referral_cap_period", "week"), ("referral_link_base", "http://shop.example/"),
        ("referral_link_base", "https://shop example"), ("unknown", 1),
    ],
)  # fmt: skip
async def test_wrong_terms_are_named(world: ApiWorld, field: str, value: Any) -> None:
    response = await world.send("operator", "PUT", "/earning-terms", {field: value})
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, f"/{field}")
