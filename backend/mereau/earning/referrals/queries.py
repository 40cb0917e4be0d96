"""What referrals ask of members, sales and the ledger; one statement each."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import exists, func, or_, select

from mereau.core.db import ReadSession, WriteSession
from mereau.earning.referrals.domain import Person
from mereau.ledger.models import Entry, Lot
from mereau.members.models import Member
from mereau.sales.models import Sale, SaleLine
from mereau.sales.queries import kept_minor

Session = ReadSession | WriteSession


@dataclass(frozen=True, slots=True)
class Purchase:
    """What a sale comes to, net of discounts, and what of it is still with the buyer."""

    sale_id: str
    member_id: str
    occurred_at: datetime
    amount_minor: int
    kept_minor: int


@dataclass(frozen=True, slots=True)
class CreditLeft:
    """A credit of a referral, with the tokens that no return has asked for yet."""

    entry_id: str
    source_id: str
    partner_id: str
    tokens: int


async def people(session: Session, member_ids: Sequence[str], zone: ZoneInfo) -> dict[str, Person]:
    rows = await session.execute(
        select(Member.id, Member.email_key, Member.phone, Member.device_digest, Member.created_at).where(
            Member.id == func.any(list(member_ids))
        )
    )
    return {row.id: Person(*row[:4], row.created_at.astimezone(zone).date()) for row in rows}


async def has_other_account(session: Session, person: Person) -> bool:
    """Whether another member has the same mailbox, telephone or device."""
    same = [
        column == value
        for column, value in (
            (Member.email_key, person.email_key),
            (Member.phone, person.phone),
            (Member.device_digest, person.device_digest),
        )
        if value is not None
    ]
    if not same:
        return False
    return bool(await session.scalar(select(exists().where(Member.id != person.id, or_(*same)))))


async def has_bought(session: Session, member_id: str) -> bool:
    return bool(await session.scalar(select(exists().where(Sale.member_id == member_id))))


async def purchases(session: Session, sale_ids: Collection[str]) -> list[Purchase]:
    """The sales that have a member, in the order in which they happened."""
    net = SaleLine.amount_minor - SaleLine.discount_minor
    rows = await session.execute(
        select(Sale.id, Sale.member_id, Sale.occurred_at, func.sum(net), func.sum(kept_minor()))
        .join(SaleLine, SaleLine.sale_id == Sale.id)
        .where(Sale.id == func.any(list(sale_ids)), Sale.member_id.is_not(None))
        .group_by(Sale.id)
        .order_by(Sale.occurred_at, Sale.id)
    )
    return [Purchase(row[0], row[1] or "", row[2], int(row[3]), int(row[4])) for row in rows]


async def credits_left(session: Session, source_ids: Collection[str]) -> list[CreditLeft]:
    """What these sources credited and returns have not asked for."""
    left = Lot.tokens - Lot.reversed - Lot.unmet
    rows = await session.execute(
        select(Entry.id, Entry.source_id, Entry.partner_id, left)
        .join(Lot, Lot.entry_id == Entry.id)
        .where(Entry.source_id == func.any(list(source_ids)), Entry.kind == "issue", left > 0)
        .order_by(Entry.id)
    )
    return [
        CreditLeft(entry_id, source_id, partner_id or "", tokens) for entry_id, source_id, partner_id, tokens in rows
    ]
