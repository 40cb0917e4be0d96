"""A shop of this test's own."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.earning import Shop, make_shop


@pytest.fixture
async def shop(engine: AsyncEngine) -> Shop:
    """Two partners, two members, one token per whole unit of money, returns forgive what is spent."""
    return await make_shop(engine)
