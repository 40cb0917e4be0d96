"""A shop whose first member has a hundred tokens on chain, and a reward to spend them on."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.rewards import Counter, make_counter


@pytest.fixture
async def counter(engine: AsyncEngine) -> Counter:
    return await make_counter(engine)
