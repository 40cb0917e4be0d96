"""Refunds and returns meet: what goods earned is taken back once, wherever its tokens are by now. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mereau.ledger.domain import Lot, LotBook, Returned, Take, Use, allocate


@dataclass(frozen=True, slots=True)
class Kept:
    """Tokens that a redemption gives back to a lot and that goods which came back meanwhile had earned."""

    use: Use
    origin_entry_id: str
    tokens: int


def recover(book: LotBook, outcome: Returned, refunded: Sequence[str]) -> tuple[Returned, list[Take]]:
    """Take what the lot itself could not give from lots that refunds made of its tokens; what each gave.

    `refunded` names those lots, in the hands of `book`. What is found there is neither owed nor forgiven.
    """
    takes, _ = allocate((book.lots[key] for key in refunded), outcome.debt + outcome.forgiven)
    book.move(takes, "remaining", "reversed")
    found = sum(take.tokens for take in takes)
    off_debt = min(found, outcome.debt)
    return replace(
        outcome,
        reversed=outcome.reversed + found,
        debt=outcome.debt - off_debt,
        forgiven=outcome.forgiven - (found - off_debt),
    ), takes


def withheld(origin: Lot, tokens: int, *, settled: int) -> int:
    """How much of a refund of `tokens` stays away, because returned goods had earned it.

    A return forgave what was spent of the origin, since there was nothing to take. Now there is: that part is not
    given back. `settled` is what was recovered or withheld before.
    """
    outstanding = max(0, min(origin.unmet, origin.spent + origin.held) - settled)
    return min(tokens, outstanding)


def keep(book: LotBook, kept: Iterable[Kept]) -> list[Kept]:
    """Take back what came free, as far as it did; what was taken of each.

    The lot that earned the tokens asks for so much less. For lots of refunds, what they lost says it already.
    """
    done = []
    for item in kept:
        lot = book.lots[item.use.lot_entry_id]
        if tokens := min(item.tokens, lot.remaining):
            after = lot.moved(tokens, "remaining", "reversed")
            is_origin = lot.entry_id == item.origin_entry_id
            book.put(replace(after, unmet=after.unmet - tokens) if is_origin else after)
            done.append(replace(item, tokens=tokens))
    return done
