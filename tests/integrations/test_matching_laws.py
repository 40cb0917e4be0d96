"""Matching beside a model that hands out single units, one by one, from one sorted list."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mereau.earning.service import Candidate
from mereau.integrations.matching import GoodsKey, Match, Moment, OpenUnits

START = datetime(2011, 1, 1, tzinfo=UTC)
KEYS: list[GoodsKey] = [("mem_1", "A", 100), ("mem_1", "A", 101), ("mem_1", "B", 100), ("mem_2", "A", 100)]


@dataclass(frozen=True)
class Sold:
    """One line of a sale: `place` is the sale's place in the import order."""

    place: int
    minute: int
    line: int
    key: GoodsKey
    units: int

    @property
    def sale_id(self) -> str:
        return f"sal_{self.place:03d}"

    @property
    def moment(self) -> Moment:
        return START + timedelta(minutes=self.minute), self.place

    def candidate(self, open_quantity: int | None = None) -> Candidate:
        units = self.units if open_quantity is None else open_quantity
        return Candidate(self.sale_id, str(self.place), self.moment[0], self.line, *self.key, units)


@dataclass(frozen=True)
class Back:
    """Goods that come back at a moment."""

    key: GoodsKey
    units: int
    before: Moment


@st.composite
def shelves(draw: st.DrawFn) -> list[Sold]:
    """Sales in import order, so by minute; each has one to three lines."""
    sold = []
    minutes = sorted(draw(st.lists(st.integers(0, 4), min_size=1, max_size=7)))
    for place, minute in enumerate(minutes):
        sold += [
            Sold(place, minute, line, draw(st.sampled_from(KEYS)), draw(st.integers(1, 5)))
            for line in range(1, draw(st.integers(1, 3)) + 1)
        ]
    return sold


BACKS = st.lists(
    st.builds(
        Back,
        st.sampled_from(KEYS),
        st.integers(1, 9),
        st.tuples(st.integers(0, 5).map(lambda minute: START + timedelta(minutes=minute)), st.integers(0, 8)),
    ),
    max_size=8,
)


def position(reference: str) -> int:
    return int(reference)


def units_of(candidates: list[Candidate]) -> OpenUnits:
    return OpenUnits(candidates, position)


def model(sold: list[Sold], backs: list[Back]) -> list[tuple[dict[tuple[str, int], int], int]]:
    """For each return the units by line, and how many found none."""
    pieces = [item for item in sold for _ in range(item.units)]
    pieces.sort(key=lambda item: (item.moment, item.line))
    answers = []
    for back in backs:
        taken: dict[tuple[str, int], int] = {}
        missing = 0
        for _ in range(back.units):
            fitting = [i for i, item in enumerate(pieces) if item.key == back.key and item.moment < back.before]
            if not fitting:
                missing += 1
                continue
            piece = pieces.pop(fitting[-1])
            taken[piece.sale_id, piece.line] = taken.get((piece.sale_id, piece.line), 0) + 1
        answers.append((taken, missing))
    return answers


def answer(units: OpenUnits, back: Back) -> tuple[list[Match], int]:
    return units.take(back.key, back.units, back.before)


@given(shelves(), BACKS)
def test_every_unit_goes_where_the_model_sends_it(sold: list[Sold], backs: list[Back]) -> None:
    units = units_of([item.candidate() for item in sold])
    for back, (taken, missing) in zip(backs, model(sold, backs), strict=True):
        matches, rest = answer(units, back)
        assert {(match.sale_id, match.line_number): match.quantity for match in matches} == taken
        assert rest == missing
        assert len(matches) == len(taken), "a line is named once"
        assert all(match.quantity > 0 for match in matches)


@given(shelves(), BACKS)
def test_the_latest_come_first(sold: list[Sold], backs: list[Back]) -> None:
    moments = {(item.sale_id, item.line): (item.moment, item.line) for item in sold}
    units = units_of([item.candidate() for item in sold])
    for back in backs:
        order = [moments[match.sale_id, match.line_number] for match in answer(units, back)[0]]
        assert order == sorted(order, reverse=True)
        assert all(moment < back.before for moment, _ in order)


@given(shelves(), BACKS, st.randoms(use_true_random=False))
def test_the_order_in_which_candidates_are_found_does_not_matter(
    sold: list[Sold], backs: list[Back], rng: random.Random
) -> None:
    shuffled = list(sold)
    rng.shuffle(shuffled)
    one, other = (units_of([item.candidate() for item in items]) for items in (sold, shuffled))
    assert [answer(one, back) for back in backs] == [answer(other, back) for back in backs]


@given(shelves(), BACKS, st.data())
def test_chunks_of_any_size_match_alike(sold: list[Sold], backs: list[Back], data: st.DataObject) -> None:
    """A new chunk reads from the books what the last one left open."""
    whole = units_of([item.candidate() for item in sold])
    expected = [answer(whole, back) for back in backs]
    left = {(item.sale_id, item.line): item.units for item in sold}
    seen: list[tuple[list[Match], int]] = []
    while len(seen) < len(backs):
        size = data.draw(st.integers(1, len(backs)))
        open_lines = [item.candidate(left[item.sale_id, item.line]) for item in sold if left[item.sale_id, item.line]]
        chunk = units_of(open_lines)
        for back in backs[len(seen) : len(seen) + size]:
            seen.append(answer(chunk, back))
            for match in seen[-1][0]:
                left[match.sale_id, match.line_number] -= match.quantity
    assert seen == expected


@given(shelves(), BACKS)
def test_never_more_than_was_sold_and_nothing_while_units_are_left(sold: list[Sold], backs: list[Back]) -> None:
    units = units_of([item.candidate() for item in sold])
    left = {(item.sale_id, item.line): item.units for item in sold}
    for back in backs:
        matches, rest = answer(units, back)
        assert sum(match.quantity for match in matches) + rest == back.units
        for match in matches:
            left[match.sale_id, match.line_number] -= match.quantity
        fitting = [item for item in sold if item.key == back.key and item.moment < back.before]
        if rest:
            assert not any(left[item.sale_id, item.line] for item in fitting)
    assert min(left.values()) >= 0


@given(shelves(), st.sampled_from(KEYS), st.lists(st.integers(1, 4), min_size=1, max_size=5))
def test_a_return_in_parts_takes_what_one_return_takes(sold: list[Sold], key: GoodsKey, parts: list[int]) -> None:
    late: Moment = (START + timedelta(days=1), 99)
    one, other = (units_of([item.candidate() for item in sold]) for _ in range(2))
    whole, rest = one.take(key, sum(parts), late)
    taken: dict[tuple[str, int], int] = {}
    missing = 0
    for part in parts:
        matches, without = other.take(key, part, late)
        missing += without
        for match in matches:
            taken[match.sale_id, match.line_number] = taken.get((match.sale_id, match.line_number), 0) + match.quantity
    assert taken == {(match.sale_id, match.line_number): match.quantity for match in whole}
    assert missing == rest


@given(shelves())
def test_nothing_asked_is_nothing_taken(sold: list[Sold]) -> None:
    units = units_of([item.candidate() for item in sold])
    assert units.take(KEYS[0], 0, (START + timedelta(days=1), 99)) == ([], 0)
    assert units.take(("nobody", "A", 100), 3, (START + timedelta(days=1), 99)) == ([], 3)
