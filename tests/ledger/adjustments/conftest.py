"""A ledger in which tokens are moved by hand."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.adjustments import Counter
from factories.ledger import make_world


@pytest.fixture
async def counter(engine: AsyncEngine) -> Counter:
    """Three members; one person moves 100 tokens a day, 60 for one member, 50 at once."""
    counter = Counter(await make_world(engine, member_count=3))
    await counter.limits()
    return counter
