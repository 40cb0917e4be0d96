"""A shop whose first member has a hundred tokens on chain, and a reward to spend them on; and one over HTTP."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.goods import furnish_goods
from api.world import ApiWorld, open_world
from factories.rewards import Counter, make_counter


@pytest.fixture
async def counter(engine: AsyncEngine) -> Counter:
    return await make_counter(engine)


@pytest.fixture
async def stocked_world(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    """A served installation whose partner A keeps goods."""
    async with open_world(engine, public_url="https://club.example") as world:
        await furnish_goods(world)
        yield world
