"""Tiers by the name that others know them by."""

from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import NotFoundError
from mereau.tiers import repository
from mereau.tiers.models import Tier


async def get_by_external_id(session: ReadSession | WriteSession, external_id: str) -> Tier:
    """The tier known under this number, in force or not; NotFoundError where there is none."""
    tier = await repository.by_external_id(session, external_id)
    if tier is None:
        raise NotFoundError("There is no such tier.")
    return tier
