"""What the relayer reads from its tables and from the mirror's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from mereau.chain.models import Batch, MirrorState, Order
from mereau.chain.orders import OrderKind
from mereau.chain.sealing import QueuedOrder


@dataclass(frozen=True, slots=True)
class MirrorView:
    """How far the mirror has proven the chain; before its first block both numbers are -1."""

    head_number: int
    final_number: int
    frozen_reason: str | None


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A batch that was sealed and that the mirror has not seen executed."""

    id: str
    seq: int
    kind: OrderKind
    partner_number: int | None
    sequence: int | None
    trail_root: bytes | None
    sender: bytes
    state: str
    transaction_count: int


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A nonce that is not finally spent, with its newest attempt and the batches that it carries."""

    id: str
    sender: bytes
    nonce: int
    hash: bytes
    created_at: datetime
    broadcast_at: datetime | None
    batch_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class SealedOrder:
    """A redemption within its batch."""

    id: str
    wallet: bytes
    nonce: int
    deadline: int
    commitment: bytes


@dataclass(frozen=True, slots=True)
class Consumption:
    """The event that used up a sequence or a redemption nonce: another's, if its root or reference differs."""

    name: str
    mark: bytes
    block_number: int


_OPEN_BATCHES: Final = text("""
    select id, seq, kind, partner_number, sequence, trail_root, sender, state,
        (select count(*) from chain_sections as section where section.batch_id = batch.id) as transaction_count
    from chain_batches as batch where state in ('sealed', 'submitted') order by seq
""")
_OPEN_TRANSACTIONS: Final = text("""
    select sent.id, sent.sender, sent.nonce, attempt.hash, attempt.created_at, attempt.broadcast_at,
        array(select batch_id from chain_sections where transaction_id = sent.id) as batch_ids
    from chain_transactions as sent
    cross join lateral (
        select hash, created_at, broadcast_at from chain_attempts where transaction_id = sent.id
        order by max_fee_per_gas_wei desc, created_at desc limit 1
    ) as attempt
    where sent.state = 'open' order by sent.sender, sent.nonce
""")
_FREE_NONCE: Final = text("""
    select min(candidate.nonce) from (
        select cast(:floor as bigint) as nonce
        union all
        select nonce + 1 from chain_transactions where sender = :sender and nonce >= :floor
    ) as candidate
    where not exists (
        select 1 from chain_transactions as taken
        where taken.sender = :sender and taken.nonce = candidate.nonce
    )
""")
_CALL_DATA: Final = text("select id, call_data from chain_batches where id = any(cast(:ids as text[]))")
_RAW: Final = text("select raw from chain_attempts where hash = :hash")
# Each line's maximum is one look into its index, however long its history is.
_LAST_SEQUENCES: Final = text("""
    select line.partner, (
        select max(sequence) from chain_batches
        where partner_number = line.partner and sequence is not null and state <> 'superseded'
    ) from unnest(cast(:partners as bigint[])) as line (partner)
    union all
    select null, (
        select max(sequence) from chain_batches
        where partner_number is null and sequence is not null and state <> 'superseded'
    )
""")
_QUEUED_PARTNERS: Final = text("""
    select distinct partner_number from chain_orders where state = 'queued' and partner_number is not null
""")
_WAITING: Final = text("""
    select count(*) as orders, clock_timestamp() - min(created_at) as age from (
        select created_at from chain_orders
        where state = 'queued' and id <> all(cast(:deferred as text[])) order by seq limit :limit
    ) as orders
""")
_OPEN_REDEEMERS: Final = text("""
    select orders.wallet from chain_batches as batch
    join chain_orders as orders on orders.batch_id = batch.id
    where batch.kind = 'redeem' and batch.state in ('sealed', 'submitted', 'stuck')
""")
_QUEUED: Final = text("""
    select id, seq, kind, partner_number, coalesce(wallet, ''), tokens, coalesce(commitment, ''),
        coalesce(call_data, ''), coalesce(sender, ''), signature, nonce, deadline
    from chain_orders
    where state = 'queued' and id <> all(cast(:deferred as text[]))
        and (kind in ('admin', 'expire') or partner_number = any(cast(:partners as bigint[])))
        and (kind <> 'redeem' or wallet <> all(cast(:redeemers as bytea[])))
    order by seq limit :limit
""")
_SEALED_ORDERS: Final = text("""
    select id, wallet, nonce, deadline, commitment from chain_orders where batch_id = :batch_id order by batch_index
""")
_BATCH_ORDER_IDS: Final = text("select id from chain_orders where batch_id = :batch_id order by batch_index")
_LINE_EVENT: Final = text("""
    select name, data ->> 'trailRoot' as mark, block_number from chain_events
    where name in ('Issued', 'Reversed') and data ->> 'partner' = cast(cast(:partner as bigint) as text)
        and (data ->> 'sequence')::bigint = :sequence
""")
_EXPIRY_EVENT: Final = text("""
    select name, data ->> 'trailRoot' as mark, block_number from chain_events
    where name = 'Expired' and (data ->> 'sequence')::bigint = :sequence
""")
_REDEEMED_EVENT: Final = text("""
    select name, data ->> 'reference' as mark, block_number from chain_events
    where name = 'Redeemed' and lower(data ->> 'member') = :member and (data ->> 'nonce')::bigint = :nonce
""")
_ATTEMPT_HASHES: Final = text("""
    select attempt.hash, sent.sender, sent.nonce from chain_sections as section
    join chain_transactions as sent on sent.id = section.transaction_id
    join chain_attempts as attempt on attempt.transaction_id = sent.id
    where section.batch_id = :batch_id
""")


async def mirror_view(session: AsyncSession) -> MirrorView:
    """Where the mirror stands."""
    state = await session.get(MirrorState, 1)
    if state is None:
        return MirrorView(-1, -1, None)
    return MirrorView(state.head_number, state.final_number, state.frozen_reason)


async def open_batches(session: AsyncSession) -> list[OpenBatch]:
    """Batches whose outcome is not known, oldest first."""
    return [OpenBatch(row.id, row.seq, OrderKind(row.kind), *row[3:]) for row in await session.execute(_OPEN_BATCHES)]


async def open_transactions(session: AsyncSession) -> list[OpenTransaction]:
    """Nonces that may still be unspent, by sender and nonce."""
    return [OpenTransaction(*row) for row in await session.execute(_OPEN_TRANSACTIONS)]


async def free_nonce(session: AsyncSession, sender: bytes, floor: int) -> int:
    """The sender's least nonce from `floor` on that no transaction of ours holds: gaps are filled first."""
    nonce: int = await session.scalar(_FREE_NONCE, {"sender": sender, "floor": floor})
    return nonce


async def call_data(session: AsyncSession, batch_ids: Sequence[str]) -> dict[str, bytes]:
    """Batch id -> its complete call."""
    return {row.id: row.call_data for row in await session.execute(_CALL_DATA, {"ids": list(batch_ids)})}


async def raw(session: AsyncSession, attempt_hash: bytes) -> bytes:
    """The signed bytes of an attempt."""
    signed: bytes = (await session.execute(_RAW, {"hash": attempt_hash})).scalar_one()
    return signed


async def last_sequences(session: AsyncSession, partners: Sequence[int]) -> dict[int | None, int]:
    """The last sequence that we gave out on each of these partners' lines, and on the expiry line under None."""
    rows = await session.execute(_LAST_SEQUENCES, {"partners": list(partners)})
    return {partner: sequence or 0 for partner, sequence in rows}


async def waiting(session: AsyncSession, deferred: Sequence[str], limit: int) -> tuple[int, timedelta]:
    """How many orders are queued (counted up to `limit`, `deferred` left out) and the age of the oldest."""
    row = (await session.execute(_WAITING, {"deferred": list(deferred), "limit": limit})).one()
    return row.orders, row.age or timedelta()


async def queued_partners(session: AsyncSession) -> list[int]:
    """Numbers of the partners that queued orders name."""
    return list(await session.scalars(_QUEUED_PARTNERS))


async def queued(
    session: AsyncSession, *, deferred: Sequence[str], partners: Sequence[int], limit: int
) -> list[QueuedOrder]:
    """The window: at most `limit` orders in queue order.

    Left out are `deferred` orders, orders of partners that are not named, and redemptions of members who have
    one open already.
    """
    parameters = {
        "deferred": list(deferred),
        "partners": list(partners),
        "redeemers": list(await session.scalars(_OPEN_REDEEMERS)),
        "limit": limit,
    }
    return [
        QueuedOrder(order_id, seq, OrderKind(kind), *rest)
        for order_id, seq, kind, *rest in await session.execute(_QUEUED, parameters)
    ]


async def sealed_redemptions(session: AsyncSession, batch_id: str) -> list[SealedOrder]:
    """The redemptions of a batch in its order."""
    return [SealedOrder(*row) for row in await session.execute(_SEALED_ORDERS, {"batch_id": batch_id})]


async def order_ids(session: AsyncSession, batch_id: str) -> list[str]:
    """The ids of a batch's orders in its order."""
    return list(await session.scalars(_BATCH_ORDER_IDS, {"batch_id": batch_id}))


async def line_consumption(session: AsyncSession, partner_number: int | None, sequence: int) -> Consumption | None:
    """The event by which the mirror saw this sequence executed."""
    statement = _EXPIRY_EVENT if partner_number is None else _LINE_EVENT
    return _consumption((await session.execute(statement, {"partner": partner_number, "sequence": sequence})).first())


async def redemption_consumption(session: AsyncSession, member: bytes, nonce: int) -> Consumption | None:
    """The event by which the mirror saw this member's nonce redeemed."""
    parameters = {"member": "0x" + member.hex(), "nonce": nonce}
    return _consumption((await session.execute(_REDEEMED_EVENT, parameters)).first())


def _consumption(row: Row[Any] | None) -> Consumption | None:
    return None if row is None else Consumption(row.name, bytes.fromhex(row.mark[2:]), row.block_number)


async def attempts_of(session: AsyncSession, batch_id: str) -> list[tuple[bytes, bytes, int]]:
    """(hash, sender, nonce) of everything that was ever signed for a batch."""
    rows = await session.execute(_ATTEMPT_HASHES, {"batch_id": batch_id})
    return [(row.hash, row.sender, row.nonce) for row in rows]


async def exists_revocable_up_to(session: AsyncSession, seq: int) -> bool:
    """Whether a batch with this seq or an earlier one has no outcome, or one that a reorganisation may take back."""
    return (
        await session.scalar(
            select(Batch.seq).where(Batch.seq <= seq, Batch.state.in_(("sealed", "submitted", "mined"))).limit(1)
        )
        is not None
    )


async def exists_helper_before(session: AsyncSession, order: QueuedOrder) -> bool:
    """Whether an order is queued before this one that may put it right: of its wallet or partner, or the admin's."""
    same = or_(Order.wallet == order.wallet, Order.partner_number == order.partner_number, Order.kind == "admin")
    earlier = select(Order.seq).where(Order.state == "queued", Order.seq < order.seq, same)
    return await session.scalar(earlier.limit(1)) is not None


async def newest_seq(session: AsyncSession) -> int:
    """The seq of the newest batch, 0 without any."""
    return await session.scalar(select(Batch.seq).order_by(Batch.seq.desc()).limit(1)) or 0
