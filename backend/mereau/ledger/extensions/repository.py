"""SQL of extensions. Lots get their new date and the entry notes the old one in one statement."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select, text

from mereau.core.db import WriteSession
from mereau.ledger.models import Lot

_EXTEND: Final = text("""
    with moved as (
        insert into lot_extensions (lot_entry_id, entry_id, tokens, from_at, until_at)
        select entry_id, :entry_id, remaining + held, expires_at, :until
        from lots
        where member_id = :member_id and state = 'active' and expires_at < :until
        returning lot_entry_id
    )
    update lots set expires_at = :until from moved where lots.entry_id = moved.lot_entry_id
""")


@dataclass(frozen=True, slots=True)
class Extensible:
    """What would live longer: lots, and the tokens in them."""

    lots: int
    tokens: int


async def extensible(session: WriteSession, member_id: str, until: datetime) -> Extensible:
    """The member's active lots that expire earlier; of their tokens also those that redemptions hold."""
    lots, tokens = (
        await session.execute(
            select(func.count(), func.coalesce(func.sum(Lot.remaining + Lot.held), 0)).where(
                Lot.member_id == member_id, Lot.state == "active", Lot.expires_at < until
            )
        )
    ).one()
    return Extensible(int(lots), int(tokens))


async def extend(session: WriteSession, entry_id: str, member_id: str, until: datetime) -> None:
    """Give them the later date; the member's account is locked."""
    await session.execute(_EXTEND, {"entry_id": entry_id, "member_id": member_id, "until": until})
