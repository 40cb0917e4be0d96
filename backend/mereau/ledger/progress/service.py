"""Settles what the mirror saw and undoes what the chain will not execute."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from mereau.chain import queries_ledger as chain_queries
from mereau.core.db import WriteSession
from mereau.core.ids import new_id
from mereau.ledger import events, repository
from mereau.ledger.domain import Bucket, EntryKind, Line, LotBook, ReasonCode, Take
from mereau.ledger.lineage.domain import Kept, keep
from mereau.ledger.lineage.service import forgiven_meanwhile
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

    A debit gives its tokens back to the lots that it took them from; of a redemption's, what returns of the goods
    asked for meanwhile and the programme forgave is taken back at once. A credit's lot is voided: debits of it
    that are still queued are rejected with it, and those that the chain executes, or may, are carried by other
    lots of the member, since the chain burns from one balance. Where the others do not reach, the member's
    queued debits give way; what even then finds no lot stays on the void one until the chain refuses it too.
    """
    reasons = {order.id: order.reason for order in rejected}
    found = await repository.lines(session, reasons)
    await repository.lock_accounts(session, (line.member_id for line in found.values()))
    # Read again under the lock: what was undone in the meantime is not undone twice.
    found = await repository.lines(session, found)
    lines = {key: line for key, line in found.items() if line.state == "accepted"}
    credit_ids = [line.id for line in lines.values() if line.kind == EntryKind.ISSUE]
    users = {use.entry_id for use in await repository.uses_of_lots(session, credit_ids)}
    lines |= await _withdrawn(session, users)
    short = await _undo(session, lines, credit_ids, now)
    await _close(session, lines, reasons)
    if short:
        given_way = await _withdrawn(session, await repository.debits_of(session, short))
        await _undo(session, given_way, credit_ids, now)
        await _close(session, given_way, reasons)
        lines |= given_way
    said = [events.rejected(line, reasons.get(key, CREDIT_REFUSED)) for key, line in lines.items()]
    # What is no entry is an act of a role; nothing is to be undone here, but somebody must hear of it.
    said += [Event("order.rejected", key, {"reason": reasons[key]}) for key in reasons.keys() - found.keys()]
    await outbox.publish(session, said, now)


async def _withdrawn(session: WriteSession, debit_ids: Iterable[str]) -> dict[str, Line]:
    """Those of the debits that were still queued, and now are not."""
    withdrawn = await chain_queries.withdraw(session, sorted(debit_ids), CREDIT_REFUSED)
    return await repository.lines(session, withdrawn)


async def _undo(session: WriteSession, lines: Mapping[str, Line], credit_ids: Sequence[str], now: datetime) -> set[str]:
    """Void credits and undo debits; ids of members whose other lots do not carry the burns that remain."""
    undone = await repository.uses_of_entries(session, lines)
    of_credits = await repository.uses_of_lots(session, credit_ids)
    carried = [use for use in of_credits if use.entry_id not in lines]
    lots = await repository.lots_of_entries(session, {*credit_ids, *(use.lot_entry_id for use in undone)})
    others = await repository.free_lots(session, {use.member_id for use in carried})
    book = LotBook([*others, *lots])
    redeemed = [use for use in undone if use.bucket in {"held", "spent"}]
    forgiven = await forgiven_meanwhile(session, book, redeemed)
    for key in credit_ids:
        book.put(book.lots[key].refused())
    book.give_back(undone)
    moved = [(use, book.move_use(use)) for use in carried]
    await repository.move_uses(session, moved)
    await _post_kept(session, lines, keep(book, forgiven), now)
    await posting.save(session, book)
    return {use.member_id for use, takes in moved if sum(take.tokens for take in takes) < use.tokens}


async def _post_kept(
    session: WriteSession, redemptions: Mapping[str, Line], kept: Sequence[Kept], now: datetime
) -> None:
    """Take back what the ended redemptions give and returns had asked for, by the partners that issued it."""
    if not kept:
        return
    credited = await repository.lines(session, {item.use.lot_entry_id for item in kept})
    lines = [
        _return_line(credited[item.use.lot_entry_id], redemptions[item.use.entry_id], item.tokens, now) for item in kept
    ]
    await posting.post(session, lines, {}, now)
    takes = [Take(item.use.lot_entry_id, item.tokens) for item in kept]
    await repository.add_uses(session, ((line.id, take) for line, take in zip(lines, takes, strict=True)))


def _return_line(credit: Line, redemption: Line, tokens: int, now: datetime) -> Line:
    """The document is the redemption whose end set the tokens free; the return that asked for them was earlier."""
    document_salt, record_salt = posting.new_salts()
    return replace(
        credit,
        id=new_id("ent", now),
        staff_id=None,
        kind=EntryKind.REVERSE,
        state="accepted",
        tokens=tokens,
        source_id=redemption.source_id,
        source_reference=redemption.source_reference,
        reason_code=ReasonCode.RETURN,
        document_salt=document_salt,
        record_salt=record_salt,
        occurred_at=now,
        activates_at=now,
    )


async def _close(session: WriteSession, lines: Mapping[str, Line], reasons: Mapping[str, str]) -> None:
    await repository.decide(
        session,
        [Decision(key, "rejected", reasons.get(key, CREDIT_REFUSED), line.tokens) for key, line in lines.items()],
    )
    redemptions = [key for key, line in lines.items() if line.kind == EntryKind.REDEEM]
    await repository.set_holds(session, redemptions, "pending", "voided")
