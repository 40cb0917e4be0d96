"""The loop: one active mirror, standbys that take over, errors that do not end it."""

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from chain.mirror.kit import wallet
from chain.mirror.proxy import Proxy
from chain.mirror.world import World, mirror_of
from mereau.chain.errors import ForeignChainError, RpcError
from mereau.chain.faults import NodeFaultError
from mereau.chain.mirror_loop import run_alone
from mereau.chain.rpc import RpcClient
from mereau.core.db import create_engine, transaction


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.02)


class Steps:
    """A step that counts its calls and may be told to raise."""

    def __init__(self) -> None:
        self.count = 0
        self.error: Exception | None = None

    async def __call__(self) -> bool:
        self.count += 1
        if self.error is not None:
            raise self.error
        return False

    async def reach(self, count: int) -> None:
        async def reached() -> bool:
            return self.count >= count

        await until(reached)


async def test_the_mirror_follows_until_it_is_stopped(world: World) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(world.mirror.run(stop, poll_s=0.01))

    async def has(tokens: int) -> bool:
        return await world.balances() == {wallet(1): tokens}

    await world.token.issue([(wallet(1), 5)])
    await until(lambda: has(5))
    await world.token.issue([(wallet(1), 7)])
    await until(lambda: has(12))
    stop.set()
    await asyncio.wait_for(running, 5)


async def test_it_survives_what_nodes_do(engine: AsyncEngine, world: World, proxy: Proxy) -> None:
    proxy.mangle = lambda _: (502, b"")
    stop = asyncio.Event()
    async with RpcClient(proxy.url) as rpc:
        follower = mirror_of(engine, world.token, rpc=rpc)
        running = asyncio.create_task(follower.mirror.run(stop, poll_s=0.01))

        async def asked() -> bool:
            return len(proxy.methods) > 3

        await until(asked)
        proxy.mangle = None
        await world.token.issue([(wallet(1), 5)])

        async def caught_up() -> bool:
            return await follower.balances() == {wallet(1): 5}

        await until(caught_up)
        stop.set()
        await asyncio.wait_for(running, 15)


async def test_only_one_of_two_runs_and_the_other_takes_over(engine: AsyncEngine) -> None:
    first, second = Steps(), Steps()
    stop_first, stop_second = asyncio.Event(), asyncio.Event()
    running = [asyncio.create_task(run_alone(engine, first, stop_first, poll_s=0.01))]
    await first.reach(1)
    running.append(asyncio.create_task(run_alone(engine, second, stop_second, poll_s=0.01)))
    await first.reach(first.count + 20)
    assert second.count == 0
    stop_first.set()
    await second.reach(1)
    stop_second.set()
    await asyncio.wait_for(asyncio.gather(*running), 10)


async def test_a_lost_connection_loses_the_lock_and_the_loop_begins_again(engine: AsyncEngine) -> None:
    steps, stop = Steps(), asyncio.Event()
    running = asyncio.create_task(run_alone(engine, steps, stop, poll_s=0.01))
    await steps.reach(1)
    async with transaction(engine) as session:
        killed = await session.scalars(
            text(
                "select pg_terminate_backend(pid) from pg_locks "
                "where locktype = 'advisory' and database = (select oid from pg_database "
                "where datname = current_database())"
            )
        )
        assert killed.all() == [True]
    await steps.reach(steps.count + 5)
    stop.set()
    await asyncio.wait_for(running, 10)


@pytest.mark.parametrize(
    "error",
    [
        NodeFaultError("the node lies"),
        ForeignChainError("another chain"),
        RpcError(-32000, "boom"),
        psycopg.OperationalError("lost in the middle of a COPY"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_expected_errors_slow_the_loop_and_do_not_end_it(engine: AsyncEngine, error: Exception) -> None:
    steps, stop = Steps(), asyncio.Event()
    steps.error = error
    running = asyncio.create_task(run_alone(engine, steps, stop, poll_s=0.01))
    await steps.reach(4)
    steps.error = None
    await steps.reach(steps.count + 4)
    stop.set()
    await asyncio.wait_for(running, 10)


async def test_an_unexpected_error_ends_it_and_frees_the_lock(engine: AsyncEngine) -> None:
    steps, stop = Steps(), asyncio.Event()
    steps.error = LookupError("a mistake of ours")
    with pytest.raises(LookupError):
        await run_alone(engine, steps, stop, poll_s=0.01)
    steps.error = None
    running = asyncio.create_task(run_alone(engine, steps, stop, poll_s=0.01))
    await steps.reach(2)
    stop.set()
    await asyncio.wait_for(running, 10)


async def test_no_database_is_waited_for() -> None:
    nowhere = create_engine("postgresql://nobody@127.0.0.1:1/nothing")
    steps, stop = Steps(), asyncio.Event()
    running = asyncio.create_task(run_alone(nowhere, steps, stop, poll_s=0.01))
    await asyncio.sleep(0.2)
    assert not running.done()
    stop.set()
    await asyncio.wait_for(running, 10)
    assert steps.count == 0
    await nowhere.dispose()
