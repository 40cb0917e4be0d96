"""Counting guesses before they are made: what nobody counts, a machine tries."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import WriteSession, transaction
from mereau.core.errors import TooManyRequestsError
from mereau.earning.attempts import repository
from mereau.earning.attempts.domain import WINDOW, allowances, seconds_left

__all__ = ["allowances", "give_back", "take"]


async def take(engine: AsyncEngine, maxima: Mapping[str, int], now: datetime) -> None:
    """Count a guess for each subject, in a transaction of its own: a wrong guess rolls back, its count must not.

    TooManyRequestsError where one has used up its share; that is said before anything is looked up.
    """
    async with transaction(engine) as session:
        taken = await repository.take(session, list(maxima), now, now - WINDOW)
    over = [start for subject, (start, count) in taken.items() if count > maxima[subject]]
    if over:
        raise TooManyRequestsError("Too many guesses. Wait.", retry_after_s=seconds_left(max(over), now))


async def give_back(session: WriteSession, maxima: Mapping[str, int]) -> None:
    """Take the count of a right guess back, in the transaction of what it did."""
    await repository.give_back(session, list(maxima))
