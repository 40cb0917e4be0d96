"""Reads of the ledger: balances and statements, joined with what the chain says."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select

from mereau.chain import queries_ledger as chain_queries
from mereau.chain.queries_ledger import OrderState
from mereau.core.db import ReadSession, WriteSession
from mereau.ledger.domain import EntryKind, entry_status
from mereau.ledger.models import Account, Entry, Lot
from mereau.members import service as members
from mereau.wallets import service as wallets

Session = ReadSession | WriteSession


@dataclass(frozen=True, slots=True)
class Balance:
    """A member's tokens. `available` is spendable now: free tokens less the debt that they answer for.

    `on_chain` is the wallet's balance at block `on_chain_block` of the mirror, None before its first block;
    `expiring_next_tokens` are the free tokens that expire first, at `expiring_next_at`.
    """

    available: int
    pending: int
    held: int
    debt: int
    on_chain: int
    on_chain_block: int | None
    expiring_next_tokens: int
    expiring_next_at: datetime | None


@dataclass(frozen=True, slots=True)
class EntryView:
    """One line of a statement with its derived `status` and, once sealed, its place on chain.

    `seq` grows with every entry and is the cursor of a statement, newest first.
    """

    seq: int
    id: str
    member_id: str
    partner_id: str | None
    kind: str
    status: str
    tokens: int
    source_id: str
    source_reference: str
    rule: str | None
    reason_code: str
    rejected_reason: str | None
    occurred_at: datetime
    activates_at: datetime
    expires_at: datetime | None
    created_at: datetime
    batch_id: str | None
    block_number: int | None
    transaction_hash: bytes | None


async def balance(session: Session, member_id: str) -> Balance:
    """The member's balance; NotFoundError where there is no such member."""
    await members.get(session, member_id)
    row = (
        await session.execute(
            select(Account.available, Account.pending, Account.held, Account.debt).where(Account.member_id == member_id)
        )
    ).one_or_none()
    available, pending, held, debt = row or (0, 0, 0, 0)
    expiring = (
        await session.execute(
            select(Lot.expires_at, func.sum(Lot.remaining))
            .where(
                Lot.member_id == member_id,
                Lot.remaining > 0,
                Lot.state == "active",
                Lot.expires_at.is_not(None),
            )
            .group_by(Lot.expires_at)
            .order_by(Lot.expires_at)
            .limit(1)
        )
    ).one_or_none()
    address = (await wallets.addresses_of(session, [member_id])).get(member_id)
    on_chain = await chain_queries.balances(session, [address]) if address else {}
    head = await chain_queries.mirror_head(session)
    return Balance(
        available=max(0, available - debt),
        pending=pending,
        held=held,
        debt=debt,
        on_chain=sum(on_chain.values()),
        on_chain_block=head.number if head else None,
        expiring_next_tokens=int(expiring[1]) if expiring else 0,
        expiring_next_at=expiring[0] if expiring else None,
    )


async def _views(session: Session, condition: ColumnElement[bool], limit: int) -> list[EntryView]:
    found = (
        await session.execute(
            select(Entry, Lot.expires_at)
            .outerjoin(Lot, Lot.entry_id == Entry.id)
            .where(condition)
            .order_by(Entry.seq.desc())
            .limit(limit)
            .execution_options(populate_existing=True)
        )
    ).all()
    orders = await chain_queries.order_states(session, [entry.id for entry, _ in found])
    return [_view(entry, expires_at, orders.get(entry.id)) for entry, expires_at in found]


def _view(entry: Entry, expires_at: datetime | None, order: OrderState | None) -> EntryView:
    return EntryView(
        seq=entry.seq,
        id=entry.id,
        member_id=entry.member_id,
        partner_id=entry.partner_id,
        kind=entry.kind,
        status=entry_status(
            entry.state, order.batch_state if order else None, is_off_chain=entry.kind == EntryKind.EXTEND
        ),
        tokens=entry.tokens,
        source_id=entry.source_id,
        source_reference=entry.source_reference,
        rule=entry.rule,
        reason_code=entry.reason_code,
        rejected_reason=entry.rejected_reason,
        occurred_at=entry.occurred_at,
        activates_at=entry.activates_at,
        expires_at=expires_at,
        created_at=entry.created_at,
        batch_id=order.batch_id if order else None,
        block_number=order.block_number if order else None,
        transaction_hash=order.transaction_hash if order else None,
    )


async def entries(session: Session, member_id: str, cursor: int | None, limit: int) -> list[EntryView]:
    """A member's statement, newest first, from below the `seq` in `cursor`; NotFoundError for no such member."""
    await members.get(session, member_id)
    mine = Entry.member_id == member_id
    return await _views(session, mine if cursor is None else mine & (Entry.seq < cursor), limit)


async def statuses(session: Session, entry_ids: Sequence[str]) -> dict[str, EntryView]:
    """Entry id -> entry with its status; unknown ids are absent."""
    views = await _views(session, Entry.id == func.any(list(entry_ids)), len(entry_ids))
    return {view.id: view for view in views}


async def lots(session: Session, member_id: str, after: str | None, limit: int) -> Sequence[Lot]:
    """A member's lots, the newest first, from below the entry id `after`; NotFoundError for no such member."""
    await members.get(session, member_id)
    mine = select(Lot).where(Lot.member_id == member_id)
    page = mine if after is None else mine.where(Lot.entry_id < after)
    return (await session.scalars(page.order_by(Lot.entry_id.desc()).limit(limit))).all()
