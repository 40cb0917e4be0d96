"""Seals one group: drafts it, lets a simulation find the orders that would fail, stores it and sends it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.chain import relayer_queries as queries
from mereau.chain import relayer_store as store
from mereau.chain.broadcasting import Broadcaster
from mereau.chain.contract import PartnerTerms, Revert
from mereau.chain.drafting import Draft, Drafter, Line
from mereau.chain.lease import Lease
from mereau.chain.orders import OrderKind
from mereau.chain.pinned import PinnedBlock
from mereau.chain.sealing import Group, QueuedOrder
from mereau.chain.signing import SignerRefusedError
from mereau.chain.simulation import TRANSACTION_GAS_MAX, Gas, TooLarge, simulate
from mereau.chain.verdicts import Blame, curable, judge
from mereau.core.clock import Clock
from mereau.core.db import WriteSession, snapshot
from mereau.core.ids import new_id

_LOG: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RejectedOrder:
    """An order that will never be executed, and why."""

    id: str
    reason: str


OnRejected = Callable[[WriteSession, Sequence[RejectedOrder]], Awaitable[None]]
"""Called in the transaction that rejects orders; raising rolls it back."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What became of one group. `waits`: nothing more can be sealed on its line for now."""

    orders: int = 0
    rejected: int = 0
    waits: bool = False


@dataclass(frozen=True, slots=True)
class ChainState:
    """The pinned block and what was read at it for one step."""

    pinned: PinnedBlock
    expirer: bytes
    partners: Mapping[int, PartnerTerms]
    expiry_sequence: int
    account_nonces: Mapping[bytes, int]

    @property
    def gas_max(self) -> int:
        """The most that one batch may take: half a block leaves room for others."""
        return min(TRANSACTION_GAS_MAX, self.pinned.gas_limit // 2)

    def line(self, kind: OrderKind, partner_number: int | None) -> Line | None:
        """The signer of a line and the sequence executed last on it, None off the lines."""
        if kind is OrderKind.EXPIRE:
            return Line(self.expirer, self.expiry_sequence)
        if kind in {OrderKind.ISSUE, OrderKind.REVERSE} and partner_number is not None:
            terms = self.partners[partner_number]
            return Line(terms.signer, terms.sequence)
        return None


@dataclass
class Deferrals:
    """Orders that failed while earlier batches were in flight, with the newest of those: they may help yet.

    Kept in memory only: a restart costs one more simulation.
    """

    fences: dict[str, int] = field(default_factory=dict)

    def excluded(self, oldest_open_seq: int | None) -> list[str]:
        """Ids that must go on waiting."""
        return [
            order_id
            for order_id, fence in self.fences.items()
            if oldest_open_seq is not None and oldest_open_seq <= fence
        ]


class Sealer:
    """Seals for one lease holder."""

    def __init__(
        self,
        engine: AsyncEngine,
        lease: Lease,
        drafter: Drafter,
        broadcaster: Broadcaster,
        clock: Clock,
        *,
        on_rejected: OnRejected,
    ) -> None:
        self._engine = engine
        self._lease = lease
        self._drafter = drafter
        self._broadcaster = broadcaster
        self._clock = clock
        self._on_rejected = on_rejected
        self.deferrals = Deferrals()

    async def seal(self, group: Group, state: ChainState) -> Sealed:
        """Seal as many of the group's orders as one transaction takes; the rest stays queued."""
        nonces = await self._redemption_nonces(group, state)
        rejected = 0
        while group.orders:
            try:
                draft = await self._draft(group, state, nonces)
            except SignerRefusedError as error:
                if group.kind is OrderKind.REDEEM and len(group.orders) > 1:
                    group = group.first(len(group.orders) // 2)
                    continue
                return await self._without_signature(group, error, rejected)
            outcome = await self._simulate(draft, state)
            if isinstance(outcome, Gas):
                return Sealed(len(group.orders), rejected, waits=not await self._store_and_send(draft, outcome, state))
            if isinstance(outcome, TooLarge):
                if len(group.orders) > 1:
                    group = group.first(len(group.orders) // 2)
                    continue
                outcome = Revert("GasExceeded", {"gas_max": state.gas_max})
            culprits, reason = await self._culprits(group, outcome, state, nonces)
            if not culprits:
                _LOG.warning("group_waits", kind=group.kind, partner=group.partner_number, reason=str(reason))
                return Sealed(0, rejected, waits=True)
            rejected += await self._dismiss(culprits, reason)
            group = group.without(order.id for order in culprits)
        return Sealed(0, rejected)

    async def _redemption_nonces(self, group: Group, state: ChainState) -> dict[bytes, int]:
        if group.kind is not OrderKind.REDEEM:
            return {}
        return await state.pinned.redemption_nonces([order.wallet for order in group.orders])

    async def _draft(self, group: Group, state: ChainState, nonces: Mapping[bytes, int]) -> Draft:
        line = state.line(group.kind, group.partner_number)
        if line is not None:
            async with snapshot(self._engine) as session:
                ours = await queries.last_sequence(session, group.partner_number)
            line = Line(line.signer, max(ours, line.sequence) + 1)
        return await self._drafter.draft(group, line, nonces, state.pinned.timestamp_s)

    async def _simulate(self, draft: Draft, state: ChainState) -> Gas | Revert | TooLarge:
        return await simulate(
            state.pinned.rpc,
            sender=draft.sender,
            target=draft.target,
            data=draft.call_data,
            gas_max=state.gas_max,
        )

    async def _culprits(
        self, group: Group, revert: Revert, state: ChainState, nonces: Mapping[bytes, int]
    ) -> tuple[Sequence[QueuedOrder], Revert]:
        """The orders to blame; none where the group has to wait."""
        verdict = judge(group, revert)
        if verdict.blame is not Blame.UNCLEAR:
            return verdict.culprits, revert
        return await self._search(group, revert, state, nonces)

    async def _search(
        self, group: Group, revert: Revert, state: ChainState, nonces: Mapping[bytes, int]
    ) -> tuple[Sequence[QueuedOrder], Revert]:
        """The first order that fails: items run in order, so that the shortest failing prefix ends with it."""
        passing, failing = 0, len(group.orders)
        while failing - passing > 1:
            middle = (passing + failing) // 2
            prefix = group.first(middle)
            outcome = await self._simulate(await self._draft(prefix, state, nonces), state)
            if isinstance(outcome, Revert):
                failing, revert = middle, outcome
                if judge(prefix, outcome).blame is Blame.NOBODY:
                    return (), outcome
            else:
                passing = middle
        return group.orders[failing - 1 : failing], revert

    async def _without_signature(self, group: Group, error: SignerRefusedError, rejected: int) -> Sealed:
        """A missing partner key stops its line; a member's key that is not here ends the member's order."""
        if group.kind is not OrderKind.REDEEM:
            _LOG.error("signer_refused", kind=group.kind, partner=group.partner_number, reason=error.detail)
            return Sealed(0, rejected, waits=True)
        return Sealed(0, rejected + await self._reject(group.orders, error.detail))

    async def _dismiss(self, culprits: Sequence[QueuedOrder], revert: Revert) -> int:
        """Reject culprits, or let them wait where what is in flight may put them right; counts the rejected."""
        if curable(revert):
            culprits = [order for order in culprits if not await self._deferred(order)]
        return await self._reject(culprits, str(revert)) if culprits else 0

    async def _deferred(self, order: QueuedOrder) -> bool:
        async with snapshot(self._engine) as session:
            fence = self.deferrals.fences.get(order.id)
            if fence is None:
                fence = await queries.newest_seq(session)
            waits = await queries.exists_open_up_to(session, fence)
        if waits:
            self.deferrals.fences[order.id] = fence
        return waits

    async def _reject(self, orders: Sequence[QueuedOrder], reason: str) -> int:
        async with self._lease.writing("reject") as session:
            ids = await store.reject(session, [(order.id, reason) for order in orders])
            await self._on_rejected(session, [RejectedOrder(order_id, reason) for order_id in ids])
        for order_id in ids:
            self.deferrals.fences.pop(order_id, None)
        _LOG.warning("orders_rejected", orders=len(ids), reason=reason)
        return len(ids)

    async def _store_and_send(self, draft: Draft, gas: Gas, state: ChainState) -> bool:
        """Whether the sender's key was there; without it the sealed batch waits for the key."""
        group = draft.group
        batch = store.SealedBatch(
            id=new_id("bat", self._clock.now()),
            kind=group.kind,
            partner_number=None if group.kind is OrderKind.REDEEM else group.partner_number,
            sequence=draft.sequence,
            trail_root=draft.trail_root,
            sender=draft.sender,
            call_data=draft.call_data,
            tokens=group.tokens,
            gas_limit=gas.limit,
            order_ids=tuple(order.id for order in group.orders),
            signed=draft.signed or ((None, None),) * len(group.orders),
        )
        async with self._lease.writing("seal") as session:
            await store.seal(session, batch)
        for order in group.orders:
            self.deferrals.fences.pop(order.id, None)
        try:
            await self._broadcaster.send(
                batch.id,
                sender=draft.sender,
                target=draft.target,
                data=draft.call_data,
                gas_limit=gas.limit,
                floor_nonce=await self._floor(draft.sender, state),
            )
        except SignerRefusedError as error:
            _LOG.error("signer_refused", sender="0x" + draft.sender.hex(), reason=error.detail)
            return False
        return True

    async def _floor(self, sender: bytes, state: ChainState) -> int:
        floor = state.account_nonces.get(sender)
        return (await state.pinned.account_nonces([sender]))[sender] if floor is None else floor
