"""Reads that recording needs before it decides."""

from sqlalchemy import select

from mereau.core.db import ReadSession, WriteSession
from mereau.earning.models import Sale


async def find_sale(session: ReadSession | WriteSession, sale_id: str, partner_id: str | None) -> Sale | None:
    """The sale's head, without lines; `partner_id` narrows the query to the caller's own."""
    query = select(Sale).where(Sale.id == sale_id)
    if partner_id is not None:
        query = query.where(Sale.partner_id == partner_id)
    return await session.scalar(query)
