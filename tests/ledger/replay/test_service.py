"""Replays on a real database: histories that are sound, and rows that somebody changed."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.ledger import LedgerWorld, make_world
from mereau.ledger import tasks
from mereau.ledger.replay.service import find_differences

DAY = timedelta(days=1)


@pytest.fixture
async def world(engine: AsyncEngine) -> LedgerWorld:
    return await make_world(engine, member_count=3, return_policy="debt")


async def found(world: LedgerWorld, chunk: int = 2) -> list[str]:
    return [str(difference) async for difference in find_differences(world.engine, chunk=chunk)]


async def everything(wallets: Sequence[bytes]) -> Mapping[bytes, int]:
    return dict.fromkeys(wallets, 10**6)


async def a_history(world: LedgerWorld) -> list[str]:
    """Every kind of entry, in every state: the credits' ids."""
    first, second = await world.credit(100, life=2 * DAY), await world.credit(40, member=1)
    cut, gone = await world.credit(30, delay=DAY), await world.credit(20, member=2, delay=DAY)
    await world.mine(*await world.queued())
    await world.reverse(cut, 10)
    await world.reverse(gone, 20)
    await world.reverse(first, 15)
    await world.mine(await world.hold(25))
    await world.void(await world.hold(5, member=1))
    await world.hold(8, member=1)
    await world.reverse(second, 40)
    refused = await world.credit(60, member=2)
    await world.hold(10, member=2)
    await world.reject(refused)
    world.now += 3 * DAY
    await tasks.activate_due(world.engine, world.now)
    await tasks.expire_due(world.engine, world.now, everything)
    return [first, second, cut, gone, refused]


async def test_an_empty_ledger_has_no_difference(world: LedgerWorld) -> None:
    assert await found(world) == []


@pytest.mark.parametrize("chunk", [1, 2, 5_000])
async def test_a_sound_history_has_none(world: LedgerWorld, chunk: int) -> None:
    first, second, cut, gone, refused = await a_history(world)
    assert await found(world, chunk) == []
    lots = {row.entry_id: row for row in await world.rows("select * from lots")}
    assert (lots[first].spent, lots[first].reversed, lots[first].expired) == (25, 15, 60)
    assert (lots[second].held, lots[second].reversed) == (8, 32)
    assert (lots[cut].remaining, lots[cut].reversed) == (20, 10)
    assert (lots[gone].state, lots[refused].state) == ("reversed", "reversed")


@pytest.mark.parametrize(
    ("change", "figures"),
    [
        ("update lots set remaining = remaining + 1, tokens = tokens + 1 where entry_id = :id", ["remaining"]),
        ("update lots set expired = expired - 1, remaining = remaining + 1 where entry_id = :id",
         ["remaining", "expired"]),
        ("update lots set spent = spent - 1, reversed = reversed + 1 where entry_id = :id", ["spent"]),
        ("update lot_uses set tokens = tokens + 1 where lot_entry_id = :id", ["remaining", "spent", "expired"]),
        ("update entries set tokens = tokens + 1 where id = :id", ["remaining"]),
        ("update holds set state = 'pending' where member_id = (select member_id from entries where id = :id)",
         ["held", "spent"]),
    ],
)  # fmt: skip
async def test_whatever_somebody_changes_is_named(world: LedgerWorld, change: str, figures: list[str]) -> None:
    """O1: a balance that was edited is not borne out by the entries."""
    first, *_ = await a_history(world)
    await world.write(change, id=first)
    said = await found(world)
    assert [line.split(": ")[1].split(" is ")[0] for line in said] == figures
    assert all(line.startswith(f"lot {first}: ") for line in said)
