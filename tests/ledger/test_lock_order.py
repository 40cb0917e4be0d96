"""Who stops a redemption and who refuses credits take locks in one order: both end, and neither is the victim."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import TextClause, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.ledger import LedgerWorld
from mereau.core.db import WriteSession, transaction
from mereau.ledger import repository
from mereau.ledger import service as ledger
from mereau.ledger.errors import HoldSettledError
from mereau.ledger.progress.domain import Rejection

WAITERS = text("""
    select count(*) from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and pid <> pg_backend_pid()
""")
REFUSE = text("update chain_orders set state = 'rejected', reason = 'LoyaltyAllowance' where id = :id")


async def until_waiting(engine: AsyncEngine, count: int) -> None:
    """Return once so many connections wait for a lock."""
    async with asyncio.timeout(20), engine.connect() as connection:
        while (await connection.scalar(WAITERS)) < count:
            await connection.rollback()
            await asyncio.sleep(0.005)


@asynccontextmanager
async def account_taken(world: LedgerWorld) -> AsyncIterator[None]:
    """Somebody else has the first member's account until the block ends."""
    async with transaction(world.engine) as session:
        await repository.lock_accounts(session, [world.members[0]])
        yield


async def queue_up(world: LedgerWorld, *works: Awaitable[None]) -> list[BaseException | None]:
    """Let the works wait for the account in this order, then let them go; how each ended."""
    tasks = []
    async with account_taken(world):
        for count, work in enumerate(works, 1):
            tasks.append(asyncio.ensure_future(work))
            await until_waiting(world.engine, count)
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_refused_credit_comes_before_the_void_of_its_redemption(world: LedgerWorld) -> None:
    """The refusal holds the account and then asks for the burn's order, which the void must not hold already."""
    refused = await world.credit(100)
    redeem = await world.hold(60)
    outcomes = await queue_up(world, world.reject(refused), world.void(redeem))
    assert [type(outcome) for outcome in outcomes] == [type(None), HoldSettledError]
    assert await world.statuses(refused, redeem) == ["rejected", "rejected"]
    assert await world.counters() == (0, 0, 0, 0)
    assert await world.drift() == 0


async def test_the_void_of_a_redemption_comes_before_its_refused_credit(world: LedgerWorld) -> None:
    refused = await world.credit(100)
    redeem = await world.hold(60)
    assert await queue_up(world, world.void(redeem), world.reject(refused)) == [None, None]
    assert await world.statuses(refused, redeem) == ["rejected", "rejected"]
    assert await world.counters() == (0, 0, 0, 0)
    assert len(await world.events("entry.rejected")) == 2
    assert await world.drift() == 0


async def test_a_burn_that_the_relayer_is_deciding_cannot_be_voided(world: LedgerWorld) -> None:
    """The relayer holds the order and wants the account; the void gives way instead of both waiting for ever."""
    await world.credit(100)
    redeem = await world.hold(60)
    async with transaction(world.engine) as relayer:
        await relayer.execute(REFUSE, {"id": redeem})
        void = asyncio.ensure_future(world.void(redeem))
        await until_waiting(world.engine, 1)
        await ledger.on_rejected(relayer, [Rejection(redeem, "LoyaltyAllowance")], world.now)
    with pytest.raises(HoldSettledError):
        await void
    assert await world.counters() == (100, 0, 0, 0)
    (told,) = await world.events("entry.rejected")
    assert told.payload["reason"] == "LoyaltyAllowance"


async def test_a_void_waits_a_moment_for_a_relayer_that_lets_go(world: LedgerWorld) -> None:
    await world.credit(100)
    redeem = await world.hold(60)
    async with transaction(world.engine) as relayer:
        await relayer.execute(text("select 1 from chain_orders where id = :id for update"), {"id": redeem})
        void = asyncio.ensure_future(world.void(redeem))
        await until_waiting(world.engine, 1)
    await void
    assert await world.counters() == (100, 0, 0, 0)


async def setting(session: WriteSession) -> str:
    return str(await session.scalar(text("show lock_timeout")))


async def briefly(session: WriteSession, *statements: TextClause, **values: str) -> str:
    """Run statements that wait no longer than a moment; the setting inside."""
    async with repository.brief_waits(session):
        inside = await setting(session)
        for statement in statements:
            await session.execute(statement, values)
    return inside


async def test_after_a_brief_wait_the_transaction_goes_on_and_waits_as_long_as_before(world: LedgerWorld) -> None:
    credit = await world.credit(100)
    async with transaction(world.engine) as relayer, transaction(world.engine) as session:
        await relayer.execute(REFUSE, {"id": credit})
        with pytest.raises(TimeoutError):
            await briefly(session, REFUSE, id=credit)
        assert await setting(session) == "0"
        assert await briefly(session, text("update accounts set debt = 7")) == "500ms"
        assert await setting(session) == "0"
    assert (await world.counters())[3] == 7


async def test_only_a_lock_that_is_kept_counts_as_a_timeout(world: LedgerWorld) -> None:
    async with transaction(world.engine) as session:
        slow = [text("set local statement_timeout = '10ms'"), text("select pg_sleep(10)")]
        with pytest.raises(OperationalError, match="statement timeout"):
            await briefly(session, *slow)
        assert await setting(session) == "0"
