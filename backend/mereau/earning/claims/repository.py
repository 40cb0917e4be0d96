"""SQL of claims."""

from collections.abc import Sequence

from sqlalchemy import select

from mereau.core.db import WriteSession
from mereau.sales.models import Sale, SaleLine


async def lock_sale(session: WriteSession, partner_id: str, external_id: str) -> Sale | None:
    """The sale by its partner's number, locked until the transaction ends: claims of it follow each other."""
    query = select(Sale).where(Sale.partner_id == partner_id, Sale.external_id == external_id)
    return await session.scalar(query.with_for_update())


async def lines_of(session: WriteSession, sale_id: str) -> Sequence[SaleLine]:
    query = select(SaleLine).where(SaleLine.sale_id == sale_id).order_by(SaleLine.line_number)
    return (await session.scalars(query)).all()
