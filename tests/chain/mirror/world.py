"""A mirror under test: the token it follows, the database it fills, and what it handed on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from chain.mirror.kit import Token
from mereau.chain.finality import Finality
from mereau.chain.mirror import Mirror, MirrorDelta
from mereau.chain.models import Block, ChainBalance, ChainEvent, Deployment, MirrorState, Transfer
from mereau.chain.pace import Pace
from mereau.chain.rpc import RpcClient
from mereau.core.clock import ManualClock
from mereau.core.db import Base, WriteSession, snapshot, transaction

Row = TypeVar("Row", bound=Base)
START = datetime(2026, 11, 23, tzinfo=UTC)


@dataclass
class World:
    """`mirror` follows `token`'s chain through `rpc` into `engine`; `deltas` is all it handed on."""

    engine: AsyncEngine
    token: Token
    mirror: Mirror
    clock: ManualClock
    deltas: list[MirrorDelta] = field(default_factory=list)

    async def state(self) -> MirrorState:
        async with snapshot(self.engine) as session:
            state = await session.get(MirrorState, 1)
        assert state is not None
        return state

    async def balances(self) -> dict[bytes, int]:
        """Every wallet that has tokens."""
        rows = await self.rows(ChainBalance)
        return {row.wallet: row.tokens for row in rows if row.tokens}

    async def balances_with_zeros(self) -> list[tuple[bytes, int]]:
        return [(row.wallet, row.tokens) for row in await self.rows(ChainBalance)]

    async def rows(self, model: type[Row]) -> Sequence[Row]:
        async with snapshot(self.engine) as session:
            return (await session.scalars(select(model))).all()

    async def add(self, *rows: Base) -> None:
        async with transaction(self.engine) as session:
            for row in rows:
                session.add(row)
                await session.flush()

    async def contents(self) -> dict[str, set[tuple[object, ...]]]:
        """All that is mirrored of the chain, to compare two mirrors or two moments."""
        blocks, transfers, events = [await self.rows(model) for model in (Block, Transfer, ChainEvent)]
        return {
            "blocks": {(row.number, row.hash, row.parent_hash, row.timestamp_s) for row in blocks},
            "transfers": {(row.block_number, row.log_index, row.source, row.target, row.tokens) for row in transfers},
            "events": {
                (row.block_number, row.log_index, row.transaction_hash, row.name, str(sorted(row.data.items())))
                for row in events
            },
            "balances": set((await self.balances()).items()),
        }


def mirror_of(
    engine: AsyncEngine,
    token: Token,
    *,
    rpc: RpcClient | None = None,
    finality: Finality | None = None,
    pace: Pace | None = None,
    deployment: Deployment | None = None,
    second: RpcClient | None = None,
    head_age_max: timedelta | None = None,
) -> World:
    clock = ManualClock(START)
    deltas: list[MirrorDelta] = []

    async def on_progress(session: WriteSession, delta: MirrorDelta) -> None:
        deltas.append(delta)

    mirror = Mirror(
        engine,
        rpc or token.rpc,
        deployment or token.deployment,
        clock,
        finality=finality or Finality.by_tags(),
        on_progress=on_progress,
        pace=pace,
        second=second,
        head_age_max=head_age_max,
    )
    return World(engine, token, mirror, clock, deltas)
