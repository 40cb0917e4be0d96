"""SQL of refunds and the lots that they made."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from mereau.core.db import ReadSession, WriteSession, copy_rows
from mereau.ledger.models import LotRefund

Session = ReadSession | WriteSession

_COLUMNS = ("redeem_entry_id", "lot_entry_id", "origin_entry_id", "entry_id", "tokens", "withheld_tokens")


@dataclass(frozen=True, slots=True)
class Refund:
    """What became of the tokens that a redemption had taken from one lot.

    `entry_id` is the credit that gave them back, None where all were withheld; `origin_entry_id` is the credit by
    which they were earned, however often they were redeemed and refunded since.
    """

    redeem_entry_id: str
    lot_entry_id: str
    origin_entry_id: str
    entry_id: str | None
    tokens: int
    withheld_tokens: int


async def add(session: WriteSession, refunds: Iterable[Refund]) -> None:
    """Write refunds down; psycopg's IntegrityError where the redemption was refunded before."""
    await copy_rows(session, LotRefund, _COLUMNS, ([getattr(refund, name) for name in _COLUMNS] for refund in refunds))


async def refunds_of_origins(session: Session, origin_ids: Sequence[str]) -> list[Refund]:
    """Every refund of tokens that these credits earned, the oldest first."""
    rows = await session.execute(
        select(*(getattr(LotRefund, name) for name in _COLUMNS))
        .where(LotRefund.origin_entry_id == func.any(list(origin_ids)))
        .order_by(LotRefund.redeem_entry_id, LotRefund.lot_entry_id)
    )
    return [Refund(*row) for row in rows]


async def origins(session: Session, lot_ids: Sequence[str]) -> dict[str, str]:
    """Lot -> the credit by which its tokens were earned, for lots that a refund made."""
    rows = await session.execute(
        select(LotRefund.entry_id, LotRefund.origin_entry_id).where(LotRefund.entry_id == func.any(list(lot_ids)))
    )
    return {str(row.entry_id): row.origin_entry_id for row in rows}
