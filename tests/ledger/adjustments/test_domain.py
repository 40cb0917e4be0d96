"""Reasons, limits, and what a debit takes, by table and by property."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.auth.domain import Principal, Role
from mereau.ledger.adjustments import domain
from mereau.ledger.adjustments.domain import REASONS, AdjustmentDraft, Direction, Reason
from mereau.ledger.domain import Lot, LotBook, ReasonCode, Take, correct, take_back
from mereau.programs.settings.domain import AdjustmentLimits

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def a_draft(direction: Direction = "credit", reason: Reason = "goodwill", tokens: int = 10) -> AdjustmentDraft:
    return AdjustmentDraft("mem_1", "par_1", direction, tokens, reason, "A long wait.")


def a_lot(key: str, free: int, *, state: str = "active", days: int | None = None, **changes: int) -> Lot:
    buckets = {"held": 0, "spent": 0, "reversed": 0, "expired": 0, "unmet": 0} | changes
    tokens = free + sum(buckets[name] for name in ("held", "spent", "reversed", "expired"))
    expires_at = None if days is None else NOW + days * DAY
    return Lot(key, "mem_1", "par_1", state, tokens, free, activates_at=NOW, expires_at=expires_at, **buckets)


@pytest.mark.parametrize("role", [Role.STAFF, Role.PARTNER, Role.OPERATOR])
@pytest.mark.parametrize(
    ("direction", "reason", "codes"),
    [
        ("credit", "goodwill", set()),
        ("credit", "visit_without_sale", set()),
        ("credit", "service_failure", set()),
        ("credit", "correction", set()),
        ("credit", "migration", {"operators_only"}),
        ("debit", "goodwill", {"wrong_direction"}),
        ("debit", "visit_without_sale", {"wrong_direction"}),
        ("debit", "service_failure", {"wrong_direction"}),
        ("debit", "correction", set()),
        ("debit", "migration", {"operators_only"}),
    ],
)
def test_a_reason_fits_what_it_explains_and_who_gives_it(
    role: Role, direction: Direction, reason: Reason, codes: set[str]
) -> None:
    found = list(domain.findings(a_draft(direction, reason), role))
    expected = codes - {"operators_only"} if role == Role.OPERATOR else codes
    assert {finding.code for finding in found} == expected
    assert {finding.pointer for finding in found} <= {"/reason_code"}


def test_every_reason_is_known_to_the_ledger() -> None:
    assert frozenset().union(*REASONS.values()) <= {str(code) for code in ReasonCode}


@pytest.mark.parametrize(
    ("staff_id", "partner_id", "person"),
    [("stf_1", "par_1", "stf_1"), (None, "par_1", "par_1"), (None, None, "key_1")],
)
def test_keys_are_no_people(staff_id: str | None, partner_id: str | None, person: str) -> None:
    """Who makes another key for the same hand gains nothing."""
    caller = Principal("key_1", Role.STAFF, frozenset(), partner_id=partner_id, staff_id=staff_id)
    assert domain.person_of(caller) == person


@pytest.mark.parametrize(
    ("counted", "tokens", "over"),
    [
        ({"stf_1": 0, "mem_1": 0}, 60, []),
        ({"stf_1": 0, "mem_1": 0}, 61, ["mem_1"]),
        ({"stf_1": 40, "mem_1": 0}, 60, []),
        ({"stf_1": 41, "mem_1": 0}, 60, ["stf_1"]),
        ({"stf_1": 100, "mem_1": 60}, 1, ["stf_1", "mem_1"]),
    ],
)
def test_a_day_holds_so_much_for_each(counted: dict[str, int], tokens: int, over: list[str]) -> None:
    limits = AdjustmentLimits(staff_day_tokens=100, member_day_tokens=60)
    most = domain.maxima(a_draft(tokens=tokens), "stf_1", limits)
    assert domain.exceeded(counted, most, tokens) == over


@pytest.mark.parametrize(
    ("tokens", "takes"),
    [
        (4, [("waits_b", 4)]),
        (9, [("waits_b", 5), ("waits_a", 4)]),
        (12, [("waits_b", 5), ("waits_a", 5), ("soon", 2)]),
        (18, [("waits_b", 5), ("waits_a", 5), ("soon", 3), ("late", 3), ("never", 2)]),
        (99, [("waits_b", 5), ("waits_a", 5), ("soon", 3), ("late", 3), ("never", 3)]),
    ],
)
def test_a_debit_takes_what_is_pending_first_and_then_what_would_be_spent(
    tokens: int, takes: list[tuple[str, int]]
) -> None:
    lots = [
        a_lot("never", 3),
        a_lot("late", 3, days=9, spent=4),
        a_lot("soon", 3, days=2),
        a_lot("waits_a", 5, state="pending", days=30),
        a_lot("waits_b", 5, state="pending", days=20),
    ]
    assert domain.debit_takes(lots, tokens) == [Take(*take) for take in takes]


@given(
    st.lists(st.tuples(st.integers(1, 30), st.sampled_from(["pending", "active"]), st.integers(1, 9)), max_size=6),
    st.integers(1, 120),
)
def test_a_debit_takes_all_it_can_and_no_lot_goes_below_zero(kinds: list[tuple[int, str, int]], tokens: int) -> None:
    lots = [a_lot(f"ent_{i}", free, state=state, days=days) for i, (free, state, days) in enumerate(kinds)]
    takes = domain.debit_takes(lots, tokens)
    assert sum(take.tokens for take in takes) == min(tokens, sum(lot.remaining for lot in lots))
    book = LotBook(lots)
    for take in takes:
        book.put(correct(book.lots[take.lot_entry_id], take.tokens).lot)
    assert all(lot.remaining >= 0 for lot in book.lots.values())


@pytest.mark.parametrize("state", ["pending", "active"])
def test_a_correction_says_whether_the_chain_must_hear_of_it(state: str) -> None:
    done = correct(a_lot("ent_1", 10, state=state), 4)
    assert (done.cancelled, done.reversed, done.debt, done.forgiven) == ((4, 0) if state == "pending" else (0, 4)) + (
        0,
        0,
    )
    assert (done.lot.remaining, done.lot.reversed, done.lot.corrected, done.lot.unmet) == (6, 4, 4, 0)
    with pytest.raises(ValueError, match="has no 11 tokens"):
        correct(a_lot("ent_1", 10, state=state), 11)


@pytest.mark.parametrize(
    ("corrected", "returns", "taken", "owed"),
    [
        (30, [100], [70], [0]),
        (30, [80, 20], [70, 0], [0, 0]),
        (100, [100], [0], [0]),
        (0, [60, 40], [60, 40], [0, 0]),
    ],
)
def test_goods_come_back_after_a_correction(
    corrected: int, returns: list[int], taken: list[int], owed: list[int]
) -> None:
    """What was taken by hand is neither taken again nor owed, and a return that comes later is no second return."""
    lot = correct(a_lot("ent_1", 100), corrected).lot
    for tokens, expected, debt in zip(returns, taken, owed, strict=True):
        done = take_back(lot, tokens, "debt")
        lot = done.lot
        assert (done.reversed, done.debt) == (expected, debt)
    with pytest.raises(ValueError, match="not credited with so many"):
        take_back(lot, 1, "debt")


def test_spent_tokens_are_owed_up_to_what_was_credited() -> None:
    lot = correct(a_lot("ent_1", 50, spent=50), 30).lot
    done = take_back(lot, 100, "debt")
    assert (done.reversed, done.debt, done.forgiven) == (20, 50, 30)


@pytest.mark.parametrize(
    ("state", "left", "shown"),
    [
        ("pending_approval", DAY, "pending_approval"),
        ("pending_approval", timedelta(), "expired"),
        ("pending_approval", -DAY, "expired"),
        ("applied", -DAY, "applied"),
        ("rejected", -DAY, "rejected"),
        ("applied", None, "applied"),
    ],
)
def test_a_request_is_over_without_anybodys_doing(state: str, left: timedelta | None, shown: str) -> None:
    assert domain.state_at(state, None if left is None else NOW + left, NOW) == shown


def test_a_note_is_proven_by_its_digest_and_cannot_be_read_in_it() -> None:
    digest = domain.note_digest("adj_1", "Camille was rude.")
    assert digest == domain.note_digest("adj_1", "Camille was rude.")
    assert "Camille" not in digest
    assert digest not in {domain.note_digest("adj_2", "Camille was rude."), domain.note_digest("adj_1", "Camille")}
