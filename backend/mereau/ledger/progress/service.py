"""Settles what the mirror saw and undoes what the chain will not execute."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from mereau.chain import queries_ledger as chain_queries
from mereau.core.db import WriteSession
from mereau.ledger import events, repository
from mereau.ledger.domain import Bucket, EntryKind, Line, LotBook, Take
from mereau.ledger.posting import service as posting
from mereau.ledger.progress.domain import Delta, Rejected
from mereau.ledger.repository import Decision
from mereau.outbox import service as outbox
from mereau.outbox.service import Event

CREDIT_REFUSED: Final = "credit_rejected"
"""Why a debit was taken back: the credit whose tokens it took never came to be."""


async def settle(session: WriteSession, delta: Delta, now: datetime) -> None:
    """Follow one step of the mirror, in its transaction: burned holds are posted, reorganised ones reserved again.

    Publishes `batch.*` for every batch and `entry.mined`, `entry.reorged`, `entry.final` for redemptions.
    Entries themselves stay untouched: their progress is the batch's. Locks the redeemers' accounts.
    """
    touched = [*delta.reorged, *delta.mined, *delta.final]
    redemptions = await chain_queries.redemptions_of(session, touched) if touched else {}

    def of(batch_ids: Iterable[str]) -> list[str]:
        return [entry_id for batch_id in batch_ids for entry_id in redemptions.get(batch_id, ())]

    # A batch may leave the chain and come back in one step, so leaving is settled first.
    await _move_holds(session, of(delta.reorged), ("posted", "pending"), ("spent", "held"))
    await _move_holds(session, of(delta.mined), ("pending", "posted"), ("held", "spent"))
    said: list[Event] = []
    for word, batch_ids in (("reorged", delta.reorged), ("mined", delta.mined), ("final", delta.final)):
        said += events.batches(word, batch_ids, delta.head_number)
        said += events.redemptions(word, of(batch_ids))
    said += events.batches("failed", delta.failed, delta.head_number)
    await outbox.publish(session, said, now)


async def _move_holds(
    session: WriteSession, entry_ids: Sequence[str], states: tuple[str, str], buckets: tuple[Bucket, Bucket]
) -> None:
    """Move holds, and the tokens of their lots, from one state and bucket to another; a no-op when done before."""
    if not entry_ids:
        return
    members = await repository.hold_members(session, entry_ids)
    await repository.lock_accounts(session, members.values())
    moved = await repository.set_holds(session, members, *states)
    uses = await repository.uses_of_entries(session, moved)
    book = LotBook(await repository.lots_of_entries(session, {use.lot_entry_id for use in uses}))
    book.move((Take(use.lot_entry_id, use.tokens) for use in uses), *buckets)
    await posting.save(session, book)


async def on_rejected(session: WriteSession, rejected: Sequence[Rejected], now: datetime) -> None:
    """Undo entries whose orders will never execute; a no-op for those undone before. Locks the accounts.

    A debit gives its tokens back to the lots that it took them from. A credit's lot is voided: debits of it
    that are still queued are rejected with it, and those that the chain executes, or may, are carried by other
    lots of the member, since the chain burns from one balance. Where none can carry them they stay on the void
    lot until the chain has refused them too.
    """
    reasons = {order.id: order.reason for order in rejected}
    found = await repository.lines(session, reasons)
    await repository.lock_accounts(session, (line.member_id for line in found.values()))
    # Read again under the lock: what was undone in the meantime is not undone twice.
    found = await repository.lines(session, found)
    lines = {key: line for key, line in found.items() if line.state == "accepted"}
    credits_ = [line.id for line in lines.values() if line.kind == EntryKind.ISSUE]
    dependent = await _take_dependent_debits(session, credits_)
    lines |= await repository.lines(session, dependent - lines.keys())
    reasons = dict.fromkeys(dependent, CREDIT_REFUSED) | reasons
    await _undo(session, lines, credits_)
    await _close(session, lines, reasons)
    await outbox.publish(session, [events.rejected(line, reasons[key]) for key, line in lines.items()], now)
    acts = [Event("order.rejected", key, {"reason": reasons[key]}) for key in reasons.keys() - found.keys() - dependent]
    await outbox.publish(session, acts, now)


async def _take_dependent_debits(session: WriteSession, credit_ids: Sequence[str]) -> set[str]:
    """Ids of debits that took something of these credits and could be withdrawn from the queue."""
    users = {use.entry_id for use in await repository.uses_of_lots(session, credit_ids)}
    return await chain_queries.withdraw(session, sorted(users), CREDIT_REFUSED) if users else set()


async def _undo(session: WriteSession, lines: Mapping[str, Line], credit_ids: Sequence[str]) -> None:
    undone = await repository.uses_of_entries(session, [key for key in lines if key not in credit_ids])
    of_credits = await repository.uses_of_lots(session, credit_ids)
    carried = [use for use in of_credits if use.entry_id not in lines]
    lots = await repository.lots_of_entries(session, {*credit_ids, *(use.lot_entry_id for use in undone)})
    others = await repository.free_lots(session, {use.member_id for use in carried})
    book = LotBook([*others, *lots])
    for key in credit_ids:
        book.put(book.lots[key].refused())
    book.give_back(undone)
    await repository.move_uses(session, [(use, book.move_use(use)) for use in carried])
    await posting.save(session, book)


async def _close(session: WriteSession, lines: Mapping[str, Line], reasons: Mapping[str, str]) -> None:
    await repository.decide(
        session, [Decision(key, "rejected", reasons[key], line.tokens) for key, line in lines.items()]
    )
    redemptions = [key for key, line in lines.items() if line.kind == EntryKind.REDEEM]
    await repository.set_holds(session, redemptions, "pending", "voided")
