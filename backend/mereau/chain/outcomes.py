"""Decides what became of batches that no unspent transaction carries any more.

Taken at one pinned block: first the contract's own record (sequence, redemption nonce), then the account's nonce,
then a new transaction. A missing receipt decides nothing. What was executed is left to the mirror; orders return
to the queue only when a final block proves that their batch can never execute.

A transaction takes effect as a whole, so that one failing batch fails all that it carries. They are put together
again without it: in one transaction where they pass together, else in halves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.chain import relayer_queries as queries
from mereau.chain import relayer_store as store
from mereau.chain.admin_outcomes import AdminOutcomes
from mereau.chain.broadcasting import Broadcaster, Call
from mereau.chain.contract import (
    Redemption,
    Revert,
    encode_call,
    encode_together,
    pack_redemptions,
    unpack_redemptions,
)
from mereau.chain.drafting import Drafter, Line
from mereau.chain.errors import RpcError
from mereau.chain.lease import Lease
from mereau.chain.orders import OrderKind
from mereau.chain.relayer_queries import MirrorView, OpenBatch, SealedOrder
from mereau.chain.sealer import ChainState
from mereau.chain.signing import SignerRefusedError
from mereau.chain.simulation import Gas, TooLarge, simulate
from mereau.chain.verdicts import curable
from mereau.core.db import snapshot

_LOG: Final = structlog.get_logger()
_TRANSACTIONS_MAX: Final = 8
# A batch that failed so often may be what its neighbours failed of: from now on it goes alone.
_TOGETHER_MAX: Final = 2
_EVENTS: Final = {OrderKind.ISSUE: "Issued", OrderKind.REVERSE: "Reversed", OrderKind.EXPIRE: "Expired"}
# These pass by themselves, or with a batch that stands before this one.
_PASSING: Final = frozenset({"EnforcedPause", "LoyaltySequence", "AccessControlUnauthorizedAccount"})
_REDEMPTIONS_OFFSET: Final = 4 + 32 + 32  # selector, offset and length before the packed records


@dataclass(frozen=True, slots=True)
class Decision:
    """What one pass over the open batches did."""

    sent: int = 0
    requeued: int = 0
    rejected: int = 0

    def plus(self, other: "Decision") -> "Decision":
        return Decision(self.sent + other.sent, self.requeued + other.requeued, self.rejected + other.rejected)


class Outcomes:
    """Decides for one lease holder; no transaction carries more than `bytes_max` of call data."""

    def __init__(
        self,
        engine: AsyncEngine,
        lease: Lease,
        drafter: Drafter,
        broadcaster: Broadcaster,
        admin: AdminOutcomes,
        *,
        bytes_max: int,
    ) -> None:
        self._engine = engine
        self._lease = lease
        self._drafter = drafter
        self._broadcaster = broadcaster
        self._admin = admin
        self._bytes_max = bytes_max
        self._oldest_seq = 0

    async def decide(
        self, batches: Sequence[OpenBatch], carried: frozenset[str], state: ChainState, mirror: MirrorView
    ) -> Decision:
        """Go through the open batches, oldest first; `carried` are those that an unspent transaction carries."""
        decision = Decision()
        self._oldest_seq = batches[0].seq if batches else 0
        unsent = []
        for batch in batches:
            if batch.id not in carried:
                try:
                    if self._is_unused(batch, state):
                        unsent.append(batch)
                    else:
                        decision = decision.plus(await self._decide(batch, state, mirror))
                except (RpcError, SignerRefusedError) as error:
                    # One batch that the node or a signer refuses must not hold up the others.
                    _LOG.error("batch_undecided", batch=batch.id, reason=str(error))
        return decision.plus(await self._resend_all(unsent, state))

    @staticmethod
    def _is_unused(batch: OpenBatch, state: ChainState) -> bool:
        """Whether the batch stands on a signer's line whose sequence nobody has used, and may be sent again."""
        line = state.line(batch.kind, batch.partner_number)
        untried = batch.transaction_count < _TRANSACTIONS_MAX
        return untried and line is not None and batch.sequence is not None and line.sequence < batch.sequence

    async def _decide(self, batch: OpenBatch, state: ChainState, mirror: MirrorView) -> Decision:
        if batch.transaction_count >= _TRANSACTIONS_MAX:
            return await self._stick(batch, f"{batch.transaction_count} transactions did not execute it")
        if batch.kind is OrderKind.ADMIN:
            sent, rejected = await self._admin.decide(batch, state, mirror)
            return Decision(sent=sent, rejected=rejected)
        if batch.kind is OrderKind.REDEEM:
            return await self._redemptions(batch, state, mirror)
        if batch.sequence is None:
            raise ValueError(f"batch {batch.id} stands on no line")
        return await self._consumed(batch, batch.sequence, state, mirror)

    async def _resend_all(self, batches: Sequence[OpenBatch], state: ChainState) -> Decision:
        """Send batches whose sequences are unused: in shared transactions, the suspicious ones each alone."""
        shared = [batch for batch in batches if batch.transaction_count < _TOGETHER_MAX]
        decision = await self._resend(shared, state)
        for batch in batches:
            if batch.transaction_count >= _TOGETHER_MAX:
                decision = decision.plus(await self._resend([batch], state))
        return decision

    async def _resend(self, batches: Sequence[OpenBatch], state: ChainState) -> Decision:
        if len(batches) <= 1:
            return await self._resend_alone(batches[0], state) if batches else Decision()
        async with snapshot(self._engine) as session:
            calls = await queries.call_data(session, [batch.id for batch in batches])
        if sum(map(len, calls.values())) <= self._bytes_max:
            call_data = encode_together([calls[batch.id] for batch in batches])
            try:
                outcome = await self._simulate(call_data, batches[0], state)
                if isinstance(outcome, Gas):
                    return await self._send(batches, call_data, outcome, state)
            except (RpcError, SignerRefusedError) as error:
                _LOG.warning("transaction_split", batches=len(batches), reason=str(error))
        middle = len(batches) // 2
        first = await self._resend(batches[:middle], state)
        return first.plus(await self._resend(batches[middle:], state))

    async def _resend_alone(self, batch: OpenBatch, state: ChainState) -> Decision:
        """Send it, let it wait for what may help it, or void it."""
        try:
            call_data = await self._call_data(batch)
            outcome = await self._simulate(call_data, batch, state)
            if isinstance(outcome, Gas):
                return await self._send([batch], call_data, outcome, state)
            if isinstance(outcome, Revert) and self._may_pass(batch, outcome):
                _LOG.info("batch_waits", batch=batch.id, reason=str(outcome))
                return Decision()
            return await self._void(batch, outcome, state)
        except (RpcError, SignerRefusedError) as error:
            _LOG.error("batch_undecided", batch=batch.id, reason=str(error))
            return Decision()

    async def _call_data(self, batch: OpenBatch) -> bytes:
        async with snapshot(self._engine) as session:
            return (await queries.call_data(session, [batch.id]))[batch.id]

    async def _consumed(self, batch: OpenBatch, sequence: int, state: ChainState, mirror: MirrorView) -> Decision:
        """The sequence is used up: by this batch, which the mirror will tell, or by another payload."""
        if mirror.head_number < state.pinned.number:
            return Decision()
        async with snapshot(self._engine) as session:
            event = await queries.line_consumption(session, batch.partner_number, sequence)
        if event is None or event.block_number > mirror.final_number:
            return Decision()
        if (event.name, event.mark) == (_EVENTS[batch.kind], batch.trail_root):
            return Decision()
        return await self._supersede(batch, f"{event.name} in block {event.block_number} used its sequence")

    async def _void(self, batch: OpenBatch, outcome: Revert | TooLarge, state: ChainState) -> Decision:
        """Use up the sequence of a batch that can never execute; its orders return when that is final."""
        line = state.line(batch.kind, batch.partner_number)
        if line is None or batch.sequence is None:
            raise ValueError(f"batch {batch.id} stands on no line")
        reason = str(outcome) if isinstance(outcome, Revert) else "more gas than a transaction may have"
        call_data = await self._drafter.void(batch.kind, batch.partner_number, Line(line.signer, batch.sequence))
        gas = await self._simulate(call_data, batch, state)
        if not isinstance(gas, Gas):
            _LOG.error("void_refused", batch=batch.id, reason=str(gas))
            return Decision()
        _LOG.warning("batch_voided", batch=batch.id, reason=reason)
        return await self._send([batch], call_data, gas, state)

    async def _redemptions(self, batch: OpenBatch, state: ChainState, mirror: MirrorView) -> Decision:
        """Anybody may submit single redemptions of the batch, so that each one is looked at.

        Those whose nonce is unused go into a new transaction while their signature lives. A signature that can
        never execute any more lets its order return to the queue.
        """
        async with snapshot(self._engine) as session:
            orders = await queries.sealed_redemptions(session, batch.id)
        nonces = await state.pinned.redemption_nonces([order.wallet for order in orders])
        unused = [order for order in orders if nonces[order.wallet] <= order.nonce]
        used = [order for order in orders if nonces[order.wallet] > order.nonce]
        requeued = await self._release_overtaken(batch, used, state, mirror)
        requeued += await self._release_expired(unused, state, mirror)
        if requeued == len(orders):
            return await self._supersede(batch, "none of its redemptions can execute any more", requeued)
        live = {order.wallet for order in unused if order.deadline > state.pinned.timestamp_s}
        decision = await self._resend_redemptions(batch, live, state)
        return decision.plus(Decision(requeued=requeued))

    async def _release_overtaken(
        self, batch: OpenBatch, used: Sequence[SealedOrder], state: ChainState, mirror: MirrorView
    ) -> int:
        """Queue again what lost its nonce to another redemption of the same holder, once that is final."""
        if not used or mirror.head_number < state.pinned.number:
            return 0
        lost = []
        async with snapshot(self._engine) as session:
            for order in used:
                event = await queries.redemption_consumption(session, order.wallet, order.nonce)
                if event is not None and event.mark != order.commitment:
                    lost += [order.id] if event.block_number <= mirror.final_number else []
        return await self._release(lost)

    async def _release_expired(self, unused: Sequence[SealedOrder], state: ChainState, mirror: MirrorView) -> int:
        """Queue again what no block may take any more: the deadline lies before a final block."""
        if mirror.final_number < 0 or not any(one.deadline < state.pinned.timestamp_s for one in unused):
            return 0
        final_s = await state.pinned.timestamp_at(mirror.final_number)
        return await self._release([order.id for order in unused if order.deadline < final_s])

    async def _release(self, ids: Sequence[str]) -> int:
        if ids:
            async with self._lease.writing("release") as session:
                await store.release(session, ids)
        return len(ids)

    async def _resend_redemptions(self, batch: OpenBatch, live: set[bytes], state: ChainState) -> Decision:
        """Send the batch's live redemptions that pass; a failing one is left out and tried again later."""
        packed = _packed(await self._call_data(batch))
        records = [record for record in unpack_redemptions(packed) if record[0].member in live]
        while records:
            call_data = encode_call("redeem", pack_redemptions(records))
            outcome = await self._simulate(call_data, batch, state)
            if isinstance(outcome, Gas):
                return await self._send([batch], call_data, outcome, state)
            if isinstance(outcome, Revert) and outcome.name in _PASSING:
                return Decision()
            records = await self._without_first_failure(records, batch, state)
        return Decision()

    async def _without_first_failure(
        self, records: Sequence[tuple[Redemption, bytes]], batch: OpenBatch, state: ChainState
    ) -> list[tuple[Redemption, bytes]]:
        passing, failing = 0, len(records)
        while failing - passing > 1:
            middle = (passing + failing) // 2
            call_data = encode_call("redeem", pack_redemptions(records[:middle]))
            passes = isinstance(await self._simulate(call_data, batch, state), Gas)
            passing, failing = (middle, failing) if passes else (passing, middle)
        return [*records[: failing - 1], *records[failing:]]

    def _may_pass(self, batch: OpenBatch, revert: Revert) -> bool:
        return revert.name in _PASSING or (curable(revert) and self._oldest_seq < batch.seq)

    async def _simulate(self, call_data: bytes, batch: OpenBatch, state: ChainState) -> Gas | Revert | TooLarge:
        return await simulate(
            state.pinned.rpc,
            sender=batch.sender,
            target=state.pinned.contract,
            data=call_data,
            gas_max=state.gas_max,
        )

    async def _send(self, batches: Sequence[OpenBatch], call_data: bytes, gas: Gas, state: ChainState) -> Decision:
        sender, ids = batches[0].sender, tuple(batch.id for batch in batches)
        call = Call(sender, state.pinned.contract, call_data, gas.limit, ids)
        await self._broadcaster.send(call, floor_nonce=state.account_nonces[sender])
        return Decision(sent=1)

    async def _supersede(self, batch: OpenBatch, detail: str, requeued: int = 0) -> Decision:
        async with self._lease.writing("supersede") as session:
            requeued += len(await store.supersede(session, batch.id, detail))
        _LOG.warning("batch_superseded", batch=batch.id, detail=detail)
        return Decision(requeued=requeued)

    async def _stick(self, batch: OpenBatch, detail: str) -> Decision:
        async with self._lease.writing("stick") as session:
            await store.set_stuck(session, batch.id, detail)
        _LOG.error("batch_stuck", batch=batch.id, detail=detail)
        return Decision()


def _packed(call_data: bytes) -> bytes:
    """The records inside a `redeem` call."""
    size = int.from_bytes(call_data[_REDEMPTIONS_OFFSET - 32 : _REDEMPTIONS_OFFSET], "big")
    return call_data[_REDEMPTIONS_OFFSET : _REDEMPTIONS_OFFSET + size]
