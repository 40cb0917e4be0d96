"""No token appears or vanishes, whatever is done to lots in whatever order: pure, by thousands of sequences."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from mereau.ledger import domain
from mereau.ledger.domain import Bucket, Change, Lot, LotBook, Take, Use

START = datetime(2026, 1, 1, tzinfo=UTC)
BUCKETS = ("remaining", "held", "spent", "reversed", "expired")
MEMBERS = ("mem_1", "mem_2")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["hold", "spend", "unspend", "void", "reverse", "expire", "refuse", "activate"]),
        st.integers(0, 1),
        st.integers(0, 5),
        st.integers(1, 40),
    ),
    max_size=25,
)
SOME_LOTS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 60), st.none() | st.integers(0, 4), st.booleans()),
    min_size=1,
    max_size=6,
)


def fresh(index: int, member: int, tokens: int, days: int | None, pending: bool) -> Lot:
    return Lot(
        entry_id=f"ent_{index}", member_id=MEMBERS[member], partner_id="par_1",
        state="pending" if pending else "active", tokens=tokens, remaining=tokens, held=0, spent=0, reversed=0,
        expired=0, unmet=0, activates_at=START,
        expires_at=None if days is None else START + timedelta(days=days),
    )  # fmt: skip


def counters(lots: list[Lot], member: str) -> Change:
    """What the account of a member must say, counted anew from nothing."""
    own = [lot for lot in lots if lot.member_id == member]
    return Change(
        available=sum(lot.remaining for lot in own if lot.state != "pending"),
        pending=sum(lot.remaining for lot in own if lot.state == "pending"),
        held=sum(lot.held for lot in own),
    )


class Play:
    """Lots and debits; `uses` are the debits that were not undone."""

    def __init__(self, lots: list[Lot]) -> None:
        self.lots = {lot.entry_id: lot for lot in lots}
        self.uses: list[Use] = []

    def step(self, word: str, member: int, which: int, tokens: int) -> LotBook:
        book = LotBook(self.lots.values())
        lot = book.lots[f"ent_{which % len(self.lots)}"]
        match word:
            case "hold":
                takes, _ = domain.allocate([x for x in book.lots.values() if x.member_id == MEMBERS[member]], tokens)
                self.debit(book, takes, MEMBERS[member], "held")
            case "spend":
                self.change(book, which, "held", "spent")
            case "unspend":
                self.change(book, which, "spent", "held")
            case "void":
                self.undo(book, which)
            case "reverse":
                self.give_back(book, lot, tokens)
            case "expire" if lot.state == "active" and lot.remaining:
                self.debit(book, [Take(lot.entry_id, min(tokens, lot.remaining))], lot.member_id, "expired")
            case "refuse" if lot.live and lot.state != "pending":
                self.refuse(book, lot)
            case "activate" if lot.state == "pending":
                book.put(replace(lot, state="active"))
        return book

    def debit(self, book: LotBook, takes: list[Take], member: str, bucket: Bucket) -> None:
        book.move(takes, "remaining", bucket)
        self.uses += [Use(f"deb_{len(self.uses)}", member, bucket, take.lot_entry_id, take.tokens) for take in takes]

    def change(self, book: LotBook, which: int, source: Bucket, target: Bucket) -> None:
        for index, use in enumerate(self.uses):
            if use.bucket == source and index % 3 == which % 3:
                book.move([Take(use.lot_entry_id, use.tokens)], source, target)
                self.uses[index] = replace(use, bucket=target)

    def undo(self, book: LotBook, which: int) -> None:
        if self.uses:
            book.give_back([self.uses.pop(which % len(self.uses))])

    def give_back(self, book: LotBook, lot: Lot, tokens: int) -> None:
        left = lot.tokens - lot.reversed - lot.unmet
        done = domain.take_back(lot, min(tokens, left), "debt")
        book.put(done.lot)
        assert done.cancelled + done.reversed + done.debt + done.forgiven == min(tokens, left)

    def refuse(self, book: LotBook, lot: Lot) -> None:
        """The debits of the lot move to others as far as these reach; the rest stays where it is."""
        book.put(lot.refused())
        for use in [use for use in self.uses if use.lot_entry_id == lot.entry_id and use.bucket != "reversed"]:
            takes = book.move_use(use)
            self.uses.remove(use)
            left = use.tokens - sum(take.tokens for take in takes)
            moved = [replace(use, lot_entry_id=take.lot_entry_id, tokens=take.tokens) for take in takes]
            self.uses += moved + ([replace(use, tokens=left)] if left else [])


@settings(max_examples=300)
@given(SOME_LOTS, STEPS)
def test_tokens_are_conserved_and_counters_follow(
    drawn: list[tuple[int, int, int | None, bool]], steps: list[tuple[str, int, int, int]]
) -> None:
    play = Play([fresh(index, *each) for index, each in enumerate(drawn)])
    issued = {key: lot.tokens for key, lot in play.lots.items()}
    for word, member, which, tokens in steps:
        before = list(play.lots.values())
        book = play.step(word, member, which, tokens)
        after = list(book.lots.values())
        for name in MEMBERS:
            assert counters(before, name) + book.changes().get(name, Change()) == counters(after, name)
        play.lots = dict(book.lots)
        for lot in after:
            assert sum(getattr(lot, bucket) for bucket in BUCKETS) == lot.tokens == issued[lot.entry_id]
            assert min(getattr(lot, bucket) for bucket in BUCKETS) >= 0
            assert lot.live or lot.remaining == 0
            assert lot.settled() == lot
        for bucket in ("held", "spent", "expired"):
            assert sum(use.tokens for use in play.uses if use.bucket == bucket) == sum(
                getattr(lot, bucket) for lot in after
            )


@given(SOME_LOTS, st.lists(st.integers(1, 80), max_size=5))
def test_what_is_taken_in_parts_is_what_is_taken_at_once(
    drawn: list[tuple[int, int, int | None, bool]], parts: list[int]
) -> None:
    """First expiring first does not depend on how the same sum is asked for."""
    lots = [fresh(index, *each) for index, each in enumerate(drawn)]
    book = LotBook(lots)
    short = 0
    for tokens in parts:
        takes, missing = domain.allocate(book.lots.values(), tokens)
        book.move(takes, "remaining", "held")
        short += missing
    whole, missing = domain.allocate(lots, sum(parts))
    assert missing == short
    assert {take.lot_entry_id: take.tokens for take in whole} == {
        key: lot.held for key, lot in book.lots.items() if lot.held
    }


@given(SOME_LOTS, st.integers(1, 200), st.randoms(use_true_random=False))
def test_the_order_in_which_lots_are_read_does_not_matter(
    drawn: list[tuple[int, int, int | None, bool]], tokens: int, chance: random.Random
) -> None:
    lots = [fresh(index, *each) for index, each in enumerate(drawn)]
    shuffled = list(lots)
    chance.shuffle(shuffled)
    assert domain.allocate(lots, tokens) == domain.allocate(shuffled, tokens)
