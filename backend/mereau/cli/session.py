"""Runs an asynchronous command on a stack: its database, and its node where the command asks for one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.chain.rpc import RpcClient
from mereau.cli.stack import open_stack, settings_of
from mereau.cli.state import RunState
from mereau.core.clock import SystemClock
from mereau.core.config import Settings
from mereau.core.db import create_engine

_CONNECTIONS_MAX = 4

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desk:
    """What a command works with."""

    settings: Settings
    stack: RunState
    engine: AsyncEngine
    rpc: RpcClient
    clock: SystemClock


@asynccontextmanager
async def desk_on(settings: Settings, stack: RunState) -> AsyncIterator[Desk]:
    """Connections to a stack, closed at the end."""
    engine = create_engine(stack.database_url, connections_max=_CONNECTIONS_MAX)
    try:
        async with RpcClient(stack.chain_url) as rpc:
            yield Desk(settings, stack, engine, rpc, SystemClock())
    finally:
        await engine.dispose()


def work(data_dir: Path | None, command: Callable[[Desk], Awaitable[T]]) -> T:
    """Run `command` on the stack of `data_dir`, which is started and stopped here if it does not run."""
    settings = settings_of(data_dir)

    async def run(stack: RunState) -> T:
        async with desk_on(settings, stack) as desk:
            return await command(desk)

    with open_stack(settings) as stack:
        return asyncio.run(run(stack))
