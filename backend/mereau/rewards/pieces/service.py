"""Giving back what redemptions took."""

from collections.abc import Sequence
from typing import Protocol

from mereau.core.db import WriteSession
from mereau.rewards.catalogue import repository as catalogue
from mereau.rewards.limits import repository as counters
from mereau.rewards.pools import repository as pools


class Taker(Protocol):
    """A redemption, as far as its pieces go; `counted` holds the keys of the counters that it moved."""

    @property
    def id(self) -> str: ...
    @property
    def reward_id(self) -> str: ...
    @property
    def quantity(self) -> int: ...
    @property
    def counted(self) -> Sequence[Sequence[str]]: ...


async def give_pieces_back(session: WriteSession, takers: Sequence[Taker]) -> None:
    """Let stock, limits and pools have again what redemptions took; their codes must not have been shown.

    A constant number of statements. Locks the rewards, then their counters.
    """
    pieces: dict[str, int] = {}
    for taker in takers:
        pieces[taker.reward_id] = pieces.get(taker.reward_id, 0) + taker.quantity
    await catalogue.give_back(session, pieces)
    counted = [
        (taker.reward_id, (owner_id, period, starts_on), taker.quantity)
        for taker in takers
        for owner_id, period, starts_on in taker.counted
    ]
    await counters.give_back(session, counted)
    await pools.give_back(session, [taker.id for taker in takers])
