"""Reading sales with their lines and returns. Whose sale it is belongs to the query, not to its caller."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, ColumnElement, Numeric, case, cast, func, select

from mereau.core.db import ReadSession, WriteSession
from mereau.sales.domain import SaleAward
from mereau.sales.models import Return, ReturnLine, Sale, SaleLine
from mereau.sales.repository import awards_of

RETURNS_MAX: Final = 1_000
"""More returns of one sale than this are not listed with it."""


@dataclass(frozen=True, slots=True)
class ReturnView:
    """A return with its lines."""

    head: Return
    lines: Sequence[ReturnLine]


@dataclass(frozen=True, slots=True)
class SaleView:
    """A sale with its lines by number and its returns, oldest first."""

    head: Sale
    lines: Sequence[SaleLine]
    returns: Sequence[ReturnView]
    awards: Sequence[SaleAward] = ()


async def find_sale(session: ReadSession | WriteSession, sale_id: str, partner_id: str | None) -> Sale | None:
    """The sale's head, without lines; `partner_id` narrows the query to the caller's own."""
    query = select(Sale).where(Sale.id == sale_id)
    if partner_id is not None:
        query = query.where(Sale.partner_id == partner_id)
    return await session.scalar(query)


async def sale_view(
    session: ReadSession | WriteSession,
    sale_id: str,
    *,
    partner_id: str | None = None,
    member_id: str | None = None,
) -> SaleView | None:
    """The sale, or None where there is none that is this partner's and this member's.

    `partner_id` and `member_id` narrow the query where they are given: pass the caller's own.
    """
    query = select(Sale).where(Sale.id == sale_id)
    if partner_id is not None:
        query = query.where(Sale.partner_id == partner_id)
    if member_id is not None:
        query = query.where(Sale.member_id == member_id)
    sale = await session.scalar(query)
    if sale is None:
        return None
    lines = await session.scalars(select(SaleLine).where(SaleLine.sale_id == sale_id).order_by(SaleLine.line_number))
    return SaleView(sale, list(lines), await _returns(session, sale_id), await _awards(session, sale))


async def _awards(session: ReadSession | WriteSession, sale: Sale) -> tuple[SaleAward, ...]:
    if sale.entry_id is None or sale.rule is None:
        return ()
    several = await awards_of(session, [sale.id])
    return several.get(sale.id, (SaleAward(sale.rule, sale.entry_id, sale.tokens),))


async def buyers(session: ReadSession | WriteSession, member_ids: Sequence[str]) -> frozenset[str]:
    """Those of the members of whom a sale is recorded."""
    rows = await session.scalars(select(Sale.member_id).where(Sale.member_id.in_(member_ids)).distinct())
    return frozenset(id_ for id_ in rows if id_ is not None)


async def _returns(session: ReadSession | WriteSession, sale_id: str) -> list[ReturnView]:
    heads = await session.scalars(
        select(Return).where(Return.sale_id == sale_id).order_by(Return.id).limit(RETURNS_MAX)
    )
    returns = {head.id: (head, list[ReturnLine]()) for head in heads}
    lines = await session.scalars(
        select(ReturnLine)
        .join(Return, Return.id == ReturnLine.return_id)
        .where(Return.sale_id == sale_id)
        .order_by(ReturnLine.return_id, ReturnLine.line_number)
    )
    for line in lines:
        if line.return_id in returns:
            returns[line.return_id][1].append(line)
    return [ReturnView(head, found) for head, found in returns.values()]


def kept_minor() -> ColumnElement[int]:
    """What the units of a `SaleLine` that were kept cost after discount, in minor units, rounded down."""
    paid = SaleLine.amount_minor - SaleLine.discount_minor
    # In bigint a product of the two largest figures would not fit; most lines come without any return.
    kept = cast(paid, Numeric) * (SaleLine.quantity - SaleLine.returned_quantity) / SaleLine.quantity
    return case((SaleLine.returned_quantity == 0, paid), else_=cast(func.floor(kept), BigInteger))
