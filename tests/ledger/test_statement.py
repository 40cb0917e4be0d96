"""What a member reads: balance and statement."""

import pytest

from factories.ledger import LedgerWorld
from mereau.core.db import snapshot
from mereau.core.errors import NotFoundError
from mereau.ledger import service as ledger
from mereau.ledger.service import EntryView


async def page(world: LedgerWorld, cursor: int | None, limit: int, member: int = 0) -> list[EntryView]:
    async with snapshot(world.engine) as session:
        return await ledger.entries(session, world.members[member], cursor, limit)


async def test_a_new_member_has_nothing(world: LedgerWorld) -> None:
    seen = await world.balance()
    assert (seen.available, seen.pending, seen.held, seen.debt, seen.on_chain) == (0, 0, 0, 0, 0)
    assert (seen.on_chain_block, seen.expiring_next_tokens, seen.expiring_next_at) == (None, 0, None)
    assert await page(world, None, 10) == []


async def test_a_statement_runs_from_the_newest_back(world: LedgerWorld) -> None:
    made = [await world.credit(tokens) for tokens in (1, 2, 3)]
    await world.credit(9, member=1)
    made.append(await world.hold(4))
    first = await page(world, None, 3)
    rest = await page(world, first[-1].seq, 3)
    assert [view.id for view in first + rest] == made[::-1]
    assert [view.kind for view in first] == ["redeem", "issue", "issue"]
    assert {view.member_id for view in first + rest} == {world.members[0]}


async def test_a_line_says_where_it_stands_on_chain(world: LedgerWorld) -> None:
    credit, waiting = await world.credit(10), await world.credit(5)
    batch = await world.mine(credit)
    newer, older = await page(world, None, 10)
    assert (newer.id, newer.status, newer.batch_id, newer.block_number) == (waiting, "accepted", None, None)
    assert (older.id, older.status, older.batch_id, older.block_number) == (credit, "mined", batch, 1)
    assert older.transaction_hash == (1).to_bytes(32, "big")
    assert (await world.balance()).on_chain_block == 1


async def test_a_block_that_left_is_not_named(world: LedgerWorld) -> None:
    batch = await world.mine(await world.credit(10))
    await world.follow(reorged=[batch])
    (view,) = await page(world, None, 10)
    assert (view.status, view.block_number, view.transaction_hash) == ("submitted", None, None)


async def test_unknown_members_are_not_found(world: LedgerWorld) -> None:
    async with snapshot(world.engine) as session:
        with pytest.raises(NotFoundError):
            await ledger.balance(session, "mem_none")
        with pytest.raises(NotFoundError):
            await ledger.entries(session, "mem_none", None, 10)
        assert await ledger.statuses(session, ["ent_none"]) == {}
