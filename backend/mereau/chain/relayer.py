"""The relayer: carries the ledger's orders to the contract, each exactly once.

PostgreSQL coordinates, the chain is the record. One pass decides what became of open batches, keeps their
transactions moving, then seals what waits. Every write boundary is one function of `relayer_store`, so that a
crash between any two of them finds either the state before or the state after.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

import psycopg
import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.chain import relayer_queries as queries
from mereau.chain import relayer_store as store
from mereau.chain.admin_outcomes import AdminOutcomes
from mereau.chain.broadcasting import Broadcaster, BroadcastPolicy
from mereau.chain.contract import OrderDomain
from mereau.chain.deployment import check_identity
from mereau.chain.drafting import Drafter
from mereau.chain.errors import RpcError, RpcUnavailableError
from mereau.chain.lease import Lease, LeaseLostError
from mereau.chain.mirror_store import BLOCKS_CHANNEL
from mereau.chain.models import Deployment
from mereau.chain.orders import ORDERS_CHANNEL, OrderKind
from mereau.chain.outcomes import Outcomes
from mereau.chain.pinned import PinnedBlock
from mereau.chain.relayer_queries import MirrorView, OpenBatch, OpenTransaction
from mereau.chain.rpc import RpcClient
from mereau.chain.sealer import ChainState, OnRejected, Sealed, Sealer
from mereau.chain.sealing import Limits, group
from mereau.chain.signing import Signer, SignerRefusedError
from mereau.core.clock import Clock
from mereau.core.db import snapshot

_LOG: Final = structlog.get_logger()
LEASE_NAME: Final = "relayer"

_SLICE_S: Final = 0.25
_RETRY_DELAY_S: Final = 1.0
_PASSING_FAULTS: Final = (
    RpcUnavailableError,
    RpcError,
    SignerRefusedError,
    LeaseLostError,
    DBAPIError,
    psycopg.Error,
)


@dataclass(frozen=True, slots=True)
class RelayerPolicy:
    """When and how much to seal.

    `seal_delay_s`: an order waits at most this long for company; a full batch does not wait.
    `window_orders_max`: orders read at once; bounds memory. `in_flight_max`: transactions of the relayer that may
    be unmined at once; nodes drop what goes far beyond 16. `open_batches_max`: how far sealing may run ahead of
    the mirror.
    `poll_delay_s`: a pass is made at least this often, whatever was announced.
    """

    seal_delay_s: float = 1.0
    window_orders_max: int = 2_000
    in_flight_max: int = 16
    open_batches_max: int = 256
    poll_delay_s: float = 5.0
    limits: Limits = field(default_factory=Limits)
    broadcast: BroadcastPolicy = field(default_factory=BroadcastPolicy)


@dataclass(frozen=True, slots=True)
class Progress:
    """What one pass did.

    `standby`: another process is the relayer. `waits_for`: why nothing was decided. `ripe_in_s`: when the orders
    that wait for company have waited long enough.
    """

    standby: bool = False
    waits_for: str | None = None
    batches: int = 0
    orders: int = 0
    rejected: int = 0
    requeued: int = 0
    broadcasts: int = 0
    ripe_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Work:
    """What the database says before the chain is asked."""

    mirror: MirrorView
    batches: Sequence[OpenBatch]
    transactions: Sequence[OpenTransaction]
    partners: Sequence[int]
    ripe_in_s: float | None

    @property
    def ripe(self) -> bool:
        return self.ripe_in_s == 0

    @property
    def oldest_open_seq(self) -> int | None:
        return self.batches[0].seq if self.batches else None


class Relayer:
    """One relayer process. Use it as a context manager: leaving it hands the lease over.

    `relayer_address` pays for the gas and has no power over tokens; `expirer_address` signs expiries.
    `on_rejected` runs in the transaction that rejects orders.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        rpc: RpcClient,
        signer: Signer,
        clock: Clock,
        *,
        relayer_address: bytes,
        expirer_address: bytes,
        policy: RelayerPolicy,
        on_rejected: OnRejected,
    ) -> None:
        self._engine = engine
        self._rpc = rpc
        self._signer = signer
        self._clock = clock
        self._relayer = relayer_address
        self._expirer = expirer_address
        self._policy = policy
        self._on_rejected = on_rejected
        self._lease = Lease(engine, LEASE_NAME, (ORDERS_CHANNEL, BLOCKS_CHANNEL))
        self._crew: _Crew | None = None
        self._seen_number = -1
        self._final_number = -1

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Hand the lease over."""
        await self._lease.close()

    async def run(self, stop: asyncio.Event) -> None:
        """Pass after pass until `stop` is set; the pass that runs then is finished.

        Faults of the node, of the network and of the database are logged and tried again. ConfigurationError
        ends the loop: the chain is another one.
        """
        while not stop.is_set():
            try:
                progress = await self.step()
                # What was sealed may have left orders behind it, and an import brings more at once.
                if not progress.batches:
                    await self._pause(stop, progress.ripe_in_s)
            except _PASSING_FAULTS as error:
                _LOG.warning("relayer_pass_failed", reason=f"{type(error).__name__}: {error}")
                self._crew = None
                await _sleep(stop, _RETRY_DELAY_S)

    async def step(self) -> Progress:
        """One pass. Raises RpcUnavailableError, RpcError, LeaseLostError; what was written until then stands.

        Raises ConfigurationError where the node serves another chain than the recorded one.
        """
        if await self._lease.acquire() is None:
            return Progress(standby=True)
        crew = await self._ready()
        work = await self._work(crew)
        if not (work.batches or work.transactions or work.ripe):
            return Progress(ripe_in_s=work.ripe_in_s)
        pinned = await PinnedBlock.latest(self._rpc, crew.deployment.contract)
        if pinned.number < max(work.mirror.head_number, self._seen_number):
            return Progress(waits_for="the node is behind what was seen before")
        self._seen_number = pinned.number
        return await self._pass(crew, work, pinned)

    async def _pass(self, crew: "_Crew", work: _Work, pinned: PinnedBlock) -> Progress:
        state = await self._state(work, pinned)
        crew.broadcaster.begin_step()
        broadcasts = await crew.broadcaster.tend(work.transactions, dict(state.account_nonces))
        if work.mirror.frozen_reason is not None:
            return Progress(waits_for=work.mirror.frozen_reason, broadcasts=broadcasts)
        unspent = [one for one in work.transactions if one.nonce >= state.account_nonces[one.sender]]
        carried = frozenset(one.batch_id for one in unspent)
        decision = await crew.outcomes.decide(work.batches, carried, state, work.mirror)
        await self._close_spent(work, len(unspent), pinned)
        sealed = Progress()
        if work.ripe:
            in_flight = sum(one.sender == self._relayer for one in unspent)
            room = min(self._policy.in_flight_max - in_flight, self._policy.open_batches_max - len(work.batches))
            sealed = await self._seal(crew, work, state, room)
        return Progress(
            batches=sealed.batches,
            orders=sealed.orders,
            rejected=sealed.rejected + decision.rejected,
            requeued=decision.requeued,
            broadcasts=broadcasts + decision.sent + sealed.batches,
            ripe_in_s=None if work.ripe else work.ripe_in_s,
        )

    async def _seal(self, crew: "_Crew", work: _Work, state: ChainState, room: int) -> Progress:
        known = [number for number, terms in state.partners.items() if terms.known]
        async with snapshot(self._engine) as session:
            window = await queries.queued(
                session,
                deferred=crew.sealer.deferrals.excluded(work.oldest_open_seq),
                partners=known,
                limit=self._policy.window_orders_max,
            )
        batches = orders = rejected = 0
        waiting: set[tuple[OrderKind, int | None]] = set()
        for one in group(window, self._policy.limits):
            line = (one.kind, one.partner_number)
            if batches >= room or line in waiting:
                continue
            try:
                sealed = await crew.sealer.seal(one, state)
            except RpcError as error:
                # One group that the node cannot digest must not hold up the others.
                _LOG.error("group_refused", kind=one.kind, partner=one.partner_number, reason=str(error))
                sealed = Sealed(waits=True)
            if sealed.waits:
                waiting.add(line)
            batches += bool(sealed.orders)
            orders += sealed.orders
            rejected += sealed.rejected
        return Progress(batches=batches, orders=orders, rejected=rejected)

    async def _work(self, crew: "_Crew") -> _Work:
        async with snapshot(self._engine) as session:
            batches = await queries.open_batches(session)
            deferred = crew.sealer.deferrals.excluded(batches[0].seq if batches else None)
            limit = self._policy.limits.orders_max
            waiting, age = await queries.waiting(session, deferred, limit)
            missing_s = 0 if waiting == limit else self._policy.seal_delay_s - age.total_seconds()
            return _Work(
                await queries.mirror_view(session),
                batches,
                await queries.open_transactions(session),
                await queries.queued_partners(session) if waiting else (),
                max(missing_s, 0) if waiting else None,
            )

    async def _state(self, work: _Work, pinned: PinnedBlock) -> ChainState:
        numbers = {batch.partner_number for batch in work.batches} | set(work.partners)
        senders = {self._relayer, *(batch.sender for batch in work.batches)}
        senders |= {one.sender for one in work.transactions}
        return ChainState(
            pinned,
            self._expirer,
            await pinned.partners(sorted(number for number in numbers if number is not None)),
            await pinned.expiry_sequence(),
            await pinned.account_nonces(sorted(senders)),
        )

    async def _close_spent(self, work: _Work, unspent: int, pinned: PinnedBlock) -> None:
        """Close transactions whose nonce a final block has spent, when finality has moved."""
        final = min(work.mirror.final_number, pinned.number)
        if final <= self._final_number or unspent == len(work.transactions):
            return
        senders = sorted({one.sender for one in work.transactions})
        try:
            nonces = await pinned.account_nonces_at(senders, final)
        except RpcError as error:
            # Tidying up needs history that the node may have pruned; a younger final block will do as well.
            _LOG.info("spent_nonces_unknown", reason=str(error))
            return
        async with self._lease.writing("close") as session:
            for sender, nonce in nonces.items():
                await store.close_spent(session, sender, nonce)
        self._final_number = final

    async def _ready(self) -> "_Crew":
        if self._crew is None:
            async with snapshot(self._engine) as session:
                deployment = await check_identity(session, self._rpc)
            self._crew = self._hire(deployment)
        return self._crew

    def _hire(self, deployment: Deployment) -> "_Crew":
        broadcaster = Broadcaster(
            self._engine,
            self._lease,
            self._rpc,
            self._signer,
            self._clock,
            chain_id=deployment.chain_id,
            policy=self._policy.broadcast,
        )
        domain = OrderDomain(deployment.chain_id, deployment.contract)
        drafter = Drafter(domain, self._signer, self._clock, self._relayer)
        admin = AdminOutcomes(self._engine, self._lease, broadcaster, on_rejected=self._on_rejected)
        outcomes = Outcomes(self._engine, self._lease, drafter, broadcaster, admin)
        sealer = Sealer(self._engine, self._lease, drafter, broadcaster, self._clock, on_rejected=self._on_rejected)
        return _Crew(deployment, broadcaster, outcomes, sealer)

    async def _pause(self, stop: asyncio.Event, ripe_in_s: float | None) -> None:
        """Until waiting orders are ripe; without any, until something is announced or the poll delay has passed."""
        if ripe_in_s is not None:
            return await _sleep(stop, ripe_in_s)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._policy.poll_delay_s
        while not stop.is_set() and loop.time() < deadline:
            if await self._lease.wait(_SLICE_S):
                return None
        return None


@dataclass(frozen=True, slots=True)
class _Crew:
    """The parts that work for one verified deployment."""

    deployment: Deployment
    broadcaster: Broadcaster
    outcomes: Outcomes
    sealer: Sealer


async def _sleep(stop: asyncio.Event, delay_s: float) -> None:
    try:
        async with asyncio.timeout(delay_s):
            await stop.wait()
    except TimeoutError:
        return
