"""SQL that moves tokens. Every function takes one item or thousands in a constant number of statements."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from psycopg.errors import LockNotAvailable
from sqlalchemy import ColumnElement, Select, func, select, text, tuple_
from sqlalchemy.exc import OperationalError

from mereau.core.db import ReadSession, WriteSession, copy_rows
from mereau.ledger.domain import DEBIT_BUCKETS, Bucket, Change, Line, Lot, Take, Use
from mereau.ledger.models import Account, Entry, Hold, LotUse
from mereau.ledger.models import Lot as LotRow

Session = ReadSession | WriteSession

BRIEF_WAIT_MS: Final = 500
"""Shorter than PostgreSQL's deadlock_timeout (1 s), so that who waits so long is never the other's deadlock."""

_SET_WAIT = text("select set_config('lock_timeout', :wait, true)")

_LINE_COLUMNS = tuple(Line.__dataclass_fields__)
# dataclasses.astuple copies every value deeply, which costs more than the COPY itself.
_line_values = attrgetter(*_LINE_COLUMNS)
_LOT_COLUMNS = tuple(name for name in Lot.__dataclass_fields__ if name != "live")
_lot_values = attrgetter(*_LOT_COLUMNS)

_OPEN_ACCOUNTS = text("""
    insert into accounts (member_id, available, pending, held, debt)
    select member_id, 0, 0, 0, 0 from unnest(cast(:ids as text[])) as wanted (member_id) order by member_id
    on conflict (member_id) do nothing
""")

_CHANGE_ACCOUNTS = text("""
    update accounts set
        available = accounts.available + change.available,
        pending = accounts.pending + change.pending,
        held = accounts.held + change.held,
        debt = accounts.debt + change.debt
    from unnest(
        cast(:ids as text[]), cast(:available as bigint[]), cast(:pending as bigint[]),
        cast(:held as bigint[]), cast(:debt as bigint[])
    ) as change (member_id, available, pending, held, debt)
    where accounts.member_id = change.member_id
""")

_SAVE_LOTS = text("""
    update lots set
        state = saved.state, remaining = saved.remaining, held = saved.held, spent = saved.spent,
        reversed = saved.reversed, expired = saved.expired, unmet = saved.unmet, corrected = saved.corrected
    from unnest(
        cast(:ids as text[]), cast(:states as text[]), cast(:remaining as bigint[]), cast(:held as bigint[]),
        cast(:spent as bigint[]), cast(:reversed as bigint[]), cast(:expired as bigint[]),
        cast(:unmet as bigint[]), cast(:corrected as bigint[])
    ) as saved (entry_id, state, remaining, held, spent, reversed, expired, unmet, corrected)
    where lots.entry_id = saved.entry_id
""")

_DECIDE = text("""
    update entries set state = decided.state, rejected_reason = decided.reason, tokens = decided.tokens
    from unnest(
        cast(:ids as text[]), cast(:states as text[]), cast(:reasons as text[]), cast(:tokens as bigint[])
    ) as decided (id, state, reason, tokens)
    where entries.id = decided.id
""")

_SET_ACTIVE_FROM = (
    text("update entries set activates_at = :at where id = :id"),
    text("update lots set activates_at = :at where entry_id = :id"),
)

_SET_HOLDS = text("""
    update holds set state = :target where entry_id = any(cast(:ids as text[])) and state = :source
    returning entry_id
""")

_ADD_TO_USES = text("""
    insert into lot_uses (entry_id, lot_entry_id, tokens)
    select entry_id, lot_entry_id, sum(tokens) from unnest(
        cast(:entry_ids as text[]), cast(:lot_ids as text[]), cast(:tokens as bigint[])
    ) as added (entry_id, lot_entry_id, tokens)
    group by entry_id, lot_entry_id
    on conflict (entry_id, lot_entry_id) do update set tokens = lot_uses.tokens + excluded.tokens
""")

_DROP_EMPTY_USES = text("delete from lot_uses where entry_id = any(cast(:ids as text[])) and tokens = 0")


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of an entry; `tokens` differs from before only for a pending one that shrank."""

    entry_id: str
    state: str
    reason: str | None
    tokens: int


@dataclass(frozen=True, slots=True)
class DueLot:
    """A lot past its expiry."""

    expires_at: datetime
    entry_id: str
    member_id: str


async def lock_accounts(session: WriteSession, member_ids: Iterable[str]) -> dict[str, Change]:
    """Member id -> counters, opened at zero where there was no account, locked until the transaction ends.

    Rows are made and locked in the order of their ids, so that calls side by side wait and never deadlock;
    take all the accounts of a transaction in one call.
    """
    ids = sorted(set(member_ids))
    await session.execute(_OPEN_ACCOUNTS, {"ids": ids})
    rows = await session.execute(
        select(Account.member_id, Account.available, Account.pending, Account.held, Account.debt)
        .where(Account.member_id == func.any(ids))
        .order_by(Account.member_id)
        .with_for_update()
    )
    return {member_id: Change(*counters) for member_id, *counters in rows}


@asynccontextmanager
async def brief_waits(session: WriteSession) -> AsyncIterator[None]:
    """Inside, a lock that somebody else keeps raises TimeoutError after `BRIEF_WAIT_MS`; what was done is undone."""
    try:
        async with session.begin_nested():
            await session.execute(_SET_WAIT, {"wait": str(BRIEF_WAIT_MS)})
            yield
            await session.execute(_SET_WAIT, {"wait": "0"})
    except OperationalError as error:
        if not isinstance(error.orig, LockNotAvailable):
            raise
        raise TimeoutError from error


async def change_accounts(session: WriteSession, changes: Mapping[str, Change]) -> None:
    """Add to the counters of locked accounts."""
    if not changes:
        return
    await session.execute(
        _CHANGE_ACCOUNTS,
        {
            "ids": list(changes),
            "available": [change.available for change in changes.values()],
            "pending": [change.pending for change in changes.values()],
            "held": [change.held for change in changes.values()],
            "debt": [change.debt for change in changes.values()],
        },
    )


async def add_debts(session: WriteSession, debts: Iterable[tuple[str, int]]) -> None:
    """Add to the debts of locked accounts, by member id."""
    changes: dict[str, Change] = {}
    for member_id, tokens in debts:
        changes[member_id] = changes.get(member_id, Change()) + Change(debt=tokens)
    await change_accounts(session, changes)


def _lots_where(*conditions: ColumnElement[bool]) -> Select[Any]:
    """Lots as rows in the order of the fields of `Lot`."""
    live = Entry.state.in_(("pending", "accepted"))
    columns = [getattr(LotRow, name) for name in _LOT_COLUMNS]
    return select(*columns, live).join(Entry, Entry.id == LotRow.entry_id).where(*conditions)


async def lots_of_entries(session: Session, entry_ids: Iterable[str]) -> list[Lot]:
    """The lots of these credits."""
    rows = await session.execute(_lots_where(LotRow.entry_id == func.any(list(entry_ids))))
    return [Lot(*row) for row in rows]


async def free_lots(session: Session, member_ids: Iterable[str]) -> list[Lot]:
    """The active lots of these members of which something is free to spend."""
    rows = await session.execute(
        _lots_where(LotRow.member_id == func.any(list(member_ids)), LotRow.remaining > 0, LotRow.state == "active")
    )
    return [Lot(*row) for row in rows]


async def lots_of_issuer(session: Session, member_id: str, partner_id: str) -> list[Lot]:
    """The member's lots of one partner's tokens of which something is free, pending ones among them."""
    rows = await session.execute(
        _lots_where(LotRow.member_id == member_id, LotRow.partner_id == partner_id, LotRow.remaining > 0)
    )
    return [Lot(*row) for row in rows]


async def add_lots(session: WriteSession, lots: Iterable[Lot]) -> None:
    await copy_rows(session, LotRow, _LOT_COLUMNS, map(_lot_values, lots))


async def save_lots(session: WriteSession, lots: Sequence[Lot]) -> None:
    """Write the states and buckets of existing lots."""
    if not lots:
        return
    await session.execute(
        _SAVE_LOTS,
        {
            "ids": [lot.entry_id for lot in lots],
            "states": [lot.state for lot in lots],
            "remaining": [lot.remaining for lot in lots],
            "held": [lot.held for lot in lots],
            "spent": [lot.spent for lot in lots],
            "reversed": [lot.reversed for lot in lots],
            "expired": [lot.expired for lot in lots],
            "unmet": [lot.unmet for lot in lots],
            "corrected": [lot.corrected for lot in lots],
        },
    )


async def add_entries(session: WriteSession, lines: Iterable[Line], now: datetime) -> None:
    """Append entries; an id that is there already raises psycopg's IntegrityError."""
    await copy_rows(session, Entry, (*_LINE_COLUMNS, "created_at"), ((*_line_values(line), now) for line in lines))


async def lines(session: Session, entry_ids: Iterable[str]) -> dict[str, Line]:
    """Entry id -> entry; unknown ids are absent."""
    rows = await session.execute(
        select(*(getattr(Entry, name) for name in _LINE_COLUMNS)).where(Entry.id == func.any(list(entry_ids)))
    )
    return {row[0]: Line(*row) for row in rows}


async def decide(session: WriteSession, decisions: Sequence[Decision]) -> None:
    """Write what becomes of entries."""
    if not decisions:
        return
    await session.execute(
        _DECIDE,
        {
            "ids": [decision.entry_id for decision in decisions],
            "states": [decision.state for decision in decisions],
            "reasons": [decision.reason for decision in decisions],
            "tokens": [decision.tokens for decision in decisions],
        },
    )


async def set_active_from(session: WriteSession, entry_id: str, at: datetime) -> None:
    """Write down that a credit became spendable earlier than it would have."""
    for statement in _SET_ACTIVE_FROM:
        await session.execute(statement, {"id": entry_id, "at": at})


async def add_uses(session: WriteSession, uses: Iterable[tuple[str, Take]]) -> None:
    """Note which lots debits (by entry id) took their tokens from; a second take of a lot adds to the first."""
    rows = list(uses)
    if rows:
        await session.execute(
            _ADD_TO_USES,
            {
                "entry_ids": [entry_id for entry_id, _ in rows],
                "lot_ids": [take.lot_entry_id for _, take in rows],
                "tokens": [take.tokens for _, take in rows],
            },
        )


async def move_uses(session: WriteSession, moved: Sequence[tuple[Use, Sequence[Take]]]) -> None:
    """Let debits name the lots that stand in for refused ones."""
    added = [(use.entry_id, take) for use, takes in moved for take in takes]
    removed = [(use.entry_id, Take(use.lot_entry_id, -sum(take.tokens for take in takes))) for use, takes in moved]
    await add_uses(session, added + removed)
    await session.execute(_DROP_EMPTY_USES, {"ids": [use.entry_id for use, _ in moved]})


def _bucket(kind: str, hold_state: str | None) -> Bucket:
    return "spent" if hold_state == "posted" else DEBIT_BUCKETS[kind]


async def _uses(session: Session, condition: ColumnElement[bool]) -> list[Use]:
    rows = await session.execute(
        select(LotUse.entry_id, Entry.member_id, Entry.kind, Hold.state, LotUse.lot_entry_id, LotUse.tokens)
        .join(Entry, Entry.id == LotUse.entry_id)
        .outerjoin(Hold, Hold.entry_id == LotUse.entry_id)
        .where(condition, Entry.state == "accepted")
        .order_by(Entry.seq, LotUse.lot_entry_id)
    )
    return [
        Use(entry_id, member_id, _bucket(kind, hold_state), lot_id, tokens)
        for entry_id, member_id, kind, hold_state, lot_id, tokens in rows
    ]


async def uses_of_entries(session: Session, entry_ids: Iterable[str]) -> list[Use]:
    """What accepted debits took, lot by lot."""
    return await _uses(session, LotUse.entry_id == func.any(list(entry_ids)))


async def uses_of_lots(session: Session, lot_entry_ids: Iterable[str]) -> list[Use]:
    """Which accepted debits took something of these lots."""
    return await _uses(session, LotUse.lot_entry_id == func.any(list(lot_entry_ids)))


async def debits_of(session: Session, member_ids: Iterable[str]) -> list[str]:
    """Ids of the accepted debits of these members, however far they have come on chain."""
    rows = await session.scalars(
        select(Entry.id).where(
            Entry.member_id == func.any(list(member_ids)),
            Entry.state == "accepted",
            Entry.kind.in_(list(DEBIT_BUCKETS)),
        )
    )
    return list(rows)


async def add_hold(session: WriteSession, *, entry_id: str, member_id: str, tokens: int, now: datetime) -> None:
    session.add(Hold(entry_id=entry_id, member_id=member_id, tokens=tokens, state="pending", created_at=now))
    await session.flush()


async def hold_members(session: Session, entry_ids: Iterable[str]) -> dict[str, str]:
    """Entry id -> member id, of entries that have a hold."""
    rows = await session.execute(
        select(Hold.entry_id, Hold.member_id).where(Hold.entry_id == func.any(list(entry_ids)))
    )
    return {row.entry_id: row.member_id for row in rows}


async def set_holds(session: WriteSession, entry_ids: Iterable[str], source: str, target: str) -> list[str]:
    """Move holds from one state to another; the ids of those that were in the first."""
    rows = await session.execute(_SET_HOLDS, {"ids": list(entry_ids), "source": source, "target": target})
    return [row.entry_id for row in rows]


async def due_pending(session: Session, now: datetime, limit: int) -> list[tuple[str, str]]:
    """(entry id, member id) of pending credits whose return window is over, the earliest first."""
    rows = await session.execute(
        select(Entry.id, Entry.member_id)
        .where(Entry.state == "pending", Entry.activates_at <= now)
        .order_by(Entry.activates_at, Entry.id)
        .limit(limit)
    )
    return [(row.id, row.member_id) for row in rows]


async def due_lots(session: Session, now: datetime, after: tuple[datetime, str], limit: int) -> list[DueLot]:
    """Active lots whose life is over, from behind that place (expiry, entry id) in their order."""
    rows = await session.execute(
        select(LotRow.expires_at, LotRow.entry_id, LotRow.member_id)
        .where(
            LotRow.remaining > 0,
            LotRow.state == "active",
            LotRow.expires_at <= now,
            tuple_(LotRow.expires_at, LotRow.entry_id) > tuple_(*after),
        )
        .order_by(LotRow.expires_at, LotRow.entry_id)
        .limit(limit)
    )
    return [DueLot(expires_at or now, entry_id, member_id) for expires_at, entry_id, member_id in rows]
