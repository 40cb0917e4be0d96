"""Refunds and returns meet: what goods earned is taken back once, wherever its tokens are by now. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from mereau.ledger.domain import Lot, LotBook, Returned, Take, allocate


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
