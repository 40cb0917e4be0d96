"""A ledger of this test's own."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.ledger import LedgerWorld, make_world


@pytest.fixture
async def world(engine: AsyncEngine) -> LedgerWorld:
    """Two partners, two members, policy `clamp`."""
    return await make_world(engine)


@pytest.fixture
async def debt_world(engine: AsyncEngine) -> LedgerWorld:
    """The same under policy `debt`."""
    return await make_world(engine, return_policy="debt")
