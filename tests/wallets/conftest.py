"""A database whose branches belong to a known seed."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.core.db import transaction
from mereau.wallets import service as wallets
from mereau.wallets.keystore import Seed

SEED_BYTES = bytes(range(1, 33))


@pytest.fixture
def seed() -> Seed:
    return Seed(SEED_BYTES)


@pytest.fixture
async def branches(engine: AsyncEngine, seed: Seed) -> AsyncEngine:
    """The engine, after the branches were stored."""
    async with transaction(engine) as session:
        await wallets.init_branches(session, seed)
    return engine
