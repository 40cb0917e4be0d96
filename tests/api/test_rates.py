"""Every answer tells a key how much it may still ask; beyond that it is told to wait."""

from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld
from mereau.app import create_app
from mereau.core.config import Settings
from mereau.core.rates import RateLimiter

LIMIT = 5


@pytest.fixture
async def narrow(world: ApiWorld, engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    """The same installation behind a process that grants five requests a minute."""
    settings = Settings(rate_limit_per_minute=LIMIT)
    app = create_app(settings, engine=engine, voucher_secret=b"s" * 32)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mereau") as client:
        yield client


async def ask(client: httpx.AsyncClient, key: str) -> httpx.Response:
    return await client.get("/api/v1/rewards", headers={"Authorization": f"Bearer {key}"})


async def test_the_last_request_passes_and_the_next_waits(world: ApiWorld, narrow: httpx.AsyncClient) -> None:
    answers = [await ask(narrow, world.keys["operator"]) for _ in range(LIMIT + 1)]
    assert [answer.status_code for answer in answers] == [200] * LIMIT + [429]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["4", "3", "2", "1", "0", "0"]
    refusal = answers[-1]
    assert refusal.json()["code"] == "too_many_requests"
    assert refusal.headers["content-type"] == "application/problem+json"
    assert 0 < int(refusal.headers["retry-after"]) <= 60
    assert refusal.headers["ratelimit-limit"] == str(LIMIT)


async def test_one_key_does_not_spend_anothers_rate(world: ApiWorld, narrow: httpx.AsyncClient) -> None:
    for _ in range(LIMIT + 1):
        await ask(narrow, world.keys["operator"])
    assert (await ask(narrow, world.keys["auditor"])).status_code == 200


async def test_strangers_are_not_counted(narrow: httpx.AsyncClient) -> None:
    answer = await narrow.get("/api/v1/rewards")
    assert answer.status_code == 401
    assert "ratelimit-limit" not in answer.headers


def test_a_window_counts_what_it_refuses() -> None:
    limiter = RateLimiter(2)
    rates = [limiter.hit("key") for _ in range(3)]
    assert [(rate.is_allowed, rate.remaining) for rate in rates] == [(True, 1), (True, 0), (False, 0)]
    assert all(0 <= rate.reset_s <= 60 for rate in rates)
