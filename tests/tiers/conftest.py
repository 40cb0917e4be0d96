"""A club of this test's own."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.tiers import Club, make_club


@pytest.fixture
async def club(engine: AsyncEngine) -> Club:
    """Two members, no tiers yet."""
    return await make_club(engine)
