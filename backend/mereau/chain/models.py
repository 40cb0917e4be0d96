"""What must be executed on chain (orders, batches, transactions, attempts) and what the chain says (mirror)."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import Bytes, CreatedAt, Id, IdKey, Instant, Json, Tokens
from mereau.core.db import Base


class Deployment(Base):
    """The one contract of this installation and the identity of its chain; a mismatch stops the process.

    `transfers_open` says whether members may transfer tokens among themselves, `epoch_s` how long an epoch is in
    which a credit is safe from expiry: the contract's code holds both, and `code_hash` that code.
    """

    __tablename__ = "chain_deployment"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    chain_id: Mapped[int] = mapped_column(BigInteger)
    genesis_hash: Mapped[Bytes]
    contract: Mapped[Bytes]
    code_hash: Mapped[Bytes]
    block_number: Mapped[int] = mapped_column(BigInteger)
    block_hash: Mapped[Bytes]
    transfers_open: Mapped[bool] = mapped_column(server_default="false")
    epoch_s: Mapped[int] = mapped_column(server_default="0")


class Batch(Base):
    """Sealed, immutable work of one kind and, for issue and reverse, one partner.

    kind: issue | reverse | expire | redeem | admin. state: sealed -> submitted -> mined -> final; side:
    superseded (its sequence was used by another payload or voided), stuck (an operator must look).
    `call_data` is the complete contract call with its signature. `gas_limit` is that of the transaction it was
    sealed for, which may carry other batches too.
    """

    __tablename__ = "chain_batches"
    __table_args__ = (
        CheckConstraint("kind in ('issue', 'reverse', 'expire', 'redeem', 'admin')", name="kind"),
        CheckConstraint("state in ('sealed', 'submitted', 'mined', 'final', 'superseded', 'stuck')", name="state"),
        Index(
            "uq_chain_batches_line",
            "partner_number",
            "sequence",
            unique=True,
            postgresql_where=text("sequence is not null and state <> 'superseded'"),
            postgresql_nulls_not_distinct=True,
        ),
        Index(
            "ix_chain_batches_open",
            "seq",
            postgresql_where=text("state in ('sealed', 'submitted', 'mined', 'stuck')"),
        ),
        Index("ix_chain_batches_block_number", "block_number"),
    )

    id: Mapped[IdKey]
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    kind: Mapped[str]
    partner_number: Mapped[int | None] = mapped_column(BigInteger)
    sequence: Mapped[int | None] = mapped_column(BigInteger)
    trail_root: Mapped[bytes | None] = mapped_column(LargeBinary)
    sender: Mapped[Bytes]
    call_data: Mapped[Bytes]
    order_count: Mapped[int]
    tokens: Mapped[Tokens]
    gas_limit: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str]
    detail: Mapped[str | None]
    transaction_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    block_number: Mapped[int | None] = mapped_column(BigInteger)
    log_index: Mapped[int | None]
    sealed_at: Mapped[CreatedAt]
    mined_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Order(Base):
    """One thing that the contract must do, written by the ledger in the entry's own transaction.

    `id` is the entry's id, or that of an admin act. For kind `admin`, `call_data` is the call and `sender`
    the role's address. For a self-custody redemption, `signature` with its nonce and deadline came from the
    holder. state: queued -> sealed (batch_id set) | rejected (reason). Mined and final are the batch's.
    """

    __tablename__ = "chain_orders"
    __table_args__ = (
        CheckConstraint("kind in ('issue', 'reverse', 'expire', 'redeem', 'admin')", name="kind"),
        CheckConstraint("state in ('queued', 'sealed', 'rejected')", name="state"),
        UniqueConstraint("batch_id", "batch_index"),
        Index("ix_chain_orders_queued", "seq", postgresql_where=text("state = 'queued'")),
    )

    id: Mapped[IdKey]
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    kind: Mapped[str]
    partner_number: Mapped[int | None] = mapped_column(BigInteger)
    wallet: Mapped[bytes | None] = mapped_column(LargeBinary)
    tokens: Mapped[Tokens]
    commitment: Mapped[bytes | None] = mapped_column(LargeBinary)
    call_data: Mapped[bytes | None] = mapped_column(LargeBinary)
    sender: Mapped[bytes | None] = mapped_column(LargeBinary)
    signature: Mapped[bytes | None] = mapped_column(LargeBinary)
    nonce: Mapped[int | None] = mapped_column(BigInteger)
    deadline: Mapped[int | None] = mapped_column(BigInteger)
    state: Mapped[str]
    reason: Mapped[str | None]
    batch_id: Mapped[Id | None] = mapped_column(ForeignKey("chain_batches.id"))
    batch_index: Mapped[int | None]
    created_at: Mapped[CreatedAt]


class Transaction(Base):
    """One nonce of one sender; its sections say for which batches. state: open -> mined | replaced."""

    __tablename__ = "chain_transactions"
    __table_args__ = (
        UniqueConstraint("sender", "nonce"),
        CheckConstraint("state in ('open', 'mined', 'replaced')", name="state"),
        Index("ix_chain_transactions_open", "sender", "nonce", postgresql_where=text("state = 'open'")),
    )

    id: Mapped[IdKey]
    sender: Mapped[Bytes]
    nonce: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str]
    created_at: Mapped[CreatedAt]


class Section(Base):
    """One batch within one transaction, which executes all of its sections or none.

    A transaction that only fills a gap in the nonces has no section; a batch whose transaction failed gets a
    section in another one.
    """

    __tablename__ = "chain_sections"
    __table_args__ = (Index("ix_chain_sections_batch_id", "batch_id"),)

    transaction_id: Mapped[Id] = mapped_column(ForeignKey("chain_transactions.id"), primary_key=True)
    batch_id: Mapped[Id] = mapped_column(ForeignKey("chain_batches.id"), primary_key=True)


class Attempt(Base):
    """One signed variant of a transaction, stored before it is ever broadcast; rebroadcast is byte-identical."""

    __tablename__ = "chain_attempts"
    __table_args__ = (Index("ix_chain_attempts_transaction_id", "transaction_id"),)

    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    transaction_id: Mapped[Id] = mapped_column(ForeignKey("chain_transactions.id"))
    raw: Mapped[Bytes]
    max_fee_per_gas_wei: Mapped[int] = mapped_column(BigInteger)
    max_priority_fee_per_gas_wei: Mapped[int] = mapped_column(BigInteger)
    broadcast_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[CreatedAt]


class RelayerLease(Base):
    """The fencing token: every write of a relayer names the epoch that it got with the advisory lock."""

    __tablename__ = "chain_leases"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger)


class ChainAlarm(Base):
    """What stands wrong on the chain side and since when; the row goes when it is right again."""

    __tablename__ = "chain_alarms"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    detail: Mapped[str]
    since: Mapped[Instant]


class MirrorState(Base):
    """How far the mirror has come. `frozen_reason` set: redemptions stop until an operator looks."""

    __tablename__ = "chain_mirror"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    head_number: Mapped[int] = mapped_column(BigInteger)
    head_hash: Mapped[Bytes]
    head_timestamp_s: Mapped[int] = mapped_column(BigInteger)
    final_number: Mapped[int] = mapped_column(BigInteger)
    node_head_number: Mapped[int] = mapped_column(BigInteger)
    supply: Mapped[Tokens]
    frozen_reason: Mapped[str | None]
    checked_at: Mapped[CreatedAt]


class Block(Base):
    """A canonical block, header hashed here and linked to its parent. Blocks that left the chain are deleted."""

    __tablename__ = "chain_blocks"

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[Bytes] = mapped_column(unique=True)
    parent_hash: Mapped[Bytes]
    timestamp_s: Mapped[int] = mapped_column(BigInteger)


class Transfer(Base):
    """One Transfer log of a canonical block; the zero address stands for mint (source) and burn (target).

    Also the undo journal: un-applying a block subtracts its transfers.
    """

    __tablename__ = "chain_transfers"
    __table_args__ = (
        Index("ix_chain_transfers_source", "source"),
        Index("ix_chain_transfers_target", "target"),
    )

    block_number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    log_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    source: Mapped[Bytes]
    target: Mapped[Bytes]
    tokens: Mapped[Tokens]


class ChainEvent(Base):
    """Every other log of the contract, decoded: Issued, Reversed, Expired, Redeemed, PartnerSet, roles, terms."""

    __tablename__ = "chain_events"
    __table_args__ = (
        Index("ix_chain_events_name", "name", "block_number"),
        Index("ix_chain_events_partner", "name", text("(data ->> 'partner')")),
        Index("ix_chain_events_reference", text("(data ->> 'reference')"), postgresql_where=text("name = 'Redeemed'")),
    )

    block_number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    log_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    transaction_hash: Mapped[Bytes]
    name: Mapped[str]
    data: Mapped[Json]


class ChainBalance(Base):
    """A wallet's balance at the mirror's head."""

    __tablename__ = "chain_balances"
    __table_args__ = (CheckConstraint("tokens >= 0", name="tokens"),)

    wallet: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    tokens: Mapped[Tokens]
