"""The relayer: carries the ledger's orders to the contract, each exactly once.

PostgreSQL coordinates, the chain is the record. One pass decides what became of open batches, keeps their
transactions moving, then seals what waits. Every write boundary is one function of `relayer_store`, so that a
crash between any two of them finds either the state before or the state after.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
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
from mereau.chain.orders import ORDERS_CHANNEL
from mereau.chain.outcomes import Outcomes
from mereau.chain.pinned import PinnedBlock
from mereau.chain.relayer_alarms import FEE_CAP, FUNDS, Alarms, FundsPolicy, fee_alarm, funds_alarm
from mereau.chain.relayer_queries import MirrorView, OpenBatch, OpenTransaction
from mereau.chain.rpc import RpcClient
from mereau.chain.sealer import ChainState, OnRejected, Sealer, Tally
from mereau.chain.sealing import Fill, Limits, group, loads
from mereau.chain.signing import Signer, SignerRefusedError
from mereau.chain.simulation import GasPolicy
from mereau.core.clock import Clock
from mereau.core.db import snapshot

_LOG: Final = structlog.get_logger()
LEASE_NAME: Final = "relayer"

_SLICE_S: Final = 0.25
_RETRY_DELAY_S: Final = 1.0
_STANDBY_DELAY_S: Final = 1.0
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
    window_orders_max: int = 10_000
    in_flight_max: int = 16
    open_batches_max: int = 256
    poll_delay_s: float = 5.0
    limits: Limits = field(default_factory=Limits)
    gas: GasPolicy = field(default_factory=GasPolicy)
    funds: FundsPolicy = field(default_factory=FundsPolicy)
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
        self._passed_over: frozenset[int] = frozenset()
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
                if progress.standby:
                    await _sleep(stop, _STANDBY_DELAY_S)
                # What was sealed may have left orders behind it, and an import brings more at once.
                elif not progress.batches:
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
        pinned = await PinnedBlock.latest(self._rpc, crew.deployment)
        if pinned.number < max(work.mirror.head_number, self._seen_number):
            return Progress(waits_for="the node is behind what was seen before")
        self._seen_number = pinned.number
        return await self._pass(crew, work, pinned)

    async def _pass(self, crew: "_Crew", work: _Work, pinned: PinnedBlock) -> Progress:
        state = await self._state(work, pinned)
        crew.broadcaster.begin_step()
        affordable = await self._watch(crew, state)
        broadcasts = await crew.broadcaster.tend(work.transactions, dict(state.account_nonces))
        if work.mirror.frozen_reason is not None:
            return Progress(waits_for=work.mirror.frozen_reason, broadcasts=broadcasts)
        unspent = [one for one in work.transactions if one.nonce >= state.account_nonces[one.sender]]
        carried = frozenset(batch_id for one in unspent for batch_id in one.batch_ids)
        decision = await crew.outcomes.decide(work.batches, carried, state, work.mirror)
        await self._close_spent(work, len(unspent), pinned)
        tally = Tally()
        if work.ripe and affordable:
            in_flight = sum(one.sender == self._relayer for one in unspent)
            await self._seal(crew, work, state, tally, self._policy.in_flight_max - in_flight)
        return Progress(
            batches=tally.batches,
            orders=tally.orders,
            rejected=tally.rejected + decision.rejected,
            requeued=decision.requeued,
            broadcasts=broadcasts + decision.sent + tally.transactions,
            waits_for=None if affordable else "fees above the cap",
            ripe_in_s=None if work.ripe else work.ripe_in_s,
        )

    async def _watch(self, crew: "_Crew", state: ChainState) -> bool:
        """Whether new work can be paid for within the fee cap; raises and lowers the alarms.

        Beyond the cap orders stay queued: they can still be taken back, and they wait in fewer, larger batches.
        """
        market = await crew.broadcaster.market()
        policy, now = self._policy, self._clock.now()
        await crew.alarms.set(FEE_CAP, fee_alarm(market, policy.broadcast.fees), now)
        batch_cost_wei = state.gas_max * market.price_wei
        balance_wei = await state.pinned.balance(self._relayer)
        short = funds_alarm(balance_wei, batch_cost_wei, policy.funds, standing=crew.alarms.stands(FUNDS))
        await crew.alarms.set(FUNDS, short, now)
        return not market.exceeds(policy.broadcast.fees)

    async def _seal(self, crew: "_Crew", work: _Work, state: ChainState, tally: Tally, room: int) -> None:
        """Seal what the window holds, in at most `room` transactions."""
        known = [number for number, terms in state.partners.items() if terms.known and number not in self._passed_over]
        limit = min(self._policy.window_orders_max, room * crew.fill.orders)
        if limit <= 0:
            return
        async with snapshot(self._engine) as session:
            window = await queries.queued(
                session,
                deferred=crew.sealer.deferrals.excluded(work.oldest_open_seq),
                partners=known,
                limit=limit,
            )
        # Lines that wait may fill the whole window: every other pass looks past them.
        self._passed_over = frozenset()
        limits = replace(self._policy.limits, orders_max=crew.fill.orders)
        for load in loads(group(window, limits), limits):
            open_batches = len(work.batches) + tally.batches
            if tally.transactions >= room or open_batches >= self._policy.open_batches_max:
                return
            await crew.sealer.seal(load, state, tally)
        if len(window) == limit:
            self._passed_over = frozenset(partner for _, partner in tally.waiting if partner is not None)

    async def _work(self, crew: "_Crew") -> _Work:
        async with snapshot(self._engine) as session:
            batches = await queries.open_batches(session)
            deferred = crew.sealer.deferrals.excluded(batches[0].seq if batches else None)
            limit = crew.fill.orders
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
            self._policy.gas.gas_max(pinned.gas_limit),
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
        limits = self._policy.limits
        outcomes = Outcomes(self._engine, self._lease, drafter, broadcaster, admin, bytes_max=limits.bytes_max)
        fill = Fill(limits.orders_max)
        sealer = Sealer(
            self._engine, self._lease, drafter, broadcaster, self._clock, fill=fill, on_rejected=self._on_rejected
        )
        return _Crew(deployment, broadcaster, outcomes, sealer, fill, Alarms(self._lease))

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
    fill: Fill
    alarms: Alarms


async def _sleep(stop: asyncio.Event, delay_s: float) -> None:
    try:
        async with asyncio.timeout(delay_s):
            await stop.wait()
    except TimeoutError:
        return
