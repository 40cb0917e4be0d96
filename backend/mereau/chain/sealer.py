"""Seals groups of orders: drafts them, lets a simulation find what would fail, stores and sends the rest."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.chain import relayer_queries as queries
from mereau.chain import relayer_store as store
from mereau.chain.broadcasting import Broadcaster, Call
from mereau.chain.contract import PartnerTerms, Revert, encode_together
from mereau.chain.drafting import Draft, Drafter, Line
from mereau.chain.errors import RpcError
from mereau.chain.lease import Lease
from mereau.chain.orders import OrderKind
from mereau.chain.pinned import PinnedBlock
from mereau.chain.sealing import Fill, Group, QueuedOrder
from mereau.chain.signing import SignerRefusedError
from mereau.chain.simulation import Gas, TooLarge, confirm, simulate
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


@dataclass
class Tally:
    """What one pass sealed so far. `waiting`: lines on which nothing more can be sealed for now."""

    transactions: int = 0
    batches: int = 0
    orders: int = 0
    rejected: int = 0
    waiting: set[tuple[OrderKind, int | None]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class ChainState:
    """The pinned block and what was read at it for one step; `gas_max` is the most that one transaction may take."""

    pinned: PinnedBlock
    expirer: bytes
    partners: Mapping[int, PartnerTerms]
    expiry_sequence: int
    account_nonces: Mapping[bytes, int]
    gas_max: int

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
    """Orders that failed while earlier batches were not final, with the newest of those: they may help yet.

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
        fill: Fill,
        on_rejected: OnRejected,
    ) -> None:
        self._engine = engine
        self._lease = lease
        self._drafter = drafter
        self._broadcaster = broadcaster
        self._clock = clock
        self._fill = fill
        self._on_rejected = on_rejected
        self.deferrals = Deferrals()

    async def seal(self, load: Sequence[Group], state: ChainState, tally: Tally) -> None:
        """Seal the groups in one transaction or, where they do not pass together, in halves.

        A group alone is sealed with as many of its orders as pass; the rest stays queued.
        """
        load = [group for group in load if group.line not in tally.waiting]
        if len(load) > 1:
            if not await self._together(load, state, tally):
                middle = len(load) // 2
                await self.seal(load[:middle], state, tally)
                await self.seal(load[middle:], state, tally)
            return
        for group in load:
            try:
                await self._alone(group, state, tally)
            except RpcError as error:
                # One group that the node cannot digest must not hold up the others.
                _LOG.error("group_refused", kind=group.kind, partner=group.partner_number, reason=str(error))
                tally.waiting.add(group.line)

    async def _together(self, load: Sequence[Group], state: ChainState, tally: Tally) -> bool:
        """Whether the groups passed as one transaction; if not, nothing was written."""
        try:
            drafts = await self._drafts(load, state, {})
            outcome = await self._simulate(drafts, state)
        except (SignerRefusedError, RpcError):
            return False
        if not isinstance(outcome, Gas):
            return False
        try:
            await self._store_and_send(drafts, outcome, state, tally)
        except store.OrdersWithdrawnError:
            return False
        return True

    async def _alone(self, group: Group, state: ChainState, tally: Tally) -> None:
        nonces = await self._redemption_nonces(group, state)
        while group.orders:
            try:
                drafts = await self._drafts([group], state, nonces)
            except SignerRefusedError as error:
                if group.kind is OrderKind.REDEEM and len(group.orders) > 1:
                    group = group.first(len(group.orders) // 2)
                    continue
                return await self._without_signature(group, error, tally)
            outcome = await self._simulate(drafts, state)
            if isinstance(outcome, Gas):
                try:
                    return await self._store_and_send(drafts, outcome, state, tally)
                except store.OrdersWithdrawnError as withdrawn:
                    # Its member cancelled it meanwhile, or the credit that it takes from was rejected in this pass.
                    group = group.without(withdrawn.ids)
                    continue
            if isinstance(outcome, TooLarge):
                if len(group.orders) > 1:
                    group = group.first(len(group.orders) // 2)
                    continue
                outcome = Revert("GasExceeded", {"gas_max": state.gas_max})
            culprits, reason = await self._culprits(group, outcome, state, nonces)
            if not culprits:
                _LOG.warning("group_waits", kind=group.kind, partner=group.partner_number, reason=str(reason))
                tally.waiting.add(group.line)
                return None
            tally.rejected += await self._dismiss(culprits, reason)
            group = group.without(order.id for order in culprits)
        return None

    async def _redemption_nonces(self, group: Group, state: ChainState) -> dict[bytes, int]:
        if group.kind is not OrderKind.REDEEM:
            return {}
        return await state.pinned.redemption_nonces([order.wallet for order in group.orders])

    async def _drafts(self, load: Sequence[Group], state: ChainState, nonces: Mapping[bytes, int]) -> list[Draft]:
        """Each group's call; those of one line take its next sequences in their order."""
        partners = {group.partner_number for group in load if group.partner_number is not None}
        async with snapshot(self._engine) as session:
            given = await queries.last_sequences(session, sorted(partners))
        drafts = []
        for group in load:
            line = state.line(group.kind, group.partner_number)
            if line is not None:
                sequence = max(given[group.partner_number], line.sequence) + 1
                given[group.partner_number] = sequence
                line = Line(line.signer, sequence)
            drafts.append(await self._drafter.draft(group, line, nonces, state.pinned.timestamp_s))
        return drafts

    async def _simulate(self, drafts: Sequence[Draft], state: ChainState) -> Gas | Revert | TooLarge:
        rpc, sender, target = state.pinned.rpc, drafts[0].sender, drafts[0].target
        data = encode_together([draft.call_data for draft in drafts])
        if drafts[0].sequence is None:
            return await simulate(rpc, sender=sender, target=target, data=data, gas_max=state.gas_max)
        orders = sum(len(draft.group.orders) for draft in drafts)
        expected = self._fill.expected(orders, state.gas_max)
        if expected is not None:
            confirmed = await confirm(rpc, sender=sender, target=target, data=data, gas=expected, gas_max=state.gas_max)
            if confirmed is not None:
                return confirmed
        try:
            outcome = await simulate(rpc, sender=sender, target=target, data=data, gas_max=state.gas_max)
        except RpcError:
            if orders == 1:
                raise
            # In words that nobody knows a node may mean the size; fewer orders will tell.
            outcome = TooLarge()
        if isinstance(outcome, Gas):
            self._fill.passed(orders, outcome.used, state.gas_max)
        elif isinstance(outcome, TooLarge):
            self._fill.failed(orders)
        return outcome

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
            outcome = await self._simulate(await self._drafts([prefix], state, nonces), state)
            if isinstance(outcome, Revert):
                failing, revert = middle, outcome
                if judge(prefix, outcome).blame is Blame.NOBODY:
                    return (), outcome
            else:
                passing = middle
        return group.orders[failing - 1 : failing], revert

    async def _without_signature(self, group: Group, error: SignerRefusedError, tally: Tally) -> None:
        """A missing partner key stops its line; a member's key that is not here ends the member's order."""
        if group.kind is OrderKind.REDEEM:
            tally.rejected += await self._reject(group.orders, error.detail)
            return
        _LOG.error("signer_refused", kind=group.kind, partner=group.partner_number, reason=error.detail)
        tally.waiting.add(group.line)

    async def _dismiss(self, culprits: Sequence[QueuedOrder], revert: Revert) -> int:
        """Reject culprits, or let them wait where what is in flight may put them right; counts the rejected."""
        if curable(revert):
            culprits = [order for order in culprits if not await self._deferred(order)]
        return await self._reject(culprits, str(revert)) if culprits else 0

    async def _deferred(self, order: QueuedOrder) -> bool:
        """Whether an order before it, or a batch from before its first failure without any, may still help it.

        A rejection is for ever, so that it rests on what is final alone: the node may just have forgotten a block
        that the mirror still holds for true, or have refused the credit that this order takes from.
        """
        async with snapshot(self._engine) as session:
            if await queries.exists_helper_before(session, order):
                return True
            fence = self.deferrals.fences.get(order.id)
            if fence is None:
                fence = await queries.newest_seq(session)
            waits = await queries.exists_revocable_up_to(session, fence)
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

    async def _store_and_send(self, drafts: Sequence[Draft], gas: Gas, state: ChainState, tally: Tally) -> None:
        """Seal every draft, then send all of them in one transaction.

        Without the sender's key the sealed batches wait for it, and with them their lines.
        """
        batches = [self._batch(draft, gas.limit) for draft in drafts]
        async with self._lease.writing("seal") as session:
            for batch in batches:
                await store.seal(session, batch)
        tally.transactions += 1
        tally.batches += len(batches)
        for batch in batches:
            tally.orders += len(batch.order_ids)
            for order_id in batch.order_ids:
                self.deferrals.fences.pop(order_id, None)
        sender = drafts[0].sender
        call_data = encode_together([draft.call_data for draft in drafts])
        call = Call(sender, drafts[0].target, call_data, gas.limit, tuple(batch.id for batch in batches))
        try:
            await self._broadcaster.send(call, floor_nonce=await self._floor(sender, state))
        except SignerRefusedError as error:
            _LOG.error("signer_refused", sender="0x" + sender.hex(), reason=error.detail)
            tally.waiting |= {draft.group.line for draft in drafts}

    def _batch(self, draft: Draft, gas_limit: int) -> store.SealedBatch:
        group = draft.group
        return store.SealedBatch(
            id=new_id("bat", self._clock.now()),
            kind=group.kind,
            partner_number=group.partner_number,
            sequence=draft.sequence,
            trail_root=draft.trail_root,
            sender=draft.sender,
            call_data=draft.call_data,
            tokens=group.tokens,
            gas_limit=gas_limit,
            order_ids=tuple(order.id for order in group.orders),
            signed=draft.signed or ((None, None),) * len(group.orders),
        )

    async def _floor(self, sender: bytes, state: ChainState) -> int:
        floor = state.account_nonces.get(sender)
        return (await state.pinned.account_nonces([sender]))[sender] if floor is None else floor
