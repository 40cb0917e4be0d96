"""M5: guesses are counted, whoever makes them and however many at once."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import transaction
from mereau.core.errors import TooManyRequestsError
from mereau.earning.attempts import service, tasks
from mereau.earning.attempts.domain import PER_ACCOUNT_MAX, WINDOW, allowances, seconds_left

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MAXIMA = {"account:a": 3, "address:x": 5}


async def passes(engine: AsyncEngine, maxima: dict[str, int], now: datetime = NOW) -> bool:
    try:
        await service.take(engine, maxima, now)
    except TooManyRequestsError:
        return False
    return True


async def test_an_account_guesses_so_often_and_no_more(engine: AsyncEngine) -> None:
    assert [await passes(engine, MAXIMA) for _ in range(5)] == [True, True, True, False, False]


async def test_an_address_guesses_so_often_with_however_many_accounts(engine: AsyncEngine) -> None:
    tried = [await passes(engine, {f"account:{number}": 3, "address:x": 5}) for number in range(7)]
    assert tried == [True] * 5 + [False] * 2


async def test_the_refusal_says_when_to_come_again(engine: AsyncEngine) -> None:
    for _ in range(3):
        await service.take(engine, MAXIMA, NOW)
    with pytest.raises(TooManyRequestsError) as refusal:
        await service.take(engine, MAXIMA, NOW + timedelta(minutes=4))
    assert refusal.value.retry_after_s == 6 * 60 + 1
    assert await passes(engine, MAXIMA, NOW + WINDOW)


async def test_a_right_guess_is_given_back(engine: AsyncEngine) -> None:
    for _ in range(20):
        await service.take(engine, MAXIMA, NOW)
        async with transaction(engine) as session:
            await service.give_back(session, MAXIMA)
    assert await passes(engine, MAXIMA)


async def test_giving_back_never_earns_guesses(engine: AsyncEngine) -> None:
    await service.take(engine, MAXIMA, NOW)
    async with transaction(engine) as session:
        for _ in range(5):
            await service.give_back(session, MAXIMA)
    assert [await passes(engine, MAXIMA) for _ in range(4)] == [True, True, True, False]


async def test_a_hundred_at_once_are_counted_one_by_one(engine: AsyncEngine) -> None:
    tried = await asyncio.gather(*(passes(engine, {"address:x": 50, f"account:{n % 7}": 99}) for n in range(100)))
    assert sum(tried) == 50


async def test_what_no_limit_looks_at_is_forgotten(engine: AsyncEngine) -> None:
    await service.take(engine, {"old": 1}, NOW - timedelta(days=2))
    await service.take(engine, {"new": 1}, NOW)
    assert await tasks.forget_attempts(engine, NOW) == 1
    async with transaction(engine) as session:
        assert list(await session.scalars(text("select subject from attempts"))) == ["new"]


def test_accounts_and_addresses_are_told_apart() -> None:
    assert allowances("a", "a")["account:a"] == PER_ACCOUNT_MAX
    assert len(allowances("a", "a")) == 2


@pytest.mark.parametrize(("after", "left"), [(0, 601), (599, 2), (600, 1), (700, 1)])
def test_a_wait_is_never_nothing(after: int, left: int) -> None:
    assert seconds_left(NOW, NOW + timedelta(seconds=after)) == left
