"""The pure rules by table: every combination written out, so that a change of any is seen as that."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from mereau.ledger import domain
from mereau.ledger.domain import Change, Lot, LotBook, Take, Use

START = datetime(2026, 1, 1, tzinfo=UTC)
BUCKETS = ("remaining", "held", "spent", "reversed", "expired")


def a_lot(entry_id: str = "ent_1", *, days: int | None = None, age: int = 0, **amounts: Any) -> Lot:
    """A lot of what its buckets sum to; it expires after `days`, it was activated `age` days ago."""
    buckets: dict[str, Any] = {bucket: amounts.pop(bucket, 0) for bucket in BUCKETS}
    fields: dict[str, Any] = {"state": "active", "unmet": 0, "member_id": "mem_1", "partner_id": "par_1"} | amounts
    return Lot(
        entry_id=entry_id,
        tokens=sum(buckets.values()),
        activates_at=START - timedelta(days=age),
        expires_at=None if days is None else START + timedelta(days=days),
        **buckets,
        **fields,
    )


@pytest.mark.parametrize(
    ("tokens", "takes", "missing"),
    [
        (0, [], 0),
        (1, [("soon", 1)], 0),
        (10, [("soon", 10)], 0),
        (11, [("soon", 10), ("late_old", 1)], 0),
        (25, [("soon", 10), ("late_old", 10), ("late_new", 5)], 0),
        (31, [("soon", 10), ("late_old", 10), ("late_new", 10), ("never_a", 1)], 0),
        (50, [("soon", 10), ("late_old", 10), ("late_new", 10), ("never_a", 10), ("never_b", 10)], 0),
        (51, [("soon", 10), ("late_old", 10), ("late_new", 10), ("never_a", 10), ("never_b", 10)], 1),
    ],
)
def test_allocate(tokens: int, takes: list[tuple[str, int]], missing: int) -> None:
    """Expiry first, then age, then the id; lots that cannot be spent are passed over wherever they stand."""
    lots = [
        a_lot("never_b", remaining=10, age=5),
        a_lot("late_new", days=9, remaining=10, age=1),
        a_lot("soon", days=2, remaining=10, spent=3),
        a_lot("never_a", remaining=10, age=5, held=2),
        a_lot("late_old", days=9, remaining=10, age=4),
        a_lot("pending", days=1, remaining=10, state="pending"),
        a_lot("refused", days=1, remaining=10, live=False),
        a_lot("empty", days=1, held=10),
    ]
    assert domain.allocate(lots, tokens) == ([Take(*take) for take in takes], missing)
    assert domain.allocate(reversed(lots), tokens) == ([Take(*take) for take in takes], missing)


TAKE_BACK = [
    # What the lot holds, what a return asks for, (cancelled, reversed, debt, forgiven) under clamp and under debt.
    ({"remaining": 10}, 4, (0, 4, 0, 0), (0, 4, 0, 0)),
    ({"remaining": 10}, 10, (0, 10, 0, 0), (0, 10, 0, 0)),
    ({"remaining": 10, "state": "pending"}, 4, (4, 0, 0, 0), (4, 0, 0, 0)),
    ({"remaining": 10, "state": "pending"}, 10, (10, 0, 0, 0), (10, 0, 0, 0)),
    ({"remaining": 3, "spent": 7}, 5, (0, 3, 0, 2), (0, 3, 2, 0)),
    ({"spent": 10}, 10, (0, 0, 0, 10), (0, 0, 10, 0)),
    ({"held": 10}, 6, (0, 0, 0, 6), (0, 0, 6, 0)),
    ({"held": 4, "spent": 6}, 10, (0, 0, 0, 10), (0, 0, 10, 0)),
    ({"expired": 10}, 6, (0, 0, 0, 6), (0, 0, 0, 6)),
    ({"expired": 6, "spent": 4}, 10, (0, 0, 0, 10), (0, 0, 4, 6)),
    ({"expired": 6, "spent": 4, "unmet": 3}, 5, (0, 0, 0, 5), (0, 0, 1, 4)),
    ({"spent": 4, "expired": 6, "unmet": 4}, 6, (0, 0, 0, 6), (0, 0, 0, 6)),
    ({"remaining": 2, "spent": 2, "reversed": 6}, 4, (0, 2, 0, 2), (0, 2, 2, 0)),
    ({"remaining": 10}, 0, (0, 0, 0, 0), (0, 0, 0, 0)),
    ({"reversed": 10, "live": False}, 10, (10, 0, 0, 0), (10, 0, 0, 0)),
    ({"held": 10, "live": False}, 99, (99, 0, 0, 0), (99, 0, 0, 0)),
]


@pytest.mark.parametrize(("amounts", "asked", "clamp", "debt"), TAKE_BACK)
def test_take_back(
    amounts: dict[str, Any], asked: int, clamp: tuple[int, int, int, int], debt: tuple[int, int, int, int]
) -> None:
    lot = a_lot(**amounts)
    for policy, expected in (("clamp", clamp), ("debt", debt)):
        done = domain.take_back(lot, asked, "debt" if policy == "debt" else "clamp")
        assert (done.cancelled, done.reversed, done.debt, done.forgiven) == expected
        if lot.live:
            free = min(asked, lot.remaining)
            assert (done.lot.remaining, done.lot.reversed) == (lot.remaining - free, lot.reversed + free)
            assert done.lot.unmet == lot.unmet + asked - free
        else:
            assert done.lot == lot


@pytest.mark.parametrize(
    ("amounts", "asked"),
    [
        ({"remaining": 10}, 11),
        ({"remaining": 4, "reversed": 6}, 5),
        ({"spent": 10, "unmet": 10}, 1),
        ({"remaining": 5, "spent": 5, "unmet": 3}, 8),
        ({"reversed": 10}, 1),
    ],
)
def test_take_back_never_more_than_was_credited(amounts: dict[str, Any], asked: int) -> None:
    lot = a_lot(**amounts)
    for policy in ("clamp", "debt"):
        with pytest.raises(ValueError, match="lot ent_1 was not credited with so many tokens"):
            domain.take_back(lot, asked, "debt" if policy == "debt" else "clamp")


@pytest.mark.parametrize(("source", "target"), list(product(BUCKETS, BUCKETS)))
def test_moved_between_every_two_buckets(source: domain.Bucket, target: domain.Bucket) -> None:
    full: dict[str, Any] = dict.fromkeys(BUCKETS, 10)
    lot = a_lot(**full)
    after = lot.moved(3, source, target)
    expected = dict.fromkeys(BUCKETS, 10)
    expected[source] -= 3
    expected[target] += 3
    assert {bucket: getattr(after, bucket) for bucket in BUCKETS} == expected
    with pytest.raises(ValueError, match=f"lot ent_1 has no 11 tokens {source}"):
        lot.moved(11, source, target)


@pytest.mark.parametrize(
    ("live", "amounts", "after"),
    [
        (True, {"held": 10}, {"remaining": 4, "held": 6, "state": "active"}),
        (True, {"expired": 4}, {"remaining": 4, "state": "active"}),
        (True, {"reversed": 10}, {"remaining": 4, "reversed": 6, "state": "active"}),
        (False, {"held": 10}, {"reversed": 4, "held": 6, "state": "active"}),
        (False, {"held": 4}, {"reversed": 4, "state": "reversed"}),
        (False, {"spent": 4, "expired": 1}, {"reversed": 4, "expired": 1, "state": "expired"}),
    ],
)
def test_given_back(live: bool, amounts: dict[str, Any], after: dict[str, Any]) -> None:
    """To a lot that lives the tokens are free again; to a void one they are void."""
    source = next(iter(amounts))
    lot = a_lot(live=live, **amounts).settled()
    assert lot.given_back(4, source) == a_lot(live=live, **after)  # type: ignore[arg-type]  # a bucket's name


def test_refused_voids_what_is_free_and_leaves_what_others_took() -> None:
    lot = a_lot(remaining=5, held=2, spent=1, reversed=1, expired=1)
    assert lot.refused() == a_lot(held=2, spent=1, reversed=6, expired=1, live=False)
    assert a_lot(remaining=5).refused().state == "reversed"
    assert lot.refused().refused() == lot.refused()


MOVE_USE = [
    # Free in two other lots, what the use took of the refused one, what each gave, what found no lot.
    ((10, 10), 4, [("soon", 4)], 0),
    ((3, 10), 8, [("soon", 3), ("late", 5)], 0),
    ((3, 4), 8, [("soon", 3), ("late", 4)], 1),
    ((0, 4), 4, [("late", 4)], 0),
    ((0, 0), 5, [], 5),
]


@pytest.mark.parametrize("bucket", ["held", "spent", "reversed", "expired"])
@pytest.mark.parametrize(("free", "used", "gave", "left"), MOVE_USE)
def test_move_use(
    bucket: domain.Bucket, free: tuple[int, int], used: int, gave: list[tuple[str, int]], left: int
) -> None:
    """Other lots of the member carry the debit, in whichever bucket of it the tokens are."""
    soon, late = a_lot("soon", days=1, remaining=free[0], held=1), a_lot("late", days=9, remaining=free[1], held=1)
    alien = a_lot("alien", days=1, remaining=50, member_id="mem_2")
    amounts: dict[str, Any] = {bucket: used, "spent" if bucket != "spent" else "held": 1}
    refused = a_lot("refused", live=False, **amounts)
    book = LotBook([late, alien, soon, refused])
    takes = book.move_use(Use("ent_9", "mem_1", bucket, "refused", used))
    assert takes == [Take(*take) for take in gave]
    for key, tokens in gave:
        assert getattr(book.lots[key], bucket) - (1 if bucket == "held" else 0) == tokens
    void = book.lots["refused"]
    assert void.reversed == (used if bucket == "reversed" else used - left)
    assert bucket == "reversed" or getattr(void, bucket) == left
    assert book.lots["alien"] == alien
    assert all(sum(getattr(lot, b) for b in BUCKETS) == lot.tokens for lot in book.lots.values())


def test_a_books_changes_are_the_differences_of_its_lots() -> None:
    book = LotBook([a_lot("a", remaining=10), a_lot("b", remaining=5, state="pending"), a_lot("c", held=4)])
    assert (book.changed(), book.changes()) == ([], {})
    book.move([Take("a", 4)], "remaining", "held")
    book.move([Take("c", 4)], "held", "spent")
    book.put(replace(book.lots["b"], state="active"))
    book.put(a_lot("d", remaining=7, state="pending", member_id="mem_2"))
    assert [lot.entry_id for lot in book.changed()] == ["a", "b", "c", "d"]
    assert book.changes() == {
        "mem_1": Change(available=-4 + 5, pending=-5, held=4 - 4),
        "mem_2": Change(pending=7),
    }


def test_a_book_refuses_what_no_lot_holds_and_stays_as_it_was() -> None:
    book = LotBook([a_lot("a", remaining=3)])
    with pytest.raises(ValueError, match="lot a has no 4 tokens remaining"):
        book.move([Take("a", 4)], "remaining", "held")
    with pytest.raises(KeyError):
        book.move([Take("b", 1)], "remaining", "held")
    assert book.changed() == []


def test_changes_add_up_field_by_field() -> None:
    assert Change(1, 2, 3, 4) + Change(10, 20, 30, 40) == Change(11, 22, 33, 44)
    assert Change(1, -2, 3, -4) + Change() == Change(1, -2, 3, -4)


BATCH_STATES = (None, "sealed", "submitted", "mined", "final", "superseded", "stuck")


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        ("pending", ["pending"] * 7),
        ("cancelled", ["cancelled"] * 7),
        ("rejected", ["rejected"] * 7),
        ("accepted", ["accepted", "sealed", "submitted", "mined", "final", "accepted", "submitted"]),
    ],
)
def test_entry_status_in_every_combination(state: str, shown: list[str]) -> None:
    assert [domain.entry_status(state, batch_state) for batch_state in BATCH_STATES] == shown
