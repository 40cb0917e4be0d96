"""The last step of every posting: entries, orders and events in the caller's transaction."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from mereau.chain import orders as chain_orders
from mereau.chain.orders import NewOrder, OrderKind
from mereau.core.db import WriteSession
from mereau.ledger import events, repository
from mereau.ledger.domain import SALT_BYTES, EntryKind, Line, LotBook, line_commitment
from mereau.outbox import service as outbox
from mereau.partners import service as partners


def new_salts() -> tuple[bytes, bytes]:
    """A document salt and a record salt."""
    both = secrets.token_bytes(2 * SALT_BYTES)
    return both[:SALT_BYTES], both[SALT_BYTES:]


def _order(line: Line, partner_number: int | None, expires_at: datetime | None) -> NewOrder:
    return NewOrder(
        id=line.id,
        kind=OrderKind(line.kind),
        partner_number=partner_number,
        wallet=line.wallet,
        tokens=line.tokens,
        commitment=line_commitment(line, partner_number, expires_at),
    )


async def _numbers(session: WriteSession, lines: Iterable[Line]) -> dict[str, int]:
    """Entry id -> its partner's number in the contract; expiries are the programme's act and name none."""
    partner_ids = {
        line.id: line.partner_id for line in lines if line.partner_id is not None and line.kind != EntryKind.EXPIRE
    }
    numbers = await partners.numbers(session, sorted(set(partner_ids.values())))
    return {entry_id: numbers[partner_id] for entry_id, partner_id in partner_ids.items()}


async def _enqueue(
    session: WriteSession,
    lines: Iterable[Line],
    numbers: Mapping[str, int],
    expires_at: Mapping[str, datetime | None],
) -> None:
    await chain_orders.enqueue(
        session,
        [_order(line, numbers.get(line.id), expires_at.get(line.id)) for line in lines if line.state == "accepted"],
    )


async def order(session: WriteSession, lines: Sequence[Line], expires_at: Mapping[str, datetime | None]) -> None:
    """Queue the chain orders of accepted entries; `expires_at` gives the lots' expiries by entry id."""
    await _enqueue(session, lines, await _numbers(session, lines), expires_at)


async def post(
    session: WriteSession,
    lines: Sequence[Line],
    expires_at: Mapping[str, datetime | None],
    now: datetime,
) -> None:
    """Append entries, queue the orders of those that are accepted, tell the outbox of all.

    NotFoundError for an unknown partner; psycopg's IntegrityError for an entry id that exists.
    """
    numbers = await _numbers(session, lines)
    await repository.add_entries(session, lines, now)
    await _enqueue(session, lines, numbers, expires_at)
    await outbox.publish(session, events.entry_events(lines), now)


async def save(session: WriteSession, book: LotBook) -> None:
    """Write the changed lots and what follows from them for the accounts, which the caller has locked."""
    await repository.save_lots(session, book.changed())
    await repository.change_accounts(session, book.changes())
