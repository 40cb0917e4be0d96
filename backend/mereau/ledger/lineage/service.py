"""Returns of goods whose tokens were spent and came back by a refund."""

from collections.abc import Iterable, Mapping, Sequence

from mereau.core.db import WriteSession
from mereau.ledger import repository
from mereau.ledger.domain import Lot, LotBook, Returned, Take, Use
from mereau.ledger.lineage import repository as lineage
from mereau.ledger.lineage.domain import Kept, recover, withheld
from mereau.ledger.lineage.repository import Refund
from mereau.programs import service as programs


async def recover_refunded(
    session: WriteSession, book: LotBook, credit_ids: Sequence[str], outcomes: Sequence[Returned]
) -> tuple[list[Returned], list[list[Take]]]:
    """What returns of these credits ask for and their lots lack is taken from what refunds gave back of them.

    The outcomes with it, and every take of each return. Where the lots suffice, nothing is looked up. The caller
    holds the accounts and writes the book.
    """
    short = [key for key, outcome in zip(credit_ids, outcomes, strict=True) if outcome.debt or outcome.forgiven]
    refunded: dict[str, list[str]] = {}
    if short:
        for item in await lineage.refunds_of_origins(session, short):
            if item.entry_id is not None:
                refunded.setdefault(item.origin_entry_id, []).append(item.entry_id)
        await _take_in_hand(session, book, (key for keys in refunded.values() for key in keys))
    done, takes = [], []
    for key, outcome in zip(credit_ids, outcomes, strict=True):
        own = [Take(key, outcome.reversed)] if outcome.reversed else []
        more, found = recover(book, outcome, refunded.get(key, ()))
        done.append(more)
        takes.append(own + found)
    return done, takes


def settled(earlier: Sequence[Refund], lots: Mapping[str, Lot]) -> dict[str, int]:
    """Origin -> what returns recovered from its refunds, and what refunds withheld."""
    found: dict[str, int] = {}
    for item in earlier:
        lot = None if item.entry_id is None else lots[item.entry_id]
        recovered = lot.reversed if lot is not None and lot.live else 0
        found[item.origin_entry_id] = found.get(item.origin_entry_id, 0) + item.withheld_tokens + recovered
    return found


async def forgiven_meanwhile(session: WriteSession, book: LotBook, freed: Sequence[Use]) -> list[Kept]:
    """What redemptions are about to give back although returns had asked for it, where the programme forgave them.

    Without this, who redeems, brings the goods back and cancels keeps tokens for nothing. `book` holds the lots as
    they are before. The caller holds the accounts.
    """
    if not freed or (await programs.current(session)).return_policy != "clamp":
        return []
    origin_of = await lineage.origins(session, [use.lot_entry_id for use in freed])
    origins = {use.lot_entry_id: origin_of.get(use.lot_entry_id, use.lot_entry_id) for use in freed}
    await _take_in_hand(session, book, origins.values())
    if not any(book.lots[key].unmet for key in origins.values()):
        return []
    earlier = await lineage.refunds_of_origins(session, sorted(set(origins.values())))
    await _take_in_hand(session, book, [item.entry_id for item in earlier if item.entry_id is not None])
    done = settled(earlier, book.lots)
    kept = []
    for use in freed:
        key = origins[use.lot_entry_id]
        if tokens := withheld(book.lots[key], use.tokens, settled=done.get(key, 0)):
            done[key] = done.get(key, 0) + tokens
            kept.append(Kept(use, key, tokens))
    return kept


async def _take_in_hand(session: WriteSession, book: LotBook, lot_ids: Iterable[str]) -> None:
    unknown = set(lot_ids) - book.lots.keys()
    if unknown:
        book.add(await repository.lots_of_entries(session, unknown))
