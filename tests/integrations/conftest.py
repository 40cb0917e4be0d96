"""A shop that imports."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.imports import ImportShop, make_import_shop


@pytest.fixture
async def shop(engine: AsyncEngine) -> ImportShop:
    return await make_import_shop(engine)
