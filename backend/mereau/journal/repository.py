"""SQL of the journal."""

from collections.abc import Iterable, Sequence

from sqlalchemy import func, select, text, update

from mereau.core.db import ReadSession, WriteSession, copy_rows
from mereau.journal.domain import Act
from mereau.journal.models import JournalBlock, JournalEntry

_SEALING_LOCK = text("select pg_advisory_xact_lock(hashtextextended('mereau.journal.seal', 0))")


async def append(session: WriteSession, rows: Iterable[Sequence[object]]) -> None:
    await copy_rows(session, JournalEntry, ("at", "actor", "action", "subject_id", "detail"), rows)


async def lock_sealing(session: WriteSession) -> None:
    """One sealer at a time, in the whole database, until the transaction ends."""
    await session.execute(_SEALING_LOCK)


def _act(row: JournalEntry) -> Act:
    return Act(row.id, row.at, row.actor, row.action, row.subject_id, row.detail)


async def unsealed(session: WriteSession, limit: int) -> list[Act]:
    rows = await session.scalars(
        select(JournalEntry).where(JournalEntry.block_number.is_(None)).order_by(JournalEntry.id).limit(limit)
    )
    return [_act(row) for row in rows]


async def last_block(session: ReadSession | WriteSession) -> JournalBlock | None:
    return await session.scalar(select(JournalBlock).order_by(JournalBlock.number.desc()).limit(1))


async def write_block(
    session: WriteSession, number: int, previous_hash: bytes, hash_: bytes, acts: Sequence[Act]
) -> None:
    session.add(JournalBlock(number=number, previous_hash=previous_hash, hash=hash_, entry_count=len(acts)))
    await session.flush()
    await session.execute(
        update(JournalEntry)
        .where(JournalEntry.id == func.any([act.id for act in acts]))
        .values(block_number=number)
        .execution_options(synchronize_session=False)
    )


async def blocks_after(session: ReadSession, number: int, limit: int) -> list[JournalBlock]:
    rows = await session.scalars(
        select(JournalBlock).where(JournalBlock.number > number).order_by(JournalBlock.number).limit(limit)
    )
    return list(rows)


async def acts_of_blocks(session: ReadSession, first: int, last: int) -> dict[int, list[Act]]:
    """The acts of a run of blocks, by block number; a block without acts is absent."""
    rows = await session.scalars(
        select(JournalEntry).where(JournalEntry.block_number.between(first, last)).order_by(JournalEntry.id)
    )
    found: dict[int, list[Act]] = {}
    for row in rows:
        found.setdefault(row.block_number or 0, []).append(_act(row))
    return found
