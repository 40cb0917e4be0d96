"""Reads what a replay needs: entries and their uses on one side, lots on the other."""

from collections.abc import Sequence

from sqlalchemy import case, func, select

from mereau.core.db import ReadSession
from mereau.ledger.domain import EntryKind
from mereau.ledger.models import Account, Entry, Hold, LotUse
from mereau.ledger.models import Lot as LotRow
from mereau.ledger.replay.domain import FIGURES, Credited, Taken


async def members_after(session: ReadSession, after_id: str, limit: int) -> Sequence[str]:
    """Members with an account, in the order of their ids."""
    query = select(Account.member_id).where(Account.member_id > after_id).order_by(Account.member_id).limit(limit)
    return (await session.scalars(query)).all()


async def credits_of(session: ReadSession, member_ids: Sequence[str]) -> list[Credited]:
    """Every credit of these members; what was cancelled of a pending one is off its entry already."""
    lives = Entry.state.in_(("pending", "accepted"))
    rows = await session.execute(
        select(Entry.id, case((lives, Entry.tokens), else_=0)).where(
            Entry.member_id == func.any(list(member_ids)), Entry.kind == EntryKind.ISSUE
        )
    )
    return [Credited(*row) for row in rows]


async def taken_of(session: ReadSession, member_ids: Sequence[str]) -> list[Taken]:
    """What the accepted debits of these members took."""
    rows = await session.execute(
        select(LotUse.lot_entry_id, Entry.kind, LotUse.tokens, func.coalesce(Hold.state == "posted", False))
        .join(Entry, Entry.id == LotUse.entry_id)
        .outerjoin(Hold, Hold.entry_id == LotUse.entry_id)
        .where(Entry.member_id == func.any(list(member_ids)), Entry.state == "accepted")
    )
    return [Taken(*row) for row in rows]


async def lots_of(session: ReadSession, member_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Credit -> the stored figures of its lot."""
    columns = [getattr(LotRow, figure) for figure in FIGURES]
    rows = await session.execute(
        select(LotRow.entry_id, *columns).where(LotRow.member_id == func.any(list(member_ids)))
    )
    return {entry_id: dict(zip(FIGURES, figures, strict=True)) for entry_id, *figures in rows}
