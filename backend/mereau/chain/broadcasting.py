"""Nonces, fees and signed bytes: gets transactions into blocks, whatever they do there.

Several transactions of a sender are in flight at once. Each nonce is stored with its signed bytes before they
leave; they are sent again unchanged until a block spends the nonce, or replaced by a bump of the same nonce.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.chain import fees
from mereau.chain import relayer_queries as queries
from mereau.chain import relayer_store as store
from mereau.chain.errors import (
    AlreadyKnownError,
    NonceTooLowError,
    ReplacementUnderpricedError,
    RpcError,
    UnderpricedError,
)
from mereau.chain.fees import FeePolicy, Market, bumped
from mereau.chain.lease import Lease
from mereau.chain.relayer_queries import OpenTransaction
from mereau.chain.rpc import RpcClient
from mereau.chain.signing import Signer, SignerRefusedError
from mereau.chain.transactions import SignedTransaction, UnsignedTransaction, decode_transaction
from mereau.core.clock import Clock
from mereau.core.db import snapshot
from mereau.core.ids import new_id

_LOG: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class BroadcastPolicy:
    """How patiently transactions wait for a block.

    `rebroadcast_delay_s`: nodes forget; the same bytes are sent again this long after the last time.
    `bump_delay_s`: fees rise by an eighth when an attempt is this old; several block times are right.
    """

    rebroadcast_delay_s: float = 20
    bump_delay_s: float = 60
    fees: FeePolicy = field(default_factory=FeePolicy)


@dataclass(frozen=True, slots=True)
class Call:
    """What a transaction does: `data` sent to `target` by `sender`, on behalf of the batches named."""

    sender: bytes
    target: bytes
    data: bytes
    gas_limit: int
    batch_ids: tuple[str, ...] = ()


class Broadcaster:
    """Sends for one lease holder. `begin_step` before each step: the market is looked up once in it."""

    def __init__(
        self,
        engine: AsyncEngine,
        lease: Lease,
        rpc: RpcClient,
        signer: Signer,
        clock: Clock,
        *,
        chain_id: int,
        policy: BroadcastPolicy,
    ) -> None:
        self._engine = engine
        self._lease = lease
        self._rpc = rpc
        self._signer = signer
        self._clock = clock
        self._chain_id = chain_id
        self._policy = policy
        self._market: Market | None = None
        self._underpriced: set[str] = set()

    def begin_step(self) -> None:
        """Forget the market of the last step."""
        self._market = None

    async def market(self) -> Market:
        """What gas costs in this step. Raises RpcError, RpcUnavailableError."""
        if self._market is None:
            self._market = await fees.market(self._rpc, self._policy.fees)
        return self._market

    async def send(self, call: Call, *, floor_nonce: int) -> None:
        """Give a call a transaction at its sender's first free nonce from `floor_nonce` on, and broadcast it.

        Raises RpcUnavailableError where the outcome of the broadcast is unknown; the stored bytes go out again.
        """
        async with snapshot(self._engine) as session:
            nonce = await queries.free_nonce(session, call.sender, floor_nonce)
        offered = (await self.market()).fees
        unsigned = UnsignedTransaction(self._chain_id, nonce, offered, call.gas_limit, call.target, call.data)
        signed = await self._signed(unsigned, call.sender)
        now = self._clock.now()
        transaction_id = new_id("txn", now)
        async with self._lease.writing("sign") as session:
            await store.open_transaction(
                session, transaction_id, call.batch_ids, call.sender, nonce, signed, offered, now
            )
        await self._broadcast(transaction_id, signed)

    async def tend(self, transactions: Sequence[OpenTransaction], account_nonces: dict[bytes, int]) -> int:
        """Keep unspent nonces moving: fill gaps, send again what may be forgotten, bump what waits too long.

        `transactions` come by sender and nonce. Returns how many broadcasts were made.
        """
        sent = 0
        unspent = [one for one in transactions if one.nonce >= account_nonces[one.sender]]
        for sender in dict.fromkeys(one.sender for one in unspent):
            lane = [one for one in unspent if one.sender == sender]
            sent += await self._fill_gaps(lane, account_nonces[sender])
            for one in lane:
                try:
                    sent += await self._tend(one)
                except SignerRefusedError as error:
                    _LOG.error("signer_refused", transaction=one.id, reason=error.detail)
        return sent

    async def _fill_gaps(self, lane: Sequence[OpenTransaction], account_nonce: int) -> int:
        """A reorganisation can take back a foreign transaction; the nonces behind it then wait for ever."""
        sender, filled = lane[0].sender, 0
        while True:
            async with snapshot(self._engine) as session:
                nonce = await queries.free_nonce(session, sender, account_nonce)
            if nonce >= lane[-1].nonce:
                return filled
            # Even what does nothing costs what the chain and its fork say.
            plain = int(await self._rpc.call("eth_estimateGas", {"from": sender, "to": sender}, "latest"), 16)
            await self.send(Call(sender, sender, b"", plain), floor_nonce=nonce)
            filled += 1

    async def _tend(self, one: OpenTransaction) -> int:
        now = self._clock.now()
        stale = _is_over(self._policy.bump_delay_s, one.created_at, now)
        if (stale or one.id in self._underpriced) and await self._bump(one):
            return 1
        due = one.broadcast_at is None or _is_over(self._policy.rebroadcast_delay_s, one.broadcast_at, now)
        if due:
            await self._broadcast(one.id, SignedTransaction(await self._raw(one), one.hash))
        return int(due)

    async def _bump(self, one: OpenTransaction) -> bool:
        """A new attempt on the same nonce with higher fees; False where the cap forbids it."""
        unsigned = decode_transaction(await self._raw(one))
        raised = bumped(unsigned.fees, (await self.market()).fees, self._policy.fees)
        if raised is None:
            _LOG.warning("fee_cap_reached", transaction=one.id, nonce=one.nonce)
            return False
        signed = await self._signed(replace(unsigned, fees=raised), one.sender)
        async with self._lease.writing("bump") as session:
            await store.add_attempt(session, one.id, signed, raised, self._clock.now())
        self._underpriced.discard(one.id)
        await self._broadcast(one.id, signed)
        return True

    async def _raw(self, one: OpenTransaction) -> bytes:
        async with snapshot(self._engine) as session:
            return await queries.raw(session, one.hash)

    async def _broadcast(self, transaction_id: str, signed: SignedTransaction) -> None:
        try:
            await self._rpc.call("eth_sendRawTransaction", signed.raw)
        except AlreadyKnownError:
            pass
        except NonceTooLowError:
            # The nonce is spent, perhaps by these very bytes: the next pinned block decides.
            return
        except RpcError as error:
            if isinstance(error, ReplacementUnderpricedError | UnderpricedError):
                self._underpriced.add(transaction_id)
            _LOG.warning("broadcast_refused", transaction=transaction_id, reason=str(error))
            return
        async with self._lease.writing("broadcast") as session:
            await store.mark_broadcast(session, transaction_id, signed.hash, self._clock.now())

    async def _signed(self, unsigned: UnsignedTransaction, sender: bytes) -> SignedTransaction:
        (signature,) = await self._signer.sign([(sender, unsigned.digest())])
        return unsigned.signed(signature)


def _is_over(delay_s: float, since: datetime, now: datetime) -> bool:
    """Whether the delay has passed. An instant ahead of now is another clock's: nobody waits for it to come."""
    return not timedelta() <= now - since < timedelta(seconds=delay_s)
