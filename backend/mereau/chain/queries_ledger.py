"""What the ledger asks of the chain's tables: how orders stand, what the mirror says, what can still be stopped."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import case, func, select, text

from mereau.chain.models import Batch, ChainBalance, Deployment, MirrorState, Order
from mereau.core.db import ReadSession, WriteSession

Session = ReadSession | WriteSession


@dataclass(frozen=True, slots=True)
class OrderState:
    """How far one order has come; the batch's fields are None until it is sealed, the block's until mined."""

    state: str
    batch_id: str | None
    batch_index: int | None
    batch_state: str | None
    block_number: int | None
    transaction_hash: bytes | None


@dataclass(frozen=True, slots=True)
class OpenOrders:
    """The tokens of a wallet's orders of one kind that the mirror has not seen mined."""

    wallet: bytes
    kind: str
    tokens: int


@dataclass(frozen=True, slots=True)
class MirrorHead:
    """Where the mirror stands; `frozen_reason` set means that redemptions must wait for an operator."""

    number: int
    hash: bytes
    timestamp_s: int
    final_number: int
    frozen_reason: str | None
    supply: int


_NOT_MINED = Order.state.in_(("queued", "sealed")) & (Batch.state.is_(None) | Batch.state.not_in(("mined", "final")))

# The row's lock decides between this and the relayer's sealing: whoever comes second finds the state changed.
_WITHDRAW = text("""
    update chain_orders set state = 'rejected', reason = :reason
    where id = any(cast(:ids as text[])) and state = 'queued'
    returning id
""")


async def order_states(session: Session, ids: Sequence[str]) -> dict[str, OrderState]:
    """Order id -> how far it has come; ids without an order are absent."""
    rows = await session.execute(
        select(
            Order.id,
            Order.state,
            Order.batch_id,
            Order.batch_index,
            Batch.state,
            case((Batch.state.in_(("mined", "final")), Batch.block_number)),
            case((Batch.state.in_(("mined", "final")), Batch.transaction_hash)),
        )
        .outerjoin(Batch, Batch.id == Order.batch_id)
        .where(Order.id == func.any(list(ids)))
    )
    return {row[0]: OrderState(*row[1:]) for row in rows}


async def open_orders_by_wallet(session: Session) -> list[OpenOrders]:
    """What is ordered and not yet mined at the mirror's head, summed by wallet and kind; admin acts left out."""
    rows = await session.execute(
        select(Order.wallet, Order.kind, func.sum(Order.tokens))
        .outerjoin(Batch, Batch.id == Order.batch_id)
        .where(_NOT_MINED, Order.kind != "admin")
        .group_by(Order.wallet, Order.kind)
    )
    return [OpenOrders(wallet, kind, int(tokens)) for wallet, kind, tokens in rows if wallet is not None]


async def open_debits(session: Session, wallets: Sequence[bytes]) -> dict[bytes, int]:
    """Wallet -> tokens of its burns (of any kind) that the mirror has not seen mined."""
    rows = await session.execute(
        select(Order.wallet, func.sum(Order.tokens))
        .outerjoin(Batch, Batch.id == Order.batch_id)
        .where(_NOT_MINED, Order.wallet == func.any(list(wallets)), Order.kind != "issue")
        .group_by(Order.wallet)
    )
    return {wallet: int(tokens) for wallet, tokens in rows if wallet is not None}


async def balances(session: Session, wallets: Sequence[bytes]) -> dict[bytes, int]:
    """Wallet -> tokens at the mirror's head; wallets that never held any are absent."""
    rows = await session.execute(
        select(ChainBalance.wallet, ChainBalance.tokens).where(ChainBalance.wallet == func.any(list(wallets)))
    )
    return {row.wallet: row.tokens for row in rows}


async def all_balances(session: Session) -> dict[bytes, int]:
    """Every wallet's tokens at the mirror's head."""
    rows = await session.execute(select(ChainBalance.wallet, ChainBalance.tokens))
    return {row.wallet: row.tokens for row in rows}


async def mirror_head(session: Session) -> MirrorHead | None:
    """Where the mirror stands; None before its first step."""
    state = await session.scalar(select(MirrorState).execution_options(populate_existing=True))
    if state is None:
        return None
    return MirrorHead(
        number=state.head_number,
        hash=state.head_hash,
        timestamp_s=state.head_timestamp_s,
        final_number=state.final_number,
        frozen_reason=state.frozen_reason,
        supply=state.supply,
    )


async def transfers_open(session: Session) -> bool:
    """Whether the contract lets members transfer tokens among themselves; False before one is deployed."""
    return bool(await session.scalar(select(Deployment.transfers_open)))


async def redemptions_of(session: Session, batch_ids: Sequence[str]) -> dict[str, list[str]]:
    """Batch id -> ids of its redemption orders, in their order; batches of other kinds are absent."""
    rows = await session.execute(
        select(Order.batch_id, Order.id)
        .where(Order.batch_id == func.any(list(batch_ids)), Order.kind == "redeem")
        .order_by(Order.batch_id, Order.batch_index)
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.batch_id or "", []).append(row.id)
    return found


async def last_admin_call(session: Session, partner_number: int) -> bytes | None:
    """The newest registry call ordered for a partner and not rejected."""
    return await session.scalar(
        select(Order.call_data)
        .where(Order.kind == "admin", Order.partner_number == partner_number, Order.state != "rejected")
        .order_by(Order.seq.desc())
        .limit(1)
    )


async def withdraw(session: WriteSession, ids: Sequence[str], reason: str) -> set[str]:
    """Take back orders that are still queued; the ids of those that will now never be sealed.

    Waits for a relayer that is sealing them; what it sealed is not among the answer.
    """
    rows = await session.execute(_WITHDRAW, {"ids": list(ids), "reason": reason})
    return {row.id for row in rows}
