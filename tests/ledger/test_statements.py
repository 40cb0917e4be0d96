"""Every operation on many entries costs as many statements as on one: nothing loops over SQL."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event

from factories.ledger import LedgerWorld
from mereau.chain.delta import MirrorDelta
from mereau.core.db import transaction
from mereau.ledger import service as ledger
from mereau.ledger import tasks
from mereau.ledger.progress.domain import Rejection
from mereau.ledger.service import Reversal

DAY = timedelta(days=1)
MANY = 1_000


@contextmanager
def counted(world: LedgerWorld) -> Iterator[list[str]]:
    """The statements that the engine executes inside; COPY comes beside them, once per table."""
    statements: list[str] = []

    def note(*given: object) -> None:
        statements.append(str(given[2]))

    event.listen(world.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(world.engine.sync_engine, "before_cursor_execute", note)


async def cost(world: LedgerWorld, work: Callable[[], Awaitable[object]]) -> list[str]:
    with counted(world) as statements:
        await work()
    assert statements
    return statements


async def credited(world: LedgerWorld, count: int, **changes: object) -> list[str]:
    """Credits of two tokens each, the two members in turn."""
    items = [world.a_credit(2, member=index % 2, **changes) for index in range(count)]
    await world.post(*items)
    return [item.entry_id for item in items]


async def bulk_seal(world: LedgerWorld, kind: str) -> str:
    """Every queued order of this kind in one batch; its id."""
    rows = await world.rows("select id from chain_orders where kind = :kind and state = 'queued'", kind=kind)
    return await world.seal(*(row.id for row in rows))


REDEEM_EACH_LOT = (
    """
    insert into entries (id, member_id, partner_id, kind, state, tokens, source_id, source_reference, reason_code,
        wallet, document_salt, record_salt, occurred_at, activates_at, created_at)
    select 'red_of_' || id, member_id, partner_id, 'redeem', 'accepted', 1, 'red_1', '', 'redemption',
        wallet, document_salt, record_salt, occurred_at, activates_at, created_at
    from entries where id = any(cast(:ids as text[]))
    """,
    """
    insert into holds (entry_id, member_id, tokens, state, created_at)
    select 'red_of_' || id, member_id, 1, 'pending', created_at from entries where id = any(cast(:ids as text[]))
    """,
    """
    insert into lot_uses (entry_id, lot_entry_id, tokens)
    select 'red_of_' || id, id, 1 from unnest(cast(:ids as text[])) as credited (id)
    """,
    """
    insert into chain_orders (id, kind, partner_number, wallet, tokens, commitment, state)
    select 'red_of_' || id, 'redeem', 1, wallet, 1, sha256(wallet), 'queued'
    from entries where id = any(cast(:ids as text[]))
    """,
    "update lots set remaining = remaining - 1, held = held + 1 where entry_id = any(cast(:ids as text[]))",
    """
    update accounts set available = available - taken.tokens, held = held + taken.tokens
    from (
        select member_id, count(*) as tokens from lots where entry_id = any(cast(:ids as text[])) group by member_id
    ) taken where taken.member_id = accounts.member_id
    """,
)


async def hold_each(world: LedgerWorld, credit_ids: list[str]) -> None:
    """A redemption of one token of every credit, as `hold` would leave them, all at once."""
    for statement in REDEEM_EACH_LOT:
        await world.write(statement, ids=credit_ids)


async def settle(world: LedgerWorld, **news: Any) -> None:
    async with transaction(world.engine) as session:
        await ledger.settle(session, MirrorDelta(1, **news), world.now)


@pytest.mark.parametrize("delay", [timedelta(), DAY], ids=["active", "pending"])
async def test_reverse(world: LedgerWorld, delay: timedelta) -> None:
    ids = await credited(world, 1 + MANY, delay=delay)

    def items(entry_ids: list[str]) -> list[Reversal]:
        return [world.a_reversal(entry_id, 1) for entry_id in entry_ids]

    one = await cost(world, lambda: world.take_back(*items(ids[:1])))
    many = await cost(world, lambda: world.take_back(*items(ids[1:])))
    assert many == one
    assert sum([await total(world, index) for index in range(2)]) == 1 + MANY
    assert await world.drift() == 0


async def total(world: LedgerWorld, member: int) -> int:
    available, pending, _, _ = await world.counters(member)
    return available + pending


async def test_reverse_under_the_debt_policy(debt_world: LedgerWorld) -> None:
    """What is owed is added to accounts in one more statement, however many owe."""
    world = debt_world
    ids = await credited(world, 40)
    for member in range(2):
        await world.hold(40, member)
    one = await cost(world, lambda: world.take_back(world.a_reversal(ids[0], 1)))
    many = await cost(world, lambda: world.take_back(*(world.a_reversal(key, 1) for key in ids[1:])))
    assert len(many) == len(one)
    assert (await world.counters(0))[3] + (await world.counters(1))[3] == 40


async def test_activate_due(world: LedgerWorld) -> None:
    await credited(world, 1, delay=DAY)
    world.now += DAY
    one = await cost(world, lambda: tasks.activate_due(world.engine, world.now))
    await credited(world, MANY, delay=DAY)
    world.now += DAY
    many = await cost(world, lambda: tasks.activate_due(world.engine, world.now))
    assert many == one
    assert await world.drift() == 0
    assert (await world.counters(0))[0] + (await world.counters(1))[0] == 2 * (1 + MANY)


async def test_expire_due(world: LedgerWorld) -> None:
    async def everything(wallets: object) -> dict[bytes, int]:
        assert isinstance(wallets, list)
        return dict.fromkeys(wallets, 10**9)

    await credited(world, 1, life=DAY)
    await world.mine(*await world.queued())
    world.now += DAY
    one = await cost(world, lambda: tasks.expire_due(world.engine, world.now, everything))
    await credited(world, MANY, life=DAY)
    world.now += DAY
    many = await cost(world, lambda: tasks.expire_due(world.engine, world.now, everything))
    assert many == one
    assert await world.counters(0) == await world.counters(1) == (0, 0, 0, 0)


async def test_settle(world: LedgerWorld) -> None:
    """One redemption or a thousand, mined, gone again and mined anew."""
    seen = []
    for count in (1, MANY):
        await hold_each(world, await credited(world, count))
        batch = await bulk_seal(world, "redeem")
        seen += [
            await cost(world, partial(settle, world, **{news: [batch]}))
            for news in ("mined", "reorged", "mined", "final")
        ]
    assert seen[:4] == seen[4:]
    states = await world.rows("select state, count(*) from holds group by state")
    assert [tuple(row) for row in states] == [("posted", 1 + MANY)]


async def test_settle_asks_nothing_of_accounts_where_nobody_redeemed(world: LedgerWorld) -> None:
    await credited(world, MANY)
    batch = await bulk_seal(world, "issue")
    statements = await cost(world, lambda: settle(world, mined=[batch]))
    assert not [statement for statement in statements if "accounts" in statement or "lots" in statement]


async def test_on_rejected(world: LedgerWorld) -> None:
    ids = await credited(world, 1 + MANY)

    async def refuse(entry_ids: list[str]) -> None:
        async with transaction(world.engine) as session:
            await ledger.on_rejected(session, [Rejection(key, "LoyaltyPaused") for key in entry_ids], world.now)

    one = await cost(world, lambda: refuse(ids[:1]))
    many = await cost(world, lambda: refuse(ids[1:]))
    assert len(many) == len(one)
    assert await world.counters(0) == await world.counters(1) == (0, 0, 0, 0)


async def test_on_rejected_with_redemptions_of_the_credits(world: LedgerWorld) -> None:
    """Credits and the queued burns of them fall together."""
    ids = await credited(world, 1)
    await hold_each(world, ids)

    async def refuse(entry_ids: list[str]) -> None:
        async with transaction(world.engine) as session:
            await ledger.on_rejected(session, [Rejection(key, "LoyaltyPaused") for key in entry_ids], world.now)

    one = await cost(world, lambda: refuse(ids))
    ids = await credited(world, MANY)
    await hold_each(world, ids)
    many = await cost(world, lambda: refuse(ids))
    assert len(many) == len(one)
    assert await world.counters(0) == await world.counters(1) == (0, 0, 0, 0)
    assert [tuple(row) for row in await world.rows("select distinct state from holds")] == [("voided",)]


async def test_credit_and_reverse_write_by_copy(world: LedgerWorld) -> None:
    """Entries, lots and orders never go row by row."""
    statements = await cost(world, lambda: credited(world, 50))
    assert not [text for text in statements if text.lower().startswith(("insert into entries", "insert into lots"))]
