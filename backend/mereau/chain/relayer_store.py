"""The relayer's writes. Each write boundary is one function: what it writes stands whole or not at all.

Every session comes from `Lease.writing`, which has checked the fencing epoch.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import insert, text

from mereau.chain.models import Attempt, Batch, Section, Transaction
from mereau.chain.orders import OrderKind
from mereau.chain.transactions import Fees, SignedTransaction
from mereau.core.db import WriteSession

_CLOSE_SPENT: Final = text("""
    update chain_transactions as sent
    set state = case when exists (
        select 1 from chain_sections as section
        join chain_batches as batch on batch.id = section.batch_id
        join chain_attempts as attempt on attempt.hash = batch.transaction_hash
        where section.transaction_id = sent.id and attempt.transaction_id = sent.id
    ) then 'mined' else 'replaced' end
    where sent.state = 'open' and sent.sender = :sender and sent.nonce < :nonce
""")
_LINK: Final = text("""
    update chain_orders as orders
    set state = 'sealed', batch_id = :batch_id, batch_index = link.position - 1,
        nonce = coalesce(link.nonce, orders.nonce), deadline = coalesce(link.deadline, orders.deadline)
    from unnest(cast(:ids as text[]), cast(:nonces as bigint[]), cast(:deadlines as bigint[])) with ordinality
        as link (id, nonce, deadline, position)
    where orders.id = link.id and orders.state = 'queued'
    returning orders.id
""")
_SUBMITTED: Final = text("""
    update chain_batches as batch set state = 'submitted' from chain_sections as section
    where section.transaction_id = :transaction_id and batch.id = section.batch_id and batch.state = 'sealed'
""")
_BROADCAST: Final = text("update chain_attempts set broadcast_at = :at where hash = :hash")
_SUPERSEDE: Final = text("""
    update chain_batches set state = 'superseded', detail = :detail
    where id = :id and state in ('sealed', 'submitted') returning id
""")
_REQUEUE: Final = text("""
    update chain_orders set state = 'queued', batch_id = null, batch_index = null
    where batch_id = :batch_id returning id
""")
_RELEASE: Final = text("""
    update chain_orders
    set state = 'queued', batch_id = null, batch_index = null,
        nonce = case when signature is null then null else nonce end,
        deadline = case when signature is null then null else deadline end
    where id = any(cast(:ids as text[])) and state = 'sealed'
""")
_REJECT: Final = text("""
    update chain_orders as orders
    set state = 'rejected', reason = verdict.reason, batch_id = null, batch_index = null
    from unnest(cast(:ids as text[]), cast(:reasons as text[])) as verdict (id, reason)
    where orders.id = verdict.id and orders.state <> 'rejected'
    returning orders.id
""")
_STUCK: Final = text("""
    update chain_batches set state = 'stuck', detail = :detail where id = :id and state in ('sealed', 'submitted')
""")


@dataclass(frozen=True, slots=True)
class SealedBatch:
    """What is about to be sealed; `signed` holds nonce and deadline per redemption, else Nones."""

    id: str
    kind: OrderKind
    partner_number: int | None
    sequence: int | None
    trail_root: bytes | None
    sender: bytes
    call_data: bytes
    tokens: int
    gas_limit: int
    order_ids: tuple[str, ...]
    signed: tuple[tuple[int | None, int | None], ...]


class OrdersWithdrawnError(Exception):
    """Orders of a batch were taken back before it was sealed; `ids` names them."""

    def __init__(self, ids: Collection[str]) -> None:
        super().__init__(", ".join(sorted(ids)))
        self.ids = ids


async def seal(session: WriteSession, batch: SealedBatch) -> None:
    """Boundary 1: the batch and its orders' links. Raises OrdersWithdrawnError where an order is queued no more."""
    await session.execute(
        insert(Batch).values(
            id=batch.id,
            kind=batch.kind,
            partner_number=batch.partner_number,
            sequence=batch.sequence,
            trail_root=batch.trail_root,
            sender=batch.sender,
            call_data=batch.call_data,
            order_count=len(batch.order_ids),
            tokens=batch.tokens,
            gas_limit=batch.gas_limit,
            state="sealed",
        )
    )
    parameters = {
        "batch_id": batch.id,
        "ids": list(batch.order_ids),
        "nonces": [nonce for nonce, _ in batch.signed],
        "deadlines": [deadline for _, deadline in batch.signed],
    }
    linked = set((await session.execute(_LINK, parameters)).scalars())
    if withdrawn := set(batch.order_ids) - linked:
        raise OrdersWithdrawnError(withdrawn)


async def open_transaction(
    session: WriteSession,
    transaction_id: str,
    batch_ids: Sequence[str],
    sender: bytes,
    nonce: int,
    signed: SignedTransaction,
    fees: Fees,
    now: datetime,
) -> None:
    """Boundary 2: a nonce with its first signed bytes and its batches, before anything is broadcast."""
    await session.execute(
        insert(Transaction).values(id=transaction_id, sender=sender, nonce=nonce, state="open", created_at=now)
    )
    sections = [{"transaction_id": transaction_id, "batch_id": batch_id} for batch_id in batch_ids]
    if sections:
        await session.execute(insert(Section), sections)
    await add_attempt(session, transaction_id, signed, fees, now)


async def add_attempt(
    session: WriteSession, transaction_id: str, signed: SignedTransaction, fees: Fees, now: datetime
) -> None:
    """Boundary 2 again, for a bump: other bytes for a nonce that is held already."""
    await session.execute(
        insert(Attempt).values(
            hash=signed.hash,
            transaction_id=transaction_id,
            raw=signed.raw,
            max_fee_per_gas_wei=fees.max_fee_per_gas_wei,
            max_priority_fee_per_gas_wei=fees.max_priority_fee_per_gas_wei,
            created_at=now,
        )
    )


async def mark_broadcast(session: WriteSession, transaction_id: str, attempt_hash: bytes, now: datetime) -> None:
    """Boundary 3: a node has the bytes."""
    await session.execute(_BROADCAST, {"hash": attempt_hash, "at": now})
    await session.execute(_SUBMITTED, {"transaction_id": transaction_id})


async def close_spent(session: WriteSession, sender: bytes, final_nonce: int) -> None:
    """Close the sender's transactions whose nonces are spent in a final block."""
    await session.execute(_CLOSE_SPENT, {"sender": sender, "nonce": final_nonce})


async def supersede(session: WriteSession, batch_id: str, detail: str) -> list[str]:
    """End a batch that can never execute and put its orders back into the queue; returns their ids.

    Empty where the mirror saw the batch executed in the meantime.
    """
    ended = await session.scalar(_SUPERSEDE, {"id": batch_id, "detail": detail})
    if ended is None:
        return []
    return list(await session.scalars(_REQUEUE, {"batch_id": batch_id}))


async def release(session: WriteSession, ids: Sequence[str]) -> None:
    """Take redemptions whose signature is dead out of their batch and queue them again.

    A managed one is signed anew; a holder's own signature stays, for the contract to say what is wrong with it.
    """
    await session.execute(_RELEASE, {"ids": list(ids)})


async def reject(session: WriteSession, reasons: Sequence[tuple[str, str]]) -> list[str]:
    """Reject orders (id, reason) for good; returns the ids that were not rejected before."""
    parameters = {"ids": [order_id for order_id, _ in reasons], "reasons": [reason for _, reason in reasons]}
    return list(await session.scalars(_REJECT, parameters))


async def set_stuck(session: WriteSession, batch_id: str, detail: str) -> None:
    """Leave a batch to an operator."""
    await session.execute(_STUCK, {"id": batch_id, "detail": detail})
