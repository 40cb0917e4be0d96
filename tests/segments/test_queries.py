"""What others ask of segments."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.ledger import LedgerWorld, make_world
from mereau.core.db import snapshot
from mereau.core.errors import NotFoundError
from mereau.segments import service
from mereau.segments.queries import memberships

A_LIST = """
insert into segments (id, external_id, name_fr, name_en, kind, member_count, entered_count, left_count)
values (:id, :id, 'Une liste', 'A list', 'static', 0, 0, 0)
"""
A_MEMBER = "insert into segment_members (segment_id, member_id, since) values (:segment, :member, now())"


@pytest.fixture
async def world(engine: AsyncEngine) -> LedgerWorld:
    world = await make_world(engine, member_count=3)
    for name in ("vip", "new", "other"):
        await world.write(A_LIST, id=name)
    for name, member in (("vip", 0), ("new", 0), ("other", 0), ("vip", 1)):
        await world.write(A_MEMBER, segment=name, member=world.members[member])
    return world


async def test_everybody_asked_for_is_told_with_the_segments_asked_for(world: LedgerWorld) -> None:
    async with snapshot(world.engine) as session:
        found = await memberships(session, world.members, ["vip", "new", "unknown"])
    assert found == dict(zip(world.members, ({"vip", "new"}, {"vip"}, frozenset()), strict=True))


async def test_a_segment_is_found_by_the_number_that_others_know(world: LedgerWorld) -> None:
    async with snapshot(world.engine) as session:
        assert (await service.get_by_external_id(session, "vip")).id == "vip"
        with pytest.raises(NotFoundError):
            await service.get_by_external_id(session, "nobody")
