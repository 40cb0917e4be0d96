"""Who did what, chained in blocks by the sealing job so that requests never queue for one lock."""

from sqlalchemy import BigInteger, ForeignKey, Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from mereau.core.columns import Bytes, CreatedAt, Id, Instant, Json
from mereau.core.db import Base


class JournalEntry(Base):
    """One act. `block_number` is null until the sealing job has chained it."""

    __tablename__ = "journal_entries"
    __table_args__ = (
        Index("ix_journal_entries_unsealed", "id", postgresql_where="block_number is null"),
        Index("ix_journal_entries_block_number", "block_number"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[Instant]
    actor: Mapped[str]
    action: Mapped[str]
    subject_id: Mapped[Id]
    detail: Mapped[Json]
    block_number: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("journal_blocks.number"))


class JournalBlock(Base):
    """A sealed run of acts: hash = SHA-256 over the previous hash and the canonical acts (encoding v1)."""

    __tablename__ = "journal_blocks"

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    previous_hash: Mapped[Bytes]
    hash: Mapped[Bytes]
    entry_count: Mapped[int]
    sealed_at: Mapped[CreatedAt]
