"""Returns of goods whose tokens were spent and came back by a refund."""

from collections.abc import Sequence

from mereau.core.db import WriteSession
from mereau.ledger import repository
from mereau.ledger.domain import LotBook, Returned, Take
from mereau.ledger.lineage import repository as lineage
from mereau.ledger.lineage.domain import recover


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
        unknown = {key for keys in refunded.values() for key in keys} - book.lots.keys()
        book.add(await repository.lots_of_entries(session, unknown))
    done, takes = [], []
    for key, outcome in zip(credit_ids, outcomes, strict=True):
        own = [Take(key, outcome.reversed)] if outcome.reversed else []
        more, found = recover(book, outcome, refunded.get(key, ()))
        done.append(more)
        takes.append(own + found)
    return done, takes
