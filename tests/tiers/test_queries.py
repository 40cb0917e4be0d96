"""What others ask of tiers."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.ledger import LedgerWorld, make_world
from mereau.core.db import snapshot
from mereau.core.errors import NotFoundError
from mereau.tiers import service
from mereau.tiers.queries import tiers_of

A_TIER = """
insert into tiers (id, external_id, status, rank, threshold, name_fr, name_en, benefits)
values (:id, :id, 'active', :rank, 100, 'Or', 'Gold', '{"multiplier_percent": 150, "entitlements": ["free_returns"]}')
"""
A_STANDING = "insert into tier_standings (member_id, tier_id, since) values (:member, :tier, now())"


@pytest.fixture
async def world(engine: AsyncEngine) -> LedgerWorld:
    return await make_world(engine, member_count=3)


async def test_who_holds_a_tier_is_told_with_what_it_gives(world: LedgerWorld) -> None:
    await world.write(A_TIER, id="gold", rank=2)
    await world.write(A_STANDING, member=world.members[0], tier="gold")
    await world.write(A_STANDING, member=world.members[1], tier=None)
    async with snapshot(world.engine) as session:
        found = await tiers_of(session, world.members)
    assert list(found) == [world.members[0]]
    held = found[world.members[0]]
    assert (held.tier_id, held.external_id, held.rank, held.multiplier_percent) == ("gold", "gold", 2, 150)
    assert held.entitlements == {"free_returns"}


async def test_a_tier_is_found_by_the_number_that_others_know(world: LedgerWorld) -> None:
    await world.write(A_TIER, id="gold", rank=1)
    async with snapshot(world.engine) as session:
        assert (await service.get_by_external_id(session, "gold")).id == "gold"
        with pytest.raises(NotFoundError):
            await service.get_by_external_id(session, "silver")
