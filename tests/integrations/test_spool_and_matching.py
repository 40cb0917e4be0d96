"""Order of documents, and which sold units a return brings back: the pure parts of the importer."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.earning.service import Candidate
from mereau.integrations import report as reports
from mereau.integrations import spool as spools
from mereau.integrations.lines import ImportLine, Kind
from mereau.integrations.matching import Match, OpenUnits
from mereau.integrations.report import ImportReport, UnmatchedReturn
from mereau.integrations.spool import DocumentSpool

START = datetime(2011, 1, 1, tzinfo=UTC)
KEY = ("mem", "bread", 5)


def line(document: str, minute: int, sku: str = "A") -> ImportLine:
    at = (START + timedelta(minutes=minute)).isoformat()
    return ImportLine(document, Kind.SALE, at, "7", sku, 1, 100, 1)


def in_order(
    lines: list[ImportLine], documents_max: int = 3, lines_max: int = 100
) -> list[list[tuple[str, list[int]]]]:
    with DocumentSpool() as spool:
        for number, item in enumerate(lines, 2):
            spool.add(number, item)
        spool.seal()
        return [
            [(document.reference, [row.line_number for row in document.lines]) for document in chunk]
            for chunk in spool.chunks(documents_max, lines_max)
        ]


def test_documents_come_by_time_of_their_first_line_then_by_file() -> None:
    lines = [line("b", 5), line("c", 5), line("a", 1), line("b", 0), line("c", 9)]
    assert in_order(lines) == [[("a", [4]), ("b", [2, 5]), ("c", [3, 6])]]


def test_a_chunk_ends_at_either_limit() -> None:
    lines = [line(name, 0) for name in "aabcccd"]
    names = [[name for name, _ in chunk] for chunk in in_order(lines, documents_max=2)]
    assert names == [["a", "b"], ["c", "d"]]
    names = [[name for name, _ in chunk] for chunk in in_order(lines, documents_max=9, lines_max=3)]
    assert names == [["a", "b"], ["c"], ["d"]]


def test_nothing_gives_no_chunk() -> None:
    assert in_order([]) == []


def test_a_position_is_told_by_reference() -> None:
    with DocumentSpool() as spool:
        for number, item in enumerate([line("b", 5), line("a", 1)], 2):
            spool.add(number, item)
        spool.seal()
        assert [spool.position(name) for name in ("a", "b", "none")] == [0, 1, -1]
        assert len(spool) == 2


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 5)), max_size=60))
def test_the_order_is_that_of_a_sort_in_memory(pairs: list[tuple[str, int]]) -> None:
    first: dict[str, tuple[int, int]] = {}
    numbers: dict[str, list[int]] = {}
    for number, (name, minute) in enumerate(pairs, 2):
        first.setdefault(name, (minute, number))
        numbers.setdefault(name, []).append(number)
    expected = [(name, numbers[name]) for name in sorted(first, key=lambda name: first[name])]
    chunks = in_order([line(name, minute) for name, minute in pairs])
    assert [document for chunk in chunks for document in chunk] == expected


def test_a_long_document_is_kept_in_pieces_and_given_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spools, "_SEGMENT_LINES_MAX", 3)
    assert in_order([line("a", 0)] * 10) == [[("a", list(range(2, 12)))]]


def candidate(sale: str, minute: int, line_number: int, quantity: int, key: tuple[str, str, int] = KEY) -> Candidate:
    at = START + timedelta(minutes=minute)
    return Candidate(f"sal_{sale}", sale, at, line_number, *key, quantity)


def before(minute: int, position: int) -> tuple[datetime, int]:
    return START + timedelta(minutes=minute), position


POSITIONS = {"a": 0, "b": 1, "c": 2}


def units(*candidates: Candidate) -> OpenUnits:
    return OpenUnits(candidates, lambda reference: POSITIONS.get(reference, -1))


def test_the_latest_sale_goes_first_then_its_latest_line() -> None:
    shelf = units(candidate("a", 0, 1, 5), candidate("b", 1, 1, 2), candidate("b", 1, 4, 1))
    matches, rest = shelf.take(KEY, 6, before(9, 9))
    assert matches == [Match("sal_b", 4, 1), Match("sal_b", 1, 2), Match("sal_a", 1, 3)]
    assert rest == 0


def test_what_was_taken_is_gone() -> None:
    shelf = units(candidate("a", 0, 1, 5))
    assert shelf.take(KEY, 3, before(9, 9)) == ([Match("sal_a", 1, 3)], 0)
    assert shelf.take(KEY, 3, before(9, 9)) == ([Match("sal_a", 1, 2)], 1)
    assert shelf.take(KEY, 3, before(9, 9)) == ([], 3)


def test_later_sales_are_left_alone() -> None:
    shelf = units(candidate("a", 0, 1, 1), candidate("c", 5, 1, 9))
    assert shelf.take(KEY, 2, before(5, 1)) == ([Match("sal_a", 1, 1)], 1)


def test_of_one_instant_the_order_of_the_file_decides() -> None:
    for position, taken in ((1, ["sal_a"]), (2, ["sal_b", "sal_a"])):
        shelf = units(candidate("a", 5, 1, 1), candidate("b", 5, 1, 1))
        assert [match.sale_id for match in shelf.take(KEY, 2, before(5, position))[0]] == taken


def test_a_sale_of_another_file_counts_as_earlier_at_its_instant() -> None:
    shelf = units(candidate("elsewhere", 5, 1, 1))
    assert shelf.take(KEY, 1, before(5, 0)) == ([Match("sal_elsewhere", 1, 1)], 0)


@pytest.mark.parametrize("key", [("other", "bread", 5), ("mem", "wine", 5), ("mem", "bread", 6)])
def test_customer_goods_and_price_must_all_fit(key: tuple[str, str, int]) -> None:
    assert units(candidate("a", 0, 1, 5)).take(key, 1, before(9, 9)) == ([], 1)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9)), max_size=8), st.randoms(use_true_random=False))
def test_no_unit_is_given_twice_or_lost(sold: list[tuple[str, int]], rng: random.Random) -> None:
    shelf = units(*(candidate(sale, POSITIONS[sale], i, quantity) for i, (sale, quantity) in enumerate(sold)))
    total = sum(quantity for _, quantity in sold)
    given_back = asked = 0
    while asked <= total:
        wanted = rng.randint(1, 5)
        matches, rest = shelf.take(KEY, wanted, before(9, 9))
        assert sum(match.quantity for match in matches) + rest == wanted
        given_back += wanted - rest
        asked += wanted
    assert given_back == total


def test_reports_add_up_and_list_no_more_than_they_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "DETAILS_MAX", 3)
    whole, part = ImportReport(sales=1), ImportReport(sales=2, tokens_credited=5)
    for number in range(2):
        whole.refuse_line(number, "torn")
        part.refuse_line(number, "torn")
        part.refuse_document(number, "taken")
        part.note_unmatched(UnmatchedReturn(number, "C1", "A", 4))
    whole.add(part)
    assert (whole.sales, whole.tokens_credited, whole.lines_refused) == (3, 5, 4)
    assert (whole.lines_unmatched, whole.units_unmatched) == (2, 8)
    assert (len(whole.refused), len(whole.unmatched)) == (3, 2)
    assert whole.to_dict()["unmatched"] == [
        {"line_number": number, "document": "C1", "sku": "A", "quantity": 4} for number in range(2)
    ]
