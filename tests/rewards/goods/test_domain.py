"""Sizes sort as a shelf does, and a stock promises nothing that it has not."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.rewards.goods.domain import (
    GoodsDraft,
    Movement,
    MovementKind,
    Stock,
    VariantDraft,
    findings,
    has_run_low,
    shortfall,
    size_key,
)
from mereau.rewards.goods.offers.domain import Choice, Slot, choice_findings, slot_findings

LADDER = [None, "XXS", "XS", "S", "M", "L", "XL", "XXL", "3XL", "10XL", "4", "36", "36.5", "37", "100", "TU"]
SIZES = st.one_of(
    st.none(),
    st.sampled_from("SML"),
    st.builds(lambda crosses, letter: "X" * crosses + letter, st.integers(1, 6), st.sampled_from("SL")),
    st.builds(lambda steps, letter: f"{steps}X{letter}", st.integers(1, 20), st.sampled_from("SL")),
    st.integers(0, 200).map(str),
    st.text(min_size=1, max_size=6),
)


def test_a_shelf_has_a_natural_order() -> None:
    shuffled = LADDER[8:] + LADDER[:8]
    assert sorted(shuffled, key=size_key) == LADDER


@pytest.mark.parametrize(("one", "other"), [("XXL", "2XL"), ("xs", "XS"), (" L ", "l"), ("3XS", "XXXS")])
def test_one_size_has_several_spellings(one: str, other: str) -> None:
    assert size_key(one) == size_key(other)


@pytest.mark.parametrize("odd", ["XM", "2XM", "XX", "SL", "Grande"])
def test_what_is_no_letter_size_comes_last(odd: str) -> None:
    assert size_key("5XL") < size_key(odd)


@given(st.integers(1, 30))
def test_each_cross_is_a_step_outward(steps: int) -> None:
    assert size_key(f"{steps + 1}XS") < size_key(f"{steps}XS") < size_key("S") < size_key("M")
    assert size_key("M") < size_key("L") < size_key(f"{steps}XL") < size_key(f"{steps + 1}XL")


@given(st.lists(SIZES, max_size=12), st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_where_one_starts(sizes: list[str | None], random: object) -> None:
    shuffled = list(sizes)
    random.shuffle(shuffled)  # type: ignore[attr-defined] # hypothesis types its own Random as object
    keys = [size_key(size) for size in sorted(shuffled, key=size_key)]
    assert keys == sorted(size_key(size) for size in sizes)
    assert all(lower <= upper for lower, upper in pairwise(keys))


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_figures_sort_as_figures(one: int, other: int) -> None:
    assert (size_key(f"T{one}") < size_key(f"T{other}")) == (one < other)


def a_stock(on_hand: int, reserved: int = 0, buffer: int = 0, alert_at: int = 0) -> Stock:
    return Stock("var_1", "gds_1", "TEE-M", on_hand, reserved, buffer, alert_at)


def a_movement(kind: MovementKind, pieces: int) -> Movement:
    return Movement("var_1", kind, pieces, "test")


def test_the_buffer_is_not_available() -> None:
    stock = a_stock(10, reserved=3, buffer=5)
    assert stock.available == 2
    assert shortfall(stock, a_movement(MovementKind.RESERVED, 2)) == 0
    assert shortfall(stock, a_movement(MovementKind.RESERVED, 3)) == 1
    assert a_stock(3, buffer=5).available == 0


@pytest.mark.parametrize(
    ("kind", "pieces", "missing"),
    [
        (MovementKind.WRITTEN_OFF, 7, 0),
        (MovementKind.WRITTEN_OFF, 8, 1),
        (MovementKind.COUNTED, 3, 0),
        (MovementKind.COUNTED, 1, 2),
        (MovementKind.RELEASED, 3, 0),
        (MovementKind.RELEASED, 4, 1),
        (MovementKind.SHIPPED, 3, 0),
        (MovementKind.SHIPPED, 5, 2),
        (MovementKind.RECEIVED, 1_000, 0),
        (MovementKind.RETURNED, 1, 0),
    ],
)
def test_what_is_promised_stays_on_the_shelf(kind: MovementKind, pieces: int, missing: int) -> None:
    assert shortfall(a_stock(10, reserved=3, buffer=5), a_movement(kind, pieces)) == missing


@given(st.lists(st.tuples(st.sampled_from(MovementKind), st.integers(0, 20)), max_size=30), st.integers(0, 5))
def test_no_history_leaves_a_stock_negative(history: list[tuple[MovementKind, int]], buffer: int) -> None:
    stock = a_stock(10, buffer=buffer)
    for kind, pieces in history:
        movement = a_movement(kind, pieces)
        if not shortfall(stock, movement):
            stock = stock.after(movement)
        assert 0 <= stock.reserved <= stock.on_hand
        assert stock.available >= 0


def test_a_stock_runs_low_once() -> None:
    levels = [a_stock(on_hand, alert_at=3) for on_hand in (5, 4, 3, 2, 6)]
    assert [has_run_low(before, after) for before, after in pairwise(levels)] == [False, True, False, False]


def a_draft(*variants: VariantDraft, **changes: str) -> GoodsDraft:
    fields = {"external_id": "TEE", "partner_id": "par_1", "name_fr": "Tee", "name_en": "Tee", "supplier": "F"}
    return GoodsDraft(**fields | changes, cost_minor=1, variants=variants or (VariantDraft("A"),))


def test_drafts_name_what_is_wrong() -> None:
    twins = (VariantDraft("A", "M"), VariantDraft("A", "L"), VariantDraft("B", "M"))
    found = [(error.pointer, error.code) for error in findings(a_draft(*twins, name_fr=" "))]
    assert found == [("/name_fr", "empty"), ("/variants/1/sku", "repeated"), ("/variants/2/size", "repeated")]
    assert list(findings(a_draft())) == []


SLOTS = (Slot(("gds_1", "gds_2")), Slot(("gds_3",)))
CHOICES = {
    "A": Choice("var_1", "gds_1", "tee", {"size": "M"}, is_offered=True),
    "B": Choice("var_2", "gds_2", "mug", {}, is_offered=False),
    "C": Choice("var_3", "gds_3", "cap", {}, is_offered=True),
}


@pytest.mark.parametrize(
    ("skus", "expected"),
    [
        (["A", "C"], []),
        (["A"], [("/skus/1", "option_required")]),
        ([], [("/skus/0", "option_required"), ("/skus/1", "option_required")]),
        (["C", "A"], [("/skus/0", "not_offered"), ("/skus/1", "not_offered")]),
        (["B", "C"], [("/skus/0", "not_offered")]),
        (["A", "C", "A"], [("/skus/2", "not_offered")]),
        (["A", "?"], [("/skus/1", "not_offered")]),
    ],
)
def test_a_choice_fills_every_slot(skus: list[str], expected: list[tuple[str, str]]) -> None:
    assert [(error.pointer, error.code) for error in choice_findings(SLOTS, skus, CHOICES)] == expected


def test_slots_take_the_partners_own_goods_once() -> None:
    slots = [Slot(("gds_1", "gds_1")), Slot(("gds_9", "gds_2"))]
    found = slot_findings(slots, {"gds_1": "par_1", "gds_2": "par_2"}, "par_1")
    assert [(error.pointer, error.code) for error in found] == [
        ("/more/0/goods_ids/1", "repeated"),
        ("/more/1/goods_ids/0", "unknown"),
        ("/more/1/goods_ids/1", "unknown"),
    ]
