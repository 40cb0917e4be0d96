"""Filling a reward's pool of codes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from mereau.core.db import WriteSession
from mereau.core.errors import ConflictError
from mereau.journal import service as journal
from mereau.rewards.catalogue import service as catalogue
from mereau.rewards.kinds.domain import read_terms
from mereau.rewards.pools import repository

CODES_MAX: Final = 1_000
"""So many codes come in one upload at most."""


async def upload(session: WriteSession, reward_id: str, codes: Sequence[str], now: datetime, *, actor: str) -> int:
    """Add codes to the pool of a reward; how many were new, codes that are there already change nothing.

    NotFoundError where there is no such reward; ConflictError where it draws no uploaded codes.
    """
    reward = await catalogue.get_reward(session, reward_id)
    if not read_terms(reward.terms).draws_codes:
        raise ConflictError("This reward has no pool of codes.")
    added = await repository.add(session, reward_id, codes)
    if added:
        detail = {"codes": added}
        await journal.record(session, at=now, actor=actor, action="reward.codes", subject_id=reward_id, detail=detail)
    return added
