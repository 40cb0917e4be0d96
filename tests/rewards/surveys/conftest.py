import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.goods import Workshop, make_workshop


@pytest.fixture
async def workshop(engine: AsyncEngine) -> Workshop:
    return await make_workshop(engine)
