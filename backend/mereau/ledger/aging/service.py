"""Activation and expiry, each a chunk of members in one transaction."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mereau.chain import contract
from mereau.chain import queries_ledger as chain_queries
from mereau.chain.rpc import RpcClient
from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import ConflictError, NotFoundError
from mereau.core.ids import new_id
from mereau.journal import service as journal
from mereau.ledger import events, repository
from mereau.ledger.domain import EntryKind, Line, Lot, LotBook, ReasonCode, Take
from mereau.ledger.posting import service as posting
from mereau.ledger.repository import Decision
from mereau.outbox import service as outbox
from mereau.wallets import service as wallets

Place = tuple[datetime, str]
"""Where a walk through the due lots stands: expiry and entry id of the last one seen."""

ExpirableReader = Callable[[Sequence[bytes]], Awaitable[Mapping[bytes, int]]]
"""Tells for wallets how many tokens the contract would let expire now, by wallet."""


@dataclass(frozen=True, slots=True)
class Due:
    """Lots past their expiry, and what the contract would let expire of each wallet of theirs."""

    lot_ids: Sequence[str]
    addresses: Mapping[str, bytes]
    expirable: Mapping[bytes, int]
    place: Place


async def activate(session: WriteSession, now: datetime, limit: int) -> int:
    """Activate up to `limit` credits whose return window is over and order them on chain; how many were due.

    Locks the accounts; a credit that was cancelled meanwhile stays cancelled.
    """
    due = await repository.due_pending(session, now, limit)
    if not due:
        return 0
    await repository.lock_accounts(session, (member_id for _, member_id in due))
    found = await repository.lines(session, (entry_id for entry_id, _ in due))
    await _activate(session, [line for line in found.values() if line.state == "pending"], now)
    return len(due)


async def activate_early(session: WriteSession, entry_id: str, now: datetime, *, actor: str) -> None:
    """Let a pending credit count from now on, since what it waited for has happened; idempotent and journalled.

    It expires when it would have. Locks the account. NotFoundError where there is no such credit; ConflictError
    where it was cancelled or refused.
    """
    line = (await repository.lines(session, [entry_id])).get(entry_id)
    if line is None or line.kind != EntryKind.ISSUE:
        raise NotFoundError("There is no such credit.")
    await repository.lock_accounts(session, [line.member_id])
    # Read again under the lock: the job, a return or another call may have come between.
    line = (await repository.lines(session, [entry_id]))[entry_id]
    if line.state in {"cancelled", "rejected"}:
        raise ConflictError(f"The credit is {line.state}; nothing of it can be activated.")
    if line.state != "pending":
        return
    await repository.set_active_from(session, entry_id, now)
    await _activate(session, [replace(line, activates_at=now)], now)
    detail = {"member_id": line.member_id, "tokens": line.tokens, "would_have_at": line.activates_at.isoformat()}
    await journal.record(session, at=now, actor=actor, action="entry.activated", subject_id=entry_id, detail=detail)


async def _activate(session: WriteSession, pending: Sequence[Line], now: datetime) -> None:
    """Make pending credits count; the accounts are locked."""
    lines = [replace(line, state="accepted") for line in pending]
    book = LotBook(await repository.lots_of_entries(session, (line.id for line in lines)))
    for lot in list(book.lots.values()):
        book.put(replace(lot, state="active"))
    await repository.decide(session, [Decision(line.id, "accepted", None, line.tokens) for line in lines])
    await posting.save(session, book)
    await posting.order(session, lines, {key: lot.expires_at for key, lot in book.lots.items()})
    await outbox.publish(session, events.entry_events(lines), now)


def chain_reader(rpc: RpcClient, contract_address: bytes) -> ExpirableReader:
    """Asks the contract's `expirableOf` at the node's head, for all wallets in batches."""

    async def read(addresses: Sequence[bytes]) -> Mapping[bytes, int]:
        calls = [
            ("eth_call", [{"to": contract_address, "data": contract.encode_call("expirableOf", address)}, "latest"])
            for address in addresses
        ]
        answers = await rpc.batch(calls)
        return {address: int(answer, 16) for address, answer in zip(addresses, answers, strict=True)}

    return read


async def find_due(
    session: ReadSession, now: datetime, after: Place, limit: int, expirable: ExpirableReader
) -> Due | None:
    """The next lots past their expiry with what the contract allows; None at the end. Locks nothing."""
    lots = await repository.due_lots(session, now, after, limit)
    if not lots:
        return None
    addresses = await wallets.addresses_of(session, sorted({lot.member_id for lot in lots}))
    allowed = await expirable(list(addresses.values()))
    return Due([lot.entry_id for lot in lots], addresses, allowed, (lots[-1].expires_at, lots[-1].entry_id))


async def expire(session: WriteSession, due: Due, now: datetime) -> int:
    """Expire what is still free of these lots, as far as the contract allows; the tokens. Locks the accounts.

    What the contract still protects waits for a later run, and until then stays spendable. Burns under way
    are taken off what the contract allowed, so an order is never larger than what will be left for it.
    """
    await repository.lock_accounts(session, due.addresses)
    book = LotBook(await repository.lots_of_entries(session, due.lot_ids))
    open_debits = await chain_queries.open_debits(session, list(due.addresses.values()))
    left = {wallet: tokens - open_debits.get(wallet, 0) for wallet, tokens in due.expirable.items()}
    lines, takes = [], []
    for key in due.lot_ids:
        lot = book.lots[key]
        wallet = due.addresses[lot.member_id]
        tokens = min(lot.remaining, left.get(wallet, 0)) if _is_over(lot, now) else 0
        if tokens > 0:
            left[wallet] -= tokens
            lines.append(_expiry(lot, wallet, tokens, now))
            takes.append((lines[-1].id, Take(key, tokens)))
    await posting.post(session, lines, {}, now)
    await repository.add_uses(session, takes)
    book.move((take for _, take in takes), "remaining", "expired")
    await posting.save(session, book)
    return sum(line.tokens for line in lines)


def _is_over(lot: Lot, now: datetime) -> bool:
    """Whether a lot's life is over; it may have been extended since it was found."""
    return lot.state == "active" and lot.expires_at is not None and lot.expires_at <= now


def _expiry(lot: Lot, wallet: bytes, tokens: int, now: datetime) -> Line:
    document_salt, record_salt = posting.new_salts()
    return Line(
        id=new_id("ent", now),
        member_id=lot.member_id,
        partner_id=None,
        staff_id=None,
        kind=EntryKind.EXPIRE,
        state="accepted",
        tokens=tokens,
        source_id=lot.entry_id,
        source_reference=lot.entry_id,
        rule=None,
        reason_code=ReasonCode.EXPIRY,
        wallet=wallet,
        document_salt=document_salt,
        record_salt=record_salt,
        occurred_at=now,
        activates_at=now,
    )
