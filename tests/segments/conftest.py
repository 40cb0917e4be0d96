"""A club of this test's own, to be sorted."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.segments import Sorting, make_sorting


@pytest.fixture
async def sorting(engine: AsyncEngine) -> Sorting:
    """Four members who bought nothing yet."""
    return await make_sorting(engine)
