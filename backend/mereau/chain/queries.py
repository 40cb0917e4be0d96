"""What the chain says, read from the mirror. Every figure stands at the mirror's head."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    LargeBinary,
    Text,
    any_,
    bindparam,
    cast,
    func,
    literal_column,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession

from mereau.chain.contract import UNLIMITED
from mereau.chain.models import Batch, Block, ChainBalance, ChainEvent, MirrorState, Order
from mereau.core.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class WalletBalances:
    """Tokens by wallet after the block named; a wallet that the chain never saw has 0."""

    block_number: int
    block_hash: bytes
    tokens: dict[bytes, int]


@dataclass(frozen=True, slots=True)
class BatchDetail:
    """A batch with its orders in their order, and the block that executed it, if one did."""

    batch: Batch
    orders: Sequence[Order]
    block: Block | None


@dataclass(frozen=True, slots=True)
class PartnerOnChain:
    """A partner's registry entry and totals. `allowance` and `period_cap` None are without limit."""

    number: int
    signer: bytes
    allowance: int | None
    period_cap: int | None
    active: bool
    sequence: int
    issued: int
    reversed: int

    @property
    def net_issued(self) -> int:
        return self.issued - self.reversed


async def balances(session: AsyncSession, wallets: Sequence[bytes]) -> WalletBalances | None:
    """The balances of `wallets` in one statement, None before the mirror's first step."""
    wanted = bindparam("wallets", list(wallets), ARRAY(LargeBinary))
    rows = (
        await session.execute(
            select(MirrorState.head_number, MirrorState.head_hash, ChainBalance.wallet, ChainBalance.tokens)
            .join_from(MirrorState, ChainBalance, ChainBalance.wallet == any_(wanted), isouter=True)
            .where(MirrorState.id == 1)
        )
    ).all()
    if not rows:
        return None
    number, digest, _, _ = rows[0]
    known = {wallet: tokens for _, _, wallet, tokens in rows if wallet is not None}
    return WalletBalances(number, digest, {wallet: known.get(wallet, 0) for wallet in wallets})


async def list_batches(session: AsyncSession, *, limit: int, before_seq: int | None = None) -> Sequence[Batch]:
    """Batches, the newest first; the last one's `seq` as `before_seq` continues."""
    statement = select(Batch).order_by(Batch.seq.desc()).limit(limit)
    if before_seq is not None:
        statement = statement.where(Batch.seq < before_seq)
    return (await session.scalars(statement)).all()


async def get_batch(session: AsyncSession, batch_id: str) -> BatchDetail:
    """One batch. Raises NotFoundError."""
    batch = await session.get(Batch, batch_id)
    if batch is None:
        raise NotFoundError(f"there is no batch {batch_id}")
    orders = await session.scalars(select(Order).where(Order.batch_id == batch_id).order_by(Order.batch_index))
    block = None if batch.block_number is None else await session.get(Block, batch.block_number)
    return BatchDetail(batch, orders.all(), block)


async def partner_on_chain(session: AsyncSession, number: int) -> PartnerOnChain | None:
    """The partner's last registration and its totals, None where the chain does not know it."""
    registered: dict[str, object] | None = await session.scalar(
        select(ChainEvent.data)
        .where(ChainEvent.name == "PartnerSet", _names_partner(number))
        .order_by(ChainEvent.block_number.desc(), ChainEvent.log_index.desc())
        .limit(1)
    )
    if registered is None:
        return None
    total = cast(ChainEvent.data["total"].astext, BigInteger)
    sequence, issued, reversed_ = (
        await session.execute(
            select(
                func.coalesce(func.max(cast(ChainEvent.data["sequence"].astext, BigInteger)), 0),
                func.coalesce(func.sum(total).filter(ChainEvent.name == "Issued"), 0),
                func.coalesce(func.sum(total).filter(ChainEvent.name == "Reversed"), 0),
            ).where(ChainEvent.name.in_(["Issued", "Reversed"]), _names_partner(number))
        )
    ).one()
    return PartnerOnChain(
        number=number,
        signer=bytes.fromhex(str(registered["signer"]).removeprefix("0x")),
        allowance=_limit(registered["allowance"]),
        period_cap=_limit(registered["periodCap"]),
        active=bool(registered["active"]),
        sequence=sequence,
        issued=int(issued),
        reversed=int(reversed_),
    )


def _names_partner(number: int) -> ColumnElement[bool]:
    # Written out, for the planner finds an expression's index by its literal text.
    return literal_column("data ->> 'partner'", Text) == str(number)


def _limit(value: object) -> int | None:
    limit = int(str(value))
    return None if limit == UNLIMITED else limit
