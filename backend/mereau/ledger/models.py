"""Accounts, entries, lots and holds. Append-only but for counters and states."""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import Bytes, CreatedAt, Id, IdKey, Instant, Tokens
from mereau.core.db import Base


class Account(Base):
    """A member's counters, in tokens; the row is the member's lock.

    available + held = what the lots hold actively; pending waits for activation and is not on chain;
    debt is what a return could not take back (policy `debt`), never a negative balance.
    """

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint("available >= 0", name="available"),
        CheckConstraint("pending >= 0", name="pending"),
        CheckConstraint("held >= 0", name="held"),
        CheckConstraint("debt >= 0", name="debt"),
    )

    member_id: Mapped[Id] = mapped_column(ForeignKey("members.id"), primary_key=True)
    available: Mapped[Tokens]
    pending: Mapped[Tokens]
    held: Mapped[Tokens]
    debt: Mapped[Tokens]


class Entry(Base):
    """One line of a member's statement. `state` is what the ledger decided; the chain's progress is the batch's.

    kind: issue | reverse | redeem | expire | extend. state: pending | accepted | rejected | cancelled.
    `record_salt` is published with the trail until erasure; `document_salt` never leaves.
    """

    __tablename__ = "entries"
    __table_args__ = (
        CheckConstraint("kind in ('issue', 'reverse', 'redeem', 'expire', 'extend')", name="kind"),
        CheckConstraint("state in ('pending', 'accepted', 'rejected', 'cancelled')", name="state"),
        CheckConstraint("tokens > 0", name="tokens"),
        Index("ix_entries_member_id_seq", "member_id", "seq"),
        Index("ix_entries_source_id", "source_id"),
        Index("ix_entries_pending", "activates_at", postgresql_where="state = 'pending'"),
    )

    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    id: Mapped[IdKey]
    member_id: Mapped[Id] = mapped_column(ForeignKey("members.id"))
    partner_id: Mapped[Id | None] = mapped_column(ForeignKey("partners.id"))
    staff_id: Mapped[Id | None]
    kind: Mapped[str]
    state: Mapped[str]
    tokens: Mapped[Tokens]
    source_id: Mapped[Id]
    source_reference: Mapped[str]
    rule: Mapped[str | None]
    reason_code: Mapped[str]
    rejected_reason: Mapped[str | None]
    wallet: Mapped[Bytes]
    document_salt: Mapped[bytes | None]
    record_salt: Mapped[bytes | None]
    occurred_at: Mapped[Instant]
    activates_at: Mapped[Instant]
    created_at: Mapped[CreatedAt]


class Lot(Base):
    """The tokens of one credit. remaining + held + spent + reversed + expired = tokens (CHECK).

    `remaining` is free to spend once active; `held` is reserved by redemptions. `unmet` counts what returns
    asked for and could not take, so that they never ask for more than was credited; `corrected` is what of
    `reversed` was taken by hand and not by a return.
    """

    __tablename__ = "lots"
    __table_args__ = (
        CheckConstraint(
            "remaining >= 0 and held >= 0 and spent >= 0 and reversed >= 0 and expired >= 0 "
            "and remaining + held + spent + reversed + expired = tokens",
            name="conserved",
        ),
        CheckConstraint("unmet between 0 and tokens", name="unmet"),
        CheckConstraint("corrected between 0 and tokens", name="corrected"),
        CheckConstraint("state in ('pending', 'active', 'spent', 'expired', 'reversed')", name="state"),
        Index("ix_lots_member_id", "member_id", postgresql_where="remaining > 0"),
        Index("ix_lots_expires_at", "expires_at", postgresql_where="remaining > 0"),
    )

    entry_id: Mapped[Id] = mapped_column(ForeignKey("entries.id"), primary_key=True)
    member_id: Mapped[Id]
    partner_id: Mapped[Id]
    state: Mapped[str]
    tokens: Mapped[Tokens]
    remaining: Mapped[Tokens]
    held: Mapped[Tokens]
    spent: Mapped[Tokens]
    reversed: Mapped[Tokens]
    expired: Mapped[Tokens]
    unmet: Mapped[Tokens]
    corrected: Mapped[Tokens] = mapped_column(server_default="0")
    activates_at: Mapped[Instant]
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class LotUse(Base):
    """Which lots a debit took its tokens from: provenance for settlement and exact refunds."""

    __tablename__ = "lot_uses"
    __table_args__ = (Index("ix_lot_uses_lot_entry_id", "lot_entry_id"),)

    entry_id: Mapped[Id] = mapped_column(ForeignKey("entries.id"), primary_key=True)
    lot_entry_id: Mapped[Id] = mapped_column(ForeignKey("lots.entry_id"), primary_key=True)
    tokens: Mapped[Tokens]


class LotRefund(Base):
    """What a refund gave back of one lot that a redemption had taken from; once, by its key.

    `origin_entry_id` is the credit by which the tokens were earned: returns of its goods find them by it.
    """

    __tablename__ = "lot_refunds"
    __table_args__ = (
        CheckConstraint("tokens >= 0 and withheld_tokens >= 0 and tokens + withheld_tokens > 0", name="tokens"),
        CheckConstraint("(entry_id is null) = (tokens = 0)", name="entry"),
        Index("ix_lot_refunds_origin_entry_id", "origin_entry_id"),
    )

    redeem_entry_id: Mapped[Id] = mapped_column(ForeignKey("entries.id"), primary_key=True)
    lot_entry_id: Mapped[Id] = mapped_column(ForeignKey("lots.entry_id"), primary_key=True)
    origin_entry_id: Mapped[Id] = mapped_column(ForeignKey("lots.entry_id"))
    entry_id: Mapped[Id | None] = mapped_column(ForeignKey("lots.entry_id"), unique=True)
    tokens: Mapped[Tokens]
    withheld_tokens: Mapped[Tokens]


class Hold(Base):
    """Tokens reserved for a redemption entry: pending -> posted | voided."""

    __tablename__ = "holds"
    __table_args__ = (CheckConstraint("state in ('pending', 'posted', 'voided')", name="state"),)

    entry_id: Mapped[Id] = mapped_column(ForeignKey("entries.id"), primary_key=True)
    member_id: Mapped[Id]
    tokens: Mapped[Tokens]
    state: Mapped[str]
    created_at: Mapped[CreatedAt]


class LotNotice(Base):
    """That a member was told, so many days before, of what expires on a day of the programme's zone."""

    __tablename__ = "lot_notices"

    member_id: Mapped[Id] = mapped_column(ForeignKey("members.id"), primary_key=True)
    expires_on: Mapped[date] = mapped_column(primary_key=True)
    notice_days: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tokens: Mapped[Tokens]
    created_at: Mapped[CreatedAt]


class LotExtension(Base):
    """The life that an entry gave to a lot. The first one's `from_at` is what the lot's public record says."""

    __tablename__ = "lot_extensions"
    __table_args__ = (CheckConstraint("from_at < until_at", name="longer"),)

    lot_entry_id: Mapped[Id] = mapped_column(ForeignKey("lots.entry_id"), primary_key=True)
    entry_id: Mapped[Id] = mapped_column(ForeignKey("entries.id"), primary_key=True)
    tokens: Mapped[Tokens]
    from_at: Mapped[Instant]
    until_at: Mapped[Instant]
