"""One active relayer: who holds the lease, who waits, and what a dethroned one can still write (nothing)."""

import asyncio

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from chain.relayer.kit import Desk
from mereau.chain.lease import Lease, LeaseLostError
from mereau.chain.orders import OrderKind
from mereau.core.db import snapshot, transaction


async def test_the_second_waits_and_takes_over(engine: AsyncEngine) -> None:
    first, second = Lease(engine, "relayer"), Lease(engine, "relayer")
    assert await first.acquire() == 1
    assert await second.acquire() is None
    assert await first.acquire() == 1
    await first.close()
    assert await second.acquire() == 2
    await second.close()


async def test_leases_of_other_names_do_not_meet(engine: AsyncEngine) -> None:
    one, other = Lease(engine, "relayer"), Lease(engine, "mirror")
    assert (await one.acquire(), await other.acquire()) == (1, 1)
    await one.close()
    await other.close()


async def test_a_holder_writes_and_an_outdated_one_does_not(engine: AsyncEngine) -> None:
    lease = Lease(engine, "relayer")
    await lease.acquire()
    async with lease.writing("test") as session:
        await session.execute(text("create table written (n int)"))
    async with transaction(engine) as session:
        await session.execute(text("update chain_leases set epoch = epoch + 1"))
    with pytest.raises(LeaseLostError):
        await write_row(lease)
    async with snapshot(engine) as session:
        assert (await session.execute(text("select count(*) from written"))).scalar_one() == 0
    await lease.close()


async def write_row(lease: Lease) -> None:
    async with lease.writing("test") as session:
        await session.execute(text("insert into written values (1)"))


async def test_a_successor_waits_for_a_write_that_has_begun(engine: AsyncEngine) -> None:
    """Whoever takes over must see all that its predecessor's last transaction wrote."""
    lease = Lease(engine, "relayer")
    await lease.acquire()
    async with transaction(engine) as session:
        await session.execute(text("create table written (n int)"))
    async with lease.writing("test") as session:
        await session.execute(text("insert into written values (1)"))
        await lease.close()
        successor = Lease(engine, "relayer")
        taking = asyncio.create_task(successor.acquire())
        done, _ = await asyncio.wait({taking}, timeout=0.3)
        assert not done
    assert await taking == 2
    async with snapshot(engine) as session:
        assert (await session.execute(text("select count(*) from written"))).scalar_one() == 1
    await successor.close()


async def test_a_broken_connection_loses_the_lease_and_can_win_it_again(engine: AsyncEngine) -> None:
    lease = Lease(engine, "relayer")
    await lease.acquire()
    async with transaction(engine) as session:
        await session.execute(
            text("select pg_terminate_backend(pid) from pg_stat_activity where pid in (select pid from pg_locks"
                 " where locktype = 'advisory')")
        )  # fmt: skip
    with pytest.raises(psycopg.OperationalError):
        await lease.acquire()
    assert await lease.acquire() == 2
    await lease.close()


async def test_notifications_wake_and_silence_times_out(engine: AsyncEngine) -> None:
    lease = Lease(engine, "relayer", ("mereau_orders",))
    await lease.acquire()
    assert await lease.wait(0.05) is False
    async with transaction(engine) as session:
        await session.execute(text("notify mereau_orders"))
    assert await lease.wait(5) is True
    async with transaction(engine) as session:
        await session.execute(text("notify another_channel"))
    assert await lease.wait(0.05) is False
    await lease.close()


async def test_two_relayers_execute_an_order_once(desk: Desk) -> None:
    members = [desk.member(number) for number in range(3)]
    await desk.enqueue(*(desk.order(OrderKind.ISSUE, member, 7) for member in members))
    async with desk.relayer() as one, desk.relayer() as other:
        progress = await asyncio.gather(one.step(), other.step())
        assert sorted(step.standby for step in progress) == [False, True]
        await desk.follow()
        await asyncio.gather(one.step(), other.step())
    assert (await desk.read("totalSupply"))[0] == 21


async def test_a_relayer_that_lost_its_lease_in_the_middle_writes_nothing_more(desk: Desk) -> None:
    """A pause of the whole process, as garbage collection or a hypervisor makes it, between two writes."""
    member = desk.member(1)
    await desk.enqueue(desk.order(OrderKind.ISSUE, member, 7))
    async with desk.relayer() as sleeper, desk.relayer() as successor:
        assert not (await sleeper.step()).standby
        await desk.follow()
        await desk.enqueue(desk.order(OrderKind.ISSUE, member, 1))
        await sleeper._lease._connection.close()  # type: ignore[union-attr] - the server side is gone
        assert (await successor.step()).orders == 1
        sleeper._lease._epoch = 1
        with pytest.raises(LeaseLostError):
            await write_as(sleeper._lease)
        await desk.follow()
    assert await desk.balance(member) == 8


async def write_as(lease: Lease) -> None:
    async with lease.writing("test"):
        raise AssertionError("an outdated epoch opened a transaction")


async def test_of_many_at_once_exactly_one_holds_it_and_epochs_only_rise(engine: AsyncEngine) -> None:
    leases = [Lease(engine, "relayer") for _ in range(5)]
    epochs = []
    while leases:
        held = await asyncio.gather(*(lease.acquire() for lease in leases))
        (place,) = [index for index, epoch in enumerate(held) if epoch is not None]
        epochs.append(held[place])
        await leases.pop(place).close()
        # The others are as they were: closing one lease frees no lock of another.
    assert epochs == [1, 2, 3, 4, 5]


async def test_a_failed_write_is_void_and_costs_no_lease(engine: AsyncEngine) -> None:
    lease = Lease(engine, "relayer")
    await lease.acquire()
    async with lease.writing("test") as session:
        await session.execute(text("create table written (n int)"))
    with pytest.raises(ZeroDivisionError):
        await write_and_fail(lease)
    await write_row(lease)
    async with snapshot(engine) as session:
        assert (await session.execute(text("select count(*) from written"))).scalar_one() == 1
    assert await lease.acquire() == 1
    await lease.close()


async def write_and_fail(lease: Lease) -> None:
    async with lease.writing("test") as session:
        await session.execute(text("insert into written values (1)"))
        raise ZeroDivisionError


async def test_without_the_lease_nothing_can_be_written(engine: AsyncEngine) -> None:
    never, closed = Lease(engine, "relayer"), Lease(engine, "relayer")
    await closed.acquire()
    await closed.close()
    for lease in (never, closed):
        with pytest.raises(LeaseLostError, match="another process is the relayer"):
            await write_as(lease)


async def test_closing_is_harmless_at_any_time(engine: AsyncEngine) -> None:
    lease = Lease(engine, "relayer")
    await lease.close()
    assert await lease.acquire() == 1
    await lease.close()
    await lease.close()
    assert await lease.acquire() == 2
    await lease.close()


async def test_a_standby_hears_notifications_too(engine: AsyncEngine) -> None:
    """It tries again when something happens, not only when its time has come."""
    holder, standby = Lease(engine, "relayer"), Lease(engine, "relayer", ("mereau_blocks",))
    await holder.acquire()
    assert await standby.acquire() is None
    async with transaction(engine) as session:
        await session.execute(text("notify mereau_blocks"))
    assert await standby.wait(10) is True
    await holder.close()
    await standby.close()


async def test_losing_the_lease_in_a_write_makes_the_next_acquire_ask_again(engine: AsyncEngine) -> None:
    """The lock is still this connection's, but the epoch is spent: it must take a new one."""
    lease = Lease(engine, "relayer")
    await lease.acquire()
    async with transaction(engine) as session:
        await session.execute(text("update chain_leases set epoch = 41"))
    with pytest.raises(LeaseLostError):
        await write_as(lease)
    assert await lease.acquire() == 42
    async with lease.writing("test") as session:
        assert await session.scalar(text("select epoch from chain_leases")) == 42
    await lease.close()
