"""The replay by table and by property."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.ledger.replay.domain import FIGURES, Credited, Replayed, Taken, differences, replay

DEBITS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["reverse", "redeem", "expire"]),
        st.integers(1, 40),
        st.booleans(),
    ),
    max_size=12,
)


def one(*taken: Taken, tokens: int = 10) -> Replayed:
    return replay([Credited("a", tokens)], taken)["a"]


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ([], Replayed("a", 10, 10)),
        ([Taken("a", "reverse", 3)], Replayed("a", 10, 7, reversed=3)),
        ([Taken("a", "expire", 3)], Replayed("a", 10, 7, expired=3)),
        ([Taken("a", "redeem", 3)], Replayed("a", 10, 7, held=3)),
        ([Taken("a", "redeem", 3, is_mined=True)], Replayed("a", 10, 7, spent=3)),
        ([Taken("a", "redeem", 4), Taken("a", "redeem", 6, is_mined=True)], Replayed("a", 10, 0, held=4, spent=6)),
        ([Taken("a", "redeem", 11)], Replayed("a", 10, -1, held=11)),
    ],
)
def test_each_debit_goes_where_it_belongs(taken: list[Taken], expected: Replayed) -> None:
    assert one(*taken) == expected


def test_of_a_refused_credit_nothing_is_left_but_what_burned() -> None:
    assert one(tokens=0) == Replayed("a", 0, 0)
    assert one(Taken("a", "redeem", 4, is_mined=True), tokens=0) == Replayed("a", 0, 0, spent=4)


def test_a_debit_of_nothing_known_is_told() -> None:
    with pytest.raises(KeyError, match="b"):
        replay([Credited("a", 10)], [Taken("b", "redeem", 1)])


def stored(lot: Replayed) -> dict[str, int]:
    return {figure: getattr(lot, figure) for figure in FIGURES}


@given(DEBITS, st.randoms(use_true_random=False))
def test_tokens_are_conserved_whatever_the_order(
    drawn: list[tuple[str, str, int, bool]], chance: random.Random
) -> None:
    credits_ = [Credited(key, 100) for key in "abc"]
    taken = [Taken(*item) for item in drawn]
    lots = replay(credits_, taken)
    for lot in lots.values():
        assert lot.issued - lot.reversed - lot.spent - lot.expired == lot.remaining + lot.held
    chance.shuffle(taken)
    assert replay(reversed(credits_), taken) == lots


@given(DEBITS)
def test_what_agrees_has_no_difference_and_each_change_is_named(drawn: list[tuple[str, str, int, bool]]) -> None:
    lots = replay([Credited(key, 1_000) for key in "abc"], [Taken(*item) for item in drawn])
    figures = {key: stored(lot) for key, lot in lots.items()}
    assert list(differences(lots, figures)) == []
    for key, row in figures.items():
        for figure in FIGURES:
            changed = figures | {key: row | {figure: row[figure] + 1}}
            (found,) = differences(lots, changed)
            assert (found.entry_id, found.figure, found.stored - found.replayed) == (key, figure, 1)


def test_what_is_missing_or_below_zero_is_named() -> None:
    lots = replay([Credited("a", 10)], [Taken("a", "redeem", 12)])
    assert [str(found) for found in differences(lots, {"a": {"remaining": -2, "held": 12}})] == [
        "lot a: remaining is -2, its entries say -2"
    ]
    assert [str(found) for found in differences({}, {"b": {"remaining": 5}})] == [
        "lot b: remaining is 5, its entries say 0"
    ]
    assert [found.figure for found in differences(lots, {})] == ["remaining", "held"]
