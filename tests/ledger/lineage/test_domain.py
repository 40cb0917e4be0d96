"""Refunds and returns of the same tokens: taken back once, whichever comes first."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.ledger.domain import Lot, LotBook, Take, Use, take_back
from mereau.ledger.lineage.domain import Kept, keep, recover, withheld

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_lot(entry_id: str = "origin", **buckets: Any) -> Lot:
    amounts = {"remaining": 0, "held": 0, "spent": 0, "reversed": 0, "expired": 0} | buckets
    unmet = amounts.pop("unmet", 0)
    return Lot(
        entry_id=entry_id, member_id="mem_1", partner_id="par_1", state="active", tokens=sum(amounts.values()),
        unmet=unmet, activates_at=NOW, expires_at=None, **amounts,
    )  # fmt: skip


def recovered(policy: Any, tokens: int, *refunded: Lot, **origin: int) -> tuple[tuple[int, int, int], list[Take]]:
    """(reversed, debt, forgiven) of a return of so many tokens, and what refunds' lots gave for it."""
    book = LotBook([a_lot(**origin), *refunded])
    outcome = take_back(book.lots["origin"], tokens, policy)
    book.put(outcome.lot)
    after, takes = recover(book, outcome, [lot.entry_id for lot in refunded])
    assert sum(lot.reversed for lot in book.lots.values() if lot.live) == after.reversed
    return (after.reversed, after.debt, after.forgiven), takes


def test_what_the_lot_lacks_is_taken_from_its_refunds() -> None:
    assert recovered("clamp", 100, a_lot("r", remaining=60), spent=100) == ((60, 0, 40), [Take("r", 60)])
    assert recovered("clamp", 30, a_lot("r", remaining=60), spent=100) == ((30, 0, 0), [Take("r", 30)])


def test_what_the_lot_has_is_taken_there() -> None:
    assert recovered("clamp", 40, a_lot("r", remaining=60), remaining=40, spent=60) == ((40, 0, 0), [])
    assert recovered("clamp", 50, a_lot("r", remaining=60), remaining=40, spent=60) == ((50, 0, 0), [Take("r", 10)])


def test_what_is_found_is_not_owed() -> None:
    assert recovered("debt", 100, a_lot("r", remaining=60), spent=100) == ((60, 40, 0), [Take("r", 60)])
    assert recovered("debt", 100, spent=100) == ((0, 100, 0), [])


def test_what_was_spent_again_or_refused_gives_nothing() -> None:
    void = a_lot("void", remaining=60).refused()
    assert recovered("clamp", 100, a_lot("r", spent=60), void, spent=100)[1] == []


@pytest.mark.parametrize(
    ("origin", "tokens", "settled", "expected"),
    [
        ({"spent": 100}, 100, 0, 0),
        ({"spent": 100, "unmet": 30}, 100, 0, 30),
        ({"spent": 100, "unmet": 100}, 40, 0, 40),
        ({"spent": 100, "unmet": 100}, 40, 70, 30),
        ({"spent": 100, "unmet": 100}, 40, 100, 0),
        ({"spent": 40, "expired": 60, "unmet": 100}, 40, 0, 40),
        ({"spent": 10, "expired": 90, "unmet": 50}, 10, 10, 0),
    ],
)
def test_a_refund_keeps_what_a_return_forgave(origin: dict[str, int], tokens: int, settled: int, expected: int) -> None:
    assert withheld(a_lot(**origin), tokens, settled=settled) == expected


@given(st.integers(1, 100), st.integers(0, 100), st.booleans())
def test_in_either_order_the_member_keeps_the_same(spent: int, back: int, refund_first: bool) -> None:
    """All of a lot is spent, refunded, and some of its goods are returned."""
    back = min(back, spent)
    if refund_first:
        (reversed_, _, forgiven), _ = recovered("clamp", back, a_lot("r", remaining=spent), spent=spent)
        assert (spent - reversed_, forgiven) == (spent - back, 0)
    else:
        origin = take_back(a_lot(spent=spent), back, "clamp").lot
        assert spent - withheld(origin, spent, settled=0) == spent - back


def held_back(lot: Lot, tokens: int, origin: str = "origin") -> tuple[LotBook, list[int]]:
    """The book after so many tokens that came free were to be taken, and what was."""
    book = LotBook([lot])
    done = keep(book, [Kept(Use("red", "mem_1", "held", lot.entry_id, tokens), origin, tokens)])
    return book, [item.tokens for item in done]


@pytest.mark.parametrize(("remaining", "asked", "taken"), [(40, 30, [30]), (30, 30, [30]), (10, 30, [10]), (0, 30, [])])
def test_what_came_free_is_kept_as_far_as_it_did(remaining: int, asked: int, taken: list[int]) -> None:
    book, done = held_back(a_lot(remaining=remaining, spent=100, unmet=60), asked)
    lot, got = book.lots["origin"], sum(taken)
    assert done == taken
    assert (lot.remaining, lot.reversed, lot.unmet) == (remaining - got, got, 60 - got)


def test_the_lot_of_a_refund_says_by_its_loss_that_less_is_asked() -> None:
    book, done = held_back(a_lot("refund", remaining=40), 30)
    assert done == [30]
    assert (book.lots["refund"].reversed, book.lots["refund"].unmet) == (30, 0)


def test_a_void_lot_has_nothing_to_keep() -> None:
    assert held_back(a_lot(remaining=40, spent=60, unmet=60).refused(), 30)[1] == []
