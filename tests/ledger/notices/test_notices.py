"""Members are told in time, once, of what will expire."""

import asyncio
from datetime import timedelta
from typing import Any

from factories.ledger import LedgerWorld
from mereau.ledger import tasks

DAY = timedelta(days=1)


async def configure(world: LedgerWorld, *notice_days: int) -> None:
    await world.write("update programs set notice_days = :days", days=list(notice_days))


async def announce(world: LedgerWorld, chunk: int = 1_000) -> list[tuple[Any, ...]]:
    """(member, tokens, day, notice) of every notice that this run gave."""
    before = len(await world.events("lot.expiring"))
    told = await tasks.announce_expiries(world.engine, world.now, chunk=chunk)
    events = (await world.events("lot.expiring"))[before:]
    assert told == len(events)
    assert all(event.subject_id == event.payload["member_id"] for event in events)
    return [
        (
            world.members.index(event.payload["member_id"]),
            event.payload["tokens"],
            event.payload["expires_on"],
            event.payload["notice_days"],
        )
        for event in events
    ]


async def test_each_notice_is_given_once_and_in_its_time(world: LedgerWorld) -> None:
    await configure(world, 30, 7)
    await world.credit(100, life=40 * DAY)
    told = []
    for _ in range(41):
        told.append(await announce(world))
        assert await announce(world) == []
        world.now += DAY
    given = {day: notices for day, notices in enumerate(told) if notices}
    assert given == {10: [(0, 100, "2026-02-14", 30)], 33: [(0, 100, "2026-02-14", 7)]}


async def test_without_notices_nobody_is_told(world: LedgerWorld) -> None:
    await world.credit(100, life=DAY)
    assert await announce(world) == []


async def test_only_the_nearest_of_several_that_are_due(world: LedgerWorld) -> None:
    await configure(world, 30, 7)
    await world.credit(100, life=3 * DAY)
    assert await announce(world) == [(0, 100, "2026-01-08", 7)]


async def test_lots_of_one_day_are_one_notice_and_members_have_their_own(world: LedgerWorld) -> None:
    await configure(world, 7)
    await world.credit(100, life=3 * DAY)
    await world.credit(20, life=3 * DAY + timedelta(hours=2))
    await world.credit(5, life=4 * DAY)
    await world.credit(7, member=1, life=3 * DAY)
    assert sorted(await announce(world, chunk=1)) == [
        (0, 5, "2026-01-09", 7), (0, 120, "2026-01-08", 7), (1, 7, "2026-01-08", 7),
    ]  # fmt: skip


async def test_the_day_is_that_of_the_programme(world: LedgerWorld) -> None:
    await configure(world, 7)
    midnight_in_paris = world.now.replace(hour=23, minute=0) + 2 * DAY
    await world.credit(100, life=midnight_in_paris - world.now)
    assert await announce(world) == [(0, 100, "2026-01-08", 7)]


async def test_what_cannot_be_lost_is_not_announced(world: LedgerWorld) -> None:
    await configure(world, 7)
    await world.credit(10)
    await world.credit(20, life=8 * DAY)
    await world.credit(30, delay=DAY, life=2 * DAY)
    spent = await world.credit(40, life=2 * DAY)
    await world.reverse(spent, 40)
    await world.credit(50, life=timedelta(seconds=1))
    world.now += timedelta(seconds=1)
    assert await announce(world) == []


async def test_workers_side_by_side_tell_once(world: LedgerWorld) -> None:
    await configure(world, 7)
    for member in (0, 1):
        await world.credit(10, member=member, life=2 * DAY)
    told = await asyncio.gather(*(tasks.announce_expiries(world.engine, world.now, chunk=1) for _ in range(4)))
    assert sum(told) == len(await world.events("lot.expiring")) == 2
