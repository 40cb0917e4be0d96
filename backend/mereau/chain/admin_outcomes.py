"""Outcomes of role transactions: no sequence guards them, so that the account's own nonce must.

A second nonce is given out only when the block that spent the first one shows another transaction there.
"""

from collections.abc import Sequence
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.chain import relayer_queries as queries
from mereau.chain import relayer_store as store
from mereau.chain.broadcasting import Broadcaster, Call
from mereau.chain.contract import decode_revert
from mereau.chain.errors import ExecutionRevertedError, RpcError
from mereau.chain.lease import Lease
from mereau.chain.pinned import PinnedBlock
from mereau.chain.relayer_queries import MirrorView, OpenBatch
from mereau.chain.rpc import hex_bytes, quantity
from mereau.chain.sealer import ChainState, OnRejected, RejectedOrder
from mereau.chain.simulation import Gas, simulate
from mereau.core.db import snapshot

_LOG: Final = structlog.get_logger()


class AdminOutcomes:
    """Decides about admin batches for one lease holder."""

    def __init__(self, engine: AsyncEngine, lease: Lease, broadcaster: Broadcaster, *, on_rejected: OnRejected) -> None:
        self._engine = engine
        self._lease = lease
        self._broadcaster = broadcaster
        self._on_rejected = on_rejected

    async def decide(self, batch: OpenBatch, state: ChainState, mirror: MirrorView) -> tuple[int, int]:
        """(transactions sent, orders rejected) for a batch whose nonces are all spent, or that has none."""
        async with snapshot(self._engine) as session:
            attempts = await queries.attempts_of(session, batch.id)
        receipts = await state.pinned.rpc.batch([("eth_getTransactionReceipt", (digest,)) for digest, _, _ in attempts])
        receipt = next((found for found in receipts if found is not None), None)
        if receipt is not None:
            return 0, await self._mined(batch, receipt, state, mirror)
        for nonce in sorted({nonce for _, _, nonce in attempts}):
            ours = {digest for digest, _, used in attempts if used == nonce}
            spender = await self._spender(batch, nonce, state, mirror)
            if spender is None or spender in ours:
                return 0, 0
            _LOG.error("foreign_nonce", sender="0x" + batch.sender.hex(), nonce=nonce, by="0x" + spender.hex())
        return await self._send(batch, state)

    async def _mined(self, batch: OpenBatch, receipt: dict[str, Any], state: ChainState, mirror: MirrorView) -> int:
        """A success is the mirror's to tell; a revert, once final, rejects the order."""
        number = int(receipt["blockNumber"], 16)
        if int(receipt["status"], 16) == 1 or number > mirror.final_number:
            return 0
        reason = await self._reason(batch, number, state)
        return await self._reject(batch, reason)

    async def _send(self, batch: OpenBatch, state: ChainState) -> tuple[int, int]:
        data, target = await self._call_data(batch), state.pinned.contract
        outcome = await simulate(state.pinned.rpc, sender=batch.sender, target=target, data=data, gas_max=state.gas_max)
        if not isinstance(outcome, Gas):
            return 0, await self._reject(batch, str(outcome))
        call = Call(batch.sender, target, data, outcome.limit, (batch.id,))
        await self._broadcaster.send(call, floor_nonce=state.account_nonces[batch.sender])
        return 1, 0

    async def _call_data(self, batch: OpenBatch) -> bytes:
        async with snapshot(self._engine) as session:
            return (await queries.call_data(session, [batch.id]))[batch.id]

    async def _reject(self, batch: OpenBatch, reason: str) -> int:
        async with self._lease.writing("reject") as session:
            ids = await store.supersede(session, batch.id, reason)
            rejected = await store.reject(session, [(order_id, reason) for order_id in ids])
            await self._on_rejected(session, [RejectedOrder(order_id, reason) for order_id in rejected])
        _LOG.error("admin_order_rejected", batch=batch.id, reason=reason)
        return len(rejected)

    async def _reason(self, batch: OpenBatch, number: int, state: ChainState) -> str:
        """Why it reverted, by running it again on the block before."""
        request = {"from": batch.sender, "to": state.pinned.contract, "data": await self._call_data(batch)}
        try:
            await state.pinned.rpc.call("eth_call", request, quantity(number - 1))
        except ExecutionRevertedError as error:
            return str(decode_revert(error.data))
        return f"reverted in block {number}"

    async def _spender(self, batch: OpenBatch, nonce: int, state: ChainState, mirror: MirrorView) -> bytes | None:
        """The transaction that spent the sender's nonce, or None while no final block holds one.

        The block is found by bisecting the account's nonce over the chain's history. A node that has forgotten
        that history leaves the batch to an operator.
        """
        if state.account_nonces[batch.sender] <= nonce:
            return None
        try:
            number = await _spent_in(state.pinned, batch.sender, nonce)
            if number > mirror.final_number:
                return None
            block = await state.pinned.rpc.call("eth_getBlockByNumber", quantity(number), True)
        except RpcError as error:
            async with self._lease.writing("stick") as session:
                await store.set_stuck(session, batch.id, f"the node cannot tell who spent nonce {nonce}: {error}")
            return None
        return _transaction_of(block["transactions"], batch.sender, nonce)


async def _spent_in(pinned: PinnedBlock, sender: bytes, nonce: int) -> int:
    """The first block after which the account's nonce is above `nonce`."""
    unspent, spent = -1, pinned.number
    while spent - unspent > 1:
        middle = (spent + unspent) // 2
        if (await pinned.account_nonces_at([sender], middle))[sender] > nonce:
            spent = middle
        else:
            unspent = middle
    return spent


def _transaction_of(transactions: Sequence[dict[str, Any]], sender: bytes, nonce: int) -> bytes | None:
    for one in transactions:
        if hex_bytes(one["from"]) == sender and int(one["nonce"], 16) == nonce:
            return hex_bytes(one["hash"])
    return None
