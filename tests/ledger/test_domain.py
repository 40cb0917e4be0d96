"""The pure rules, by property."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mereau.chain.hashing import keccak
from mereau.ledger import domain
from mereau.ledger.domain import Lot, LotBook, Record, Take, Use

START = datetime(2026, 1, 1, tzinfo=UTC)
INSTANTS = st.integers(0, 5).map(lambda days: START + timedelta(days=days))
BUCKETS = ("remaining", "held", "spent", "reversed", "expired")


@st.composite
def a_lot(draw: st.DrawFn, entry_id: str = "ent_1", **fixed: object) -> Lot:
    """A lot in a state that its buckets allow."""
    amounts = dict(zip(BUCKETS, draw(st.lists(st.integers(0, 30), min_size=5, max_size=5)), strict=True))
    assume(sum(amounts.values()))
    lot = Lot(
        entry_id=entry_id,
        member_id="mem_1",
        partner_id="par_1",
        state="active",
        tokens=sum(amounts.values()),
        unmet=0,
        activates_at=draw(INSTANTS),
        expires_at=draw(st.none() | INSTANTS),
        **amounts,
    )
    return replace(lot, **fixed).settled()


@st.composite
def some_lots(draw: st.DrawFn) -> list[Lot]:
    return [draw(a_lot(f"ent_{index}")) for index in range(draw(st.integers(0, 6)))]


def total(lot: Lot) -> int:
    return sum(getattr(lot, bucket) for bucket in BUCKETS)


@given(a_lot(), st.sampled_from(BUCKETS), st.sampled_from(BUCKETS), st.data())
def test_moving_tokens_keeps_their_sum(lot: Lot, source: str, target: str, data: st.DataObject) -> None:
    tokens = data.draw(st.integers(0, getattr(lot, source)))
    moved = lot.moved(tokens, source, target)  # type: ignore[arg-type]  # sampled from the literal's words
    assert total(moved) == total(lot) == lot.tokens
    assert (moved.remaining + moved.held > 0) == (moved.state == "active")


@given(a_lot(), st.sampled_from(BUCKETS), st.data())
def test_a_bucket_never_goes_below_zero(lot: Lot, source: str, data: st.DataObject) -> None:
    too_many = getattr(lot, source) + data.draw(st.integers(1, 5))
    for tokens in (too_many, -1):
        with pytest.raises(ValueError, match="has no"):
            lot.moved(tokens, source, "spent")  # type: ignore[arg-type]  # sampled from the literal's words


@pytest.mark.parametrize(
    ("amounts", "state"),
    [
        ({"remaining": 1, "spent": 9}, "active"),
        ({"held": 1, "expired": 9}, "active"),
        ({"spent": 1, "expired": 4, "reversed": 5}, "spent"),
        ({"expired": 1, "reversed": 9}, "expired"),
        ({"reversed": 10}, "reversed"),
    ],
)
def test_the_state_follows_from_the_buckets(amounts: dict[str, int], state: str) -> None:
    empty = dict.fromkeys(BUCKETS, 0)
    lot = Lot("e", "m", "p", "active", 10, unmet=0, activates_at=START, expires_at=None, **{**empty, **amounts})
    assert lot.settled().state == state
    still = "pending" if lot.remaining or lot.held else state
    assert replace(lot, state="pending").settled().state == still


@given(some_lots(), st.integers(0, 200))
def test_fefo_takes_no_later_token_while_an_earlier_one_is_free(lots: list[Lot], tokens: int) -> None:
    takes, missing = domain.allocate(lots, tokens)
    taken = {take.lot_entry_id: take.tokens for take in takes}
    free = {lot.entry_id: lot.remaining for lot in lots if lot.state == "active"}
    assert sum(taken.values()) + missing == tokens
    assert missing == max(0, tokens - sum(free.values()))
    far = START + timedelta(days=99)
    in_order = sorted(
        (lot for lot in lots if lot.state == "active"),
        key=lambda lot: (lot.expires_at or far, lot.activates_at, lot.entry_id),
    )
    left = tokens
    for lot in in_order:
        assert taken.get(lot.entry_id, 0) == min(left, lot.remaining)
        left -= taken.get(lot.entry_id, 0)


@given(some_lots())
def test_pending_and_refused_lots_are_never_taken(lots: list[Lot]) -> None:
    pending = [replace(lot, state="pending") for lot in lots]
    refused = [replace(lot, live=False) for lot in lots]
    for unusable in (pending, refused):
        assert domain.allocate(unusable, 10) == ([], 10)


@given(a_lot(), st.lists(st.integers(1, 20), max_size=6), st.sampled_from(["clamp", "debt"]))
def test_returns_account_for_every_token_and_never_exceed_the_credit(lot: Lot, asks: list[int], policy: str) -> None:
    lot = replace(lot, tokens=lot.tokens - lot.reversed, reversed=0)
    asked = debts = 0
    for tokens in asks:
        if asked + tokens > lot.tokens:
            with pytest.raises(ValueError, match="so many"):
                domain.take_back(lot, tokens, "debt" if policy == "debt" else "clamp")
            continue
        outcome = domain.take_back(lot, tokens, "debt" if policy == "debt" else "clamp")
        assert outcome.cancelled + outcome.reversed + outcome.debt + outcome.forgiven == tokens
        asked, debts, lot = asked + tokens, debts + outcome.debt, outcome.lot
        assert lot.reversed + lot.unmet == asked
    assert debts <= lot.spent + lot.held
    assert policy == "debt" or debts == 0


@given(a_lot(), st.data())
def test_what_is_undone_is_as_before(lot: Lot, data: st.DataObject) -> None:
    tokens = data.draw(st.integers(0, lot.remaining))
    book = LotBook([lot])
    book.move([Take(lot.entry_id, tokens)], "remaining", "held")
    book.give_back([Use("ent_9", "mem_1", "held", lot.entry_id, tokens)])
    assert (book.changed(), book.changes()) == ([], {})


@given(some_lots(), st.integers(0, 100))
def test_counters_change_as_their_lots_do(lots: list[Lot], tokens: int) -> None:
    book = LotBook(lots)
    takes, missing = domain.allocate(lots, tokens)
    book.move(takes, "remaining", "held")
    change = book.changes().get("mem_1", domain.Change())
    assert (change.available, change.held, change.pending) == (missing - tokens, tokens - missing, 0)


@given(a_lot(), a_lot("ent_2"))
def test_a_refused_lot_is_carried_by_others_as_far_as_they_reach(refused: Lot, other: Lot) -> None:
    assume(refused.held)
    book = LotBook([refused.refused(), other])
    use = Use("ent_9", "mem_1", "held", refused.entry_id, refused.held)
    takes = book.move_use(use)
    carried = sum(take.tokens for take in takes)
    assert carried == (min(refused.held, other.remaining) if other.state == "active" else 0)
    assert book.lots["ent_1"].held == refused.held - carried
    assert book.lots["ent_2"].held == other.held + carried
    assert book.lots["ent_1"].remaining == 0


def a_record(**changes: object) -> Record:
    fields: dict[str, object] = {
        "id": "ent_1", "kind": "issue", "partner_number": 3, "wallet": b"\xab" * 20, "tokens": 12, "rule": "base:1",
        "reason_code": "sale", "document": b"\x01" * 32, "occurred_at": START, "expires_at": None,
    }  # fmt: skip
    return Record(**{**fields, **changes})  # type: ignore[arg-type]  # the fields are typed above


def test_the_record_is_byte_for_byte_version_1() -> None:
    """Frozen: what was committed on chain must be encoded the same for ever."""
    assert domain.record_bytes(a_record()) == (
        b'{"at":"2026-01-01T00:00:00.000000Z","document":"0x' + b"01" * 32 + b'","expires_at":null,"id":"ent_1",'
        b'"kind":"issue","partner":3,"reason":"sale","rule":"base:1","tokens":12,"v":1,"wallet":"0x' + b"ab" * 20
        + b'"}'
    )  # fmt: skip


def test_instants_are_in_utc_whatever_zone_they_came_in() -> None:
    paris = timezone(timedelta(hours=2))
    here = a_record(occurred_at=datetime(2026, 7, 1, 10, 0, 0, 5, tzinfo=paris), expires_at=START)
    fields = json.loads(domain.record_bytes(here))
    assert (fields["at"], fields["expires_at"]) == ("2026-07-01T08:00:00.000005Z", "2026-01-01T00:00:00.000000Z")


@given(st.text(max_size=20), st.integers(1, 2**53 - 1))
def test_a_record_is_ascii_and_reads_back(rule: str, tokens: int) -> None:
    encoded = domain.record_bytes(a_record(rule=rule, tokens=tokens))
    assert encoded.isascii()
    assert (json.loads(encoded)["rule"], json.loads(encoded)["tokens"]) == (rule, tokens)


def test_commitments_hide_their_content_behind_the_salt() -> None:
    record, salt = domain.record_bytes(a_record()), b"\x07" * 16
    assert domain.commitment(salt, record) == keccak(salt + record)
    assert domain.document_hash(salt, "sal_01", "till 4") == keccak(salt + b"sal:till 4")
    assert domain.document_hash(salt, "ret_01", "till 4") != domain.document_hash(salt, "sal_01", "till 4")


@pytest.mark.parametrize(
    ("state", "batch_state", "status"),
    [
        ("pending", None, "pending"),
        ("cancelled", None, "cancelled"),
        ("rejected", "mined", "rejected"),
        ("accepted", None, "accepted"),
        ("accepted", "sealed", "sealed"),
        ("accepted", "submitted", "submitted"),
        ("accepted", "mined", "mined"),
        ("accepted", "final", "final"),
        ("accepted", "superseded", "accepted"),
        ("accepted", "stuck", "submitted"),
    ],
)
def test_an_entrys_status_is_its_own_or_its_batchs(state: str, batch_state: str | None, status: str) -> None:
    assert domain.entry_status(state, batch_state) == status
