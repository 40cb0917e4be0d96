"""Keeps the tables equal to the chain: proven blocks into SQL, one transaction per chunk, reorgs undone."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final, NamedTuple

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.chain import mirror_batches, mirror_store
from mereau.chain.delta import MirrorDelta
from mereau.chain.errors import ForeignChainError, LimitExceededError, RpcUnavailableError
from mereau.chain.faults import DriftError, NodeFaultError
from mereau.chain.finality import Finality
from mereau.chain.headers import Header
from mereau.chain.mirror_alarms import MirrorAlarms
from mereau.chain.mirror_batches import Matches
from mereau.chain.mirror_loop import run_alone
from mereau.chain.mirror_second import Agreement, SecondNode
from mereau.chain.models import Deployment, MirrorState
from mereau.chain.pace import Pace
from mereau.chain.reader import BlockReader, NodeView, ProvenBlock
from mereau.chain.rpc import RpcClient
from mereau.core.clock import Clock
from mereau.core.db import WriteSession, snapshot, transaction

__all__ = ["Mirror", "MirrorDelta", "MirrorProgress", "OnProgress", "StepOutcome"]

_LOG: Final = structlog.get_logger()
_WALK_BLOCKS: Final = 128
_CHUNKS_PER_STEP: Final = 32
_TOUCH_DELAY: Final = timedelta(seconds=5)

OnProgress = Callable[[WriteSession, MirrorDelta], Awaitable[None]]
"""Called inside each of the mirror's transactions, after its writes; raising rolls all of it back."""


class StepOutcome(StrEnum):
    """What a step found. `behind`: the node shows an older head of the same chain; nothing is taken back.

    `disputed`: a second node shows another chain than the first one; nothing is taken from either.
    """

    ADVANCED = "advanced"
    IDLE = "idle"
    BEHIND = "behind"
    FROZEN = "frozen"
    DISPUTED = "disputed"


@dataclass(frozen=True, slots=True)
class MirrorProgress:
    """One step: the head afterwards and what came in. `rewound` counts blocks that left the chain."""

    outcome: StepOutcome
    head_number: int
    node_head_number: int
    blocks: int = 0
    events: int = 0
    rewound: int = 0


class _Head(NamedTuple):
    number: int
    hash: bytes
    timestamp_s: int


class Mirror:
    """The mirror of one deployment; one caller of `step` at a time.

    Two mirrors on one database cannot both write: each transaction locks the head that it builds on.
    `alarm` says what is wrong with the node, or why the mirror is frozen; None while all is well.
    With `second`, what two nodes do not agree on is not taken. A head older than `head_age_max` raises an alarm;
    None on chains that make blocks only when there is something to put into them.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        rpc: RpcClient,
        deployment: Deployment,
        clock: Clock,
        *,
        finality: Finality,
        on_progress: OnProgress,
        pace: Pace | None = None,
        second: RpcClient | None = None,
        head_age_max: timedelta | None = None,
    ) -> None:
        self.alarm: str | None = None
        self._engine = engine
        self._deployment = deployment
        self._clock = clock
        self._finality = finality
        self._on_progress = on_progress
        self._pace = pace or Pace()
        self._reader = BlockReader(rpc, chain_id=deployment.chain_id, contract=deployment.contract)
        self._second = None
        if second is not None:
            reader = BlockReader(second, chain_id=deployment.chain_id, contract=deployment.contract)
            self._second = SecondNode(reader, clock)
        self._head_age_max = head_age_max
        self._alarms = MirrorAlarms(engine, clock)

    async def run(self, stop: asyncio.Event, *, poll_s: float = 0.25) -> None:
        """Step until `stop`, as the only mirror of the database; a standby waits its turn here.

        After a step that raised, the next one waits longer, up to 10 s; the alarm is logged once.
        """
        await run_alone(self._engine, self._advanced, stop, poll_s=poll_s)

    async def step(self) -> MirrorProgress:
        """Follow the node to its head, or as far as one step goes.

        Raises RpcUnavailableError, RpcError or NodeBehindError where the node gives no whole answer,
        NodeFaultError where it contradicts itself, ForeignChainError where it serves another chain and
        OvertakenError where another mirror moved the head. Each transaction begun is whole or void.
        """
        try:
            progress = await self._step()
        except (NodeFaultError, ForeignChainError) as error:
            self.alarm = error.detail
            await self._alarms.tell(node=error.detail)
            raise
        except (RpcUnavailableError, LimitExceededError):
            self._pace.failed()
            raise
        except DriftError as error:
            return await self._freeze(error.detail)
        if progress.outcome is not StepOutcome.FROZEN:
            self.alarm = None
            await self._alarms.tell(node=None, unbound_hashes=self._reader.unbound)
        return progress

    async def _advanced(self) -> bool:
        return (await self.step()).outcome is StepOutcome.ADVANCED

    async def _step(self) -> MirrorProgress:
        state = await self._load()
        if state.frozen_reason is not None:
            return self._frozen(state)
        head = _Head(state.head_number, state.head_hash, state.head_timestamp_s)
        view = await self._reader.look(head.number, tags=self._finality.uses_tags)
        await self._alarms.tell(head_age=self._head_age(view.head))
        agreed = await self._agreed(state, view)
        if agreed.conflict is not None:
            return await self._freeze(agreed.conflict)
        if agreed.newest != view.head:
            if agreed.newest is None or agreed.newest.number <= head.number:
                return MirrorProgress(StepOutcome.DISPUTED, head.number, view.head.number)
            view = view.until(agreed.newest)
        fork = await self._fork(head, view)
        if fork is None or fork.number < state.final_number:
            place = "before its first block" if fork is None else f"at block {fork.number}"
            return await self._freeze(f"the chain forked {place}, below the final block {state.final_number}")
        if fork != head:
            await self._rewind(head, fork)
        elif view.head.number <= head.number:
            await self._stay(state, view)
            behind = view.head.number < head.number
            outcome = StepOutcome.BEHIND if behind else StepOutcome.IDLE
            return MirrorProgress(outcome, head.number, view.head.number)
        return await self._advance(fork, view, rewound=head.number - fork.number)

    def _head_age(self, head: Header) -> str | None:
        age_max = self._head_age_max
        if age_max is None or self._clock.now().timestamp() - head.timestamp_s <= age_max.total_seconds():
            return None
        return f"the node's newest block {head.number} is older than {age_max.total_seconds():.0f} s"

    async def _agreed(self, state: MirrorState, view: NodeView) -> Agreement:
        """What the nodes agree on; with one node, all that it says."""
        if self._second is None:
            return Agreement(view.head)
        said = self._said_final(view.head.number, view)
        final = max(self._deployment.block_number, state.final_number, -1 if said is None else said)
        agreed = await self._second.agree(self._reader, view.head, final)
        await self._alarms.tell(second_node=agreed.alarm)
        return agreed

    async def _load(self) -> MirrorState:
        async with snapshot(self._engine) as session:
            state = await mirror_store.load(session)
        if state is not None:
            return state
        first = await self._reader.header(self._deployment.block_number)
        if first.hash != self._deployment.block_hash:
            raise ForeignChainError(f"block {first.number} is not the block of the deployment")
        async with transaction(self._engine, "begin") as session:
            await mirror_store.create(session, first, self._clock.now())
        return await self._load()

    async def _fork(self, head: _Head, view: NodeView) -> _Head | None:
        """The newest block that the stored chain and the node's share, None where they share none.

        A node that merely has not come as far as the stored chain forks from nothing: that is the head.
        """
        if view.here is not None and view.here.hash == head.hash:
            return head
        base = self._deployment.block_number
        last = min(head.number, view.head.number)
        if last < base:
            return head if view.here is None else None
        while last >= base:
            first = max(base, last - _WALK_BLOCKS + 1)
            theirs = await self._reader.headers(first, last)
            async with snapshot(self._engine) as session:
                ours = await mirror_store.hashes(session, first, last)
            for header in reversed(theirs):
                if ours.get(header.number) == header.hash:
                    behind = header.number == view.head.number < head.number
                    return head if behind else _Head(header.number, header.hash, header.timestamp_s)
            last = first - 1
        return None

    async def _advance(self, start: _Head, view: NodeView, *, rewound: int) -> MirrorProgress:
        head, events = start, 0
        async with aclosing(self._chunks(start, view.head.number)) as chunks:
            async for chunk in chunks:
                await self._write(head, chunk, view)
                newest = chunk[-1].header
                head = _Head(newest.number, newest.hash, newest.timestamp_s)
                events += sum(len(block.transfers) + len(block.events) for block in chunk)
        return MirrorProgress(
            StepOutcome.ADVANCED,
            head.number,
            view.head.number,
            blocks=head.number - start.number,
            events=events,
            rewound=rewound,
        )

    async def _chunks(self, head: _Head, target: int) -> AsyncGenerator[list[ProvenBlock]]:
        """The blocks after `head` up to `target`; the next chunk is read while the last is being written."""
        reading = asyncio.create_task(self._read(head, target))
        try:
            for left in reversed(range(_CHUNKS_PER_STEP)):
                chunk = await reading
                newest = chunk[-1].header
                more = left > 0 and newest.number < target
                if more:
                    after = _Head(newest.number, newest.hash, newest.timestamp_s)
                    reading = asyncio.create_task(self._read(after, target))
                yield chunk
                if not more:
                    return
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, head: _Head, target: int) -> list[ProvenBlock]:
        started_s = time.monotonic()
        last = min(head.number + self._pace.blocks, target)
        headers = await self._reader.headers(head.number + 1, last, head.hash)
        watched: frozenset[str] = frozenset()
        if any(header.transactions for header in headers):
            async with snapshot(self._engine) as session:
                attempts = await mirror_batches.admin_attempts(session)
            watched = frozenset("0x" + digest.hex() for digest in attempts)
        blocks = await self._reader.prove(headers, watched)
        events = sum(len(block.transfers) + len(block.events) for block in blocks)
        self._pace.done(blocks=len(blocks), events=events, took_s=time.monotonic() - started_s)
        return blocks

    async def _write(self, head: _Head, chunk: Sequence[ProvenBlock], view: NodeView) -> None:
        newest = chunk[-1].header
        transfers = [row for block in chunk for row in block.transfers]
        async with transaction(self._engine, "apply") as session:
            state = await mirror_store.lock(session, head.hash)
            await mirror_store.write_blocks(session, [block.header for block in chunk])
            await mirror_store.write_transfers(session, transfers)
            await mirror_store.write_events(session, [row for block in chunk for row in block.events])
            if transfers:
                state.supply += await mirror_store.apply_transfers(session, head.number + 1, newest.number)
            matches = await mirror_batches.match(session, chunk)
            state.head_number, state.head_hash = newest.number, newest.hash
            state.head_timestamp_s = newest.timestamp_s
            await self._finish(session, state, view, matches)

    async def _finish(self, session: WriteSession, state: MirrorState, view: NodeView, matches: Matches) -> None:
        """Advance finality, store the head and hand the changes on, in the caller's transaction."""
        final: list[str] = []
        final_number = await self._final_number(session, state, view)
        # What was mined only now may lie below the final block already.
        if final_number > state.final_number or matches.mined:
            state.final_number = final_number
            final = await mirror_batches.finalise(session, final_number)
        state.node_head_number = view.head.number
        state.checked_at = self._clock.now()
        await session.flush()
        mined, foreign, failed = matches
        if foreign:
            first = foreign[0]
            _LOG.warning("chain_foreign_orders", count=len(foreign), kind=first.kind, block=first.block_number)
        delta = MirrorDelta(state.head_number, mined=mined, final=final, foreign=foreign, failed=failed)
        await self._on_progress(session, delta)
        await mirror_store.announce(session, state.head_number)

    async def _final_number(self, session: WriteSession, state: MirrorState, view: NodeView) -> int:
        """The newest final block; it never goes back, and the deployment is final from the beginning."""
        final = self._stated_final(state, view)
        if view.finalized is not None and state.final_number < final == view.finalized.number:
            stored = await mirror_store.hashes(session, final, final)
            if stored.get(final) != view.finalized.hash:
                raise NodeFaultError(f"the node's final block {final} is not on the node's own chain")
        return final

    def _stated_final(self, state: MirrorState, view: NodeView) -> int:
        stated = self._said_final(state.head_number, view)
        floor = min(state.head_number, self._deployment.block_number)
        return max(state.final_number, floor, -1 if stated is None else stated)

    def _said_final(self, head_number: int, view: NodeView) -> int | None:
        finalized = None if view.finalized is None else view.finalized.number
        return self._finality.final_number(head=head_number, node_head=view.head.number, finalized=finalized)

    async def _stay(self, state: MirrorState, view: NodeView) -> None:
        """No new block; but blocks may have become final, and orders that held up their batch have left it."""
        now = self._clock.now()
        async with snapshot(self._engine) as session:
            complete = await mirror_batches.executed_redemptions(session)
        if complete or self._stated_final(state, view) > state.final_number:
            async with transaction(self._engine, "finalise") as session:
                locked = await mirror_store.lock(session, state.head_hash)
                mined = await mirror_batches.mine(session, complete)
                await self._finish(session, locked, view, Matches(mined, (), ()))
        elif state.node_head_number != view.head.number or now - state.checked_at >= _TOUCH_DELAY:
            async with transaction(self._engine, "touch") as session:
                await mirror_store.touch(session, view.head.number, now)

    async def _rewind(self, head: _Head, fork: _Head) -> None:
        """Take back every block above the fork; their batches wait for the new chain as submitted."""
        async with transaction(self._engine, "undo") as session:
            state = await mirror_store.lock(session, head.hash)
            state.supply += await mirror_store.undo(session, fork.number)
            state.head_number, state.head_hash, state.head_timestamp_s = fork
            reorged = await mirror_batches.unmine(session, fork.number)
            await session.flush()
            await self._on_progress(session, MirrorDelta(fork.number, reorged=reorged))
            await mirror_store.announce(session, fork.number)
        _LOG.warning("chain_reorganised", fork=fork.number, head=head.number, batches=len(reorged))

    async def _freeze(self, reason: str) -> MirrorProgress:
        async with transaction(self._engine, "freeze") as session:
            await mirror_store.freeze(session, reason)
        _LOG.error("mirror_frozen", reason=reason)
        return self._frozen(await self._load())

    def _frozen(self, state: MirrorState) -> MirrorProgress:
        self.alarm = state.frozen_reason
        return MirrorProgress(StepOutcome.FROZEN, state.head_number, state.node_head_number)
