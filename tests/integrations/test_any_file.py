"""Any file, in any dress: what is sound in it ends as the model in memory says, what is not is told by line."""

import csv
import gzip
import io
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories.imports import FRANCE, HEADER, ImportShop, Row, csv_text
from integrations.oracle import Outcome, expect
from integrations.scratch import scratch_shop
from mereau.integrations.report import ImportReport
from mereau.sales.domain import LINES_MAX

DESCRIPTIONS = ["LIGHT", 'BOX, "LARGE"', "CAFÉ ½", " ", "", "C1,2", "'", "=1+1", "x" * 300]
BROKEN = [
    '1,A,"unclosed,1,2011-01-01 00:00:00,1.00,7,France',
    "1,A,X",
    "1,A,X,1,2011-01-01 00:00:00,1.00,7,France,more",
    "1,A,X,1.5,2011-01-01 00:00:00,1.00,7,France",
    "1,A,X,99999999999,2011-01-01 00:00:00,1.00,7,France",
    "1,A,X,0,2011-01-01 00:00:00,1.00,7,France",
    "1,A,X,1,2011-01-01 00:00:00,1.0e3,7,France",
    "1,A,X,1,2011-01-01 00:00:00,NaN,7,France",
    '1,A,X,1,2011-01-01 00:00:00,"1,00",7,France',
    "1,A,X,1,1/1/2011 0:00,1.00,7,France",
    "1,A,X,1,1899-12-30 00:00:00,1.00,7,France",
    "1,A,X,1,0001-01-01 00:00:00,1.00,7,France",
    "1,A,X,1,2011-01-01 00:00:00,1.00,seven,France",
    ",A,X,1,2011-01-01 00:00:00,1.00,7,France",
    "1,,X,1,2011-01-01 00:00:00,1.00,7,France",
    "C1,A,X,1,2011-01-01 00:00:00,1.00,7,France",
    "1,A,X,-1,2011-01-01 00:00:00,1.00,7,France",
]


@dataclass
class AnyFile:
    """A file as it lies on disk, the sound part of it, and the numbers of the lines that are not sound."""

    content: bytes
    sound: str
    broken: list[int] = field(default_factory=list)


def dressed(rng: random.Random, rows: list[Row], *, broken: int) -> AnyFile:
    """The rows with broken and empty lines among them; quotes, line ends, mark and packing by chance."""
    quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    newline = rng.choice(["\n", "\r\n"])
    lines: list[tuple[str, bool]] = []
    for invoice, sku, quantity, date, price, customer in rows:
        out = io.StringIO()
        fields = (invoice, sku, rng.choice(DESCRIPTIONS), quantity, date, price, customer, "France")
        csv.writer(out, quoting=quoting, lineterminator="").writerow(fields)
        lines.append((out.getvalue(), True))
    for _ in range(broken):
        lines.insert(rng.randint(0, len(lines)), (rng.choice([*BROKEN, ""]), False))
    text = newline.join([",".join(HEADER), *(line for line, _ in lines)]) + rng.choice(["", newline])
    content = (rng.choice(["", "\ufeff"]) + text).encode()
    if rng.random() < 0.5:
        content = gzip.compress(content)
    numbers = [number for number, (line, sound) in enumerate(lines, 2) if line and not sound]
    return AnyFile(content, csv_text(rows), numbers)


@st.composite
def business(draw: st.DrawFn) -> list[Row]:
    """Invoices and cancellations of few customers and goods within few minutes; lines perhaps far apart."""
    rows: list[Row] = []
    for number in range(draw(st.integers(0, 14))):
        back = draw(st.sampled_from([False, False, True]))
        date = f"2011-01-01 00:0{draw(st.integers(0, 4))}:00"
        customer = draw(st.sampled_from(["7", "7.0", "8", ""]))
        for _ in range(draw(st.integers(1, 3))):
            units = draw(st.integers(1, 300))
            goods = draw(st.sampled_from("AB")), -units if back else units
            price = draw(st.sampled_from(["0.33", "1.005", "7.77", "0", "0.000001"]))
            rows.append((f"{'C' if back else ''}{1000 + number}", *goods, date, price, customer))
    if draw(st.booleans()):
        rows = draw(st.permutations(rows))
    return rows


def check(report: ImportReport, model: Outcome, file: AnyFile) -> None:
    assert [line.line_number for line in report.refused] == file.broken
    assert (report.tokens_credited, report.tokens_reversed) == (model.credited, model.reversed)
    assert (report.lines_unmatched, report.units_unmatched) == (model.unmatched_lines, model.unmatched_units)
    assert (report.sales_recorded, report.returns) == (model.sales, model.returns)
    assert report.lines_without_customer == model.without_customer


@settings(max_examples=5)
@given(
    rows=business(),
    rng=st.randoms(use_true_random=False),
    broken=st.integers(0, 6),
    chunks=st.lists(st.sampled_from([1, 2, 3, 5, 500]), min_size=3, max_size=3, unique=True),
)
async def test_any_file_in_any_dress_and_any_chunks_ends_alike(
    postgres_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[Row],
    rng: random.Random,
    broken: int,
    chunks: list[int],
) -> None:
    path = tmp_path_factory.mktemp("any") / "sales"
    file = dressed(rng, rows, broken=broken)
    path.write_text(file.sound)
    model = expect(path)
    balances = {name: tokens for name, tokens in model.tokens.items() if tokens and name}
    states = []
    for chunk_size in chunks[:2]:
        async with scratch_shop(postgres_url) as shop:
            path.write_bytes(file.content)
            check(await shop.import_file(path, chunk_size=chunk_size), model, file)
            assert await shop.balances() == balances
            states.append(await shop.end_state())
            path.write_bytes(dressed(rng, rows, broken=0).content)
            again = await shop.import_file(path, chunk_size=chunks[2])
            assert await shop.end_state() == states[-1]
            assert (again.tokens_credited, again.tokens_reversed, again.sales_recorded) == (0, 0, 0)
            assert await shop.drift() == 0
    assert states[0] == states[1]


@settings(max_examples=5)
@given(rows=business(), cut=st.integers(0, 100), chunk_size=st.sampled_from([1, 4, 500]))
async def test_a_file_that_grows_ends_where_the_whole_one_does(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory, rows: list[Row], cut: int, chunk_size: int
) -> None:
    """Day by day or all at once: the part is a run of whole documents in the order of their time."""
    folder = tmp_path_factory.mktemp("grows")
    order = sorted(dict.fromkeys((row[3], row[0]) for row in rows), key=lambda item: item[0])
    early = {invoice for _, invoice in order[: len(order) * cut // 100]}
    ordered = [row for _, invoice in order for row in rows if row[0] == invoice]
    async with scratch_shop(postgres_url) as shop, scratch_shop(postgres_url) as other:
        await shop.import_rows(folder, [row for row in ordered if row[0] in early], chunk_size=chunk_size)
        await shop.import_rows(folder, ordered, chunk_size=chunk_size)
        await other.import_rows(folder, ordered)
        assert await shop.end_state() == await other.end_state()


def test_the_model_ends_the_french_extract_with_the_known_figures() -> None:
    """Pinned, so that model and importer cannot drift together; the whole set was compared by hand alike."""
    model = expect(FRANCE)
    assert (model.credited, model.reversed) == (208_849, 7_924)
    assert (model.credits, model.reversals) == (389, 69)
    assert (model.sales, model.returns) == (392, 69)
    assert (model.unmatched_lines, model.unmatched_units, model.without_customer) == (16, 51, 66)
    assert sum(model.tokens.values()) == model.credited - model.reversed
    assert min(model.tokens.values()) >= 0


async def test_a_document_of_too_many_lines_is_refused_alone(shop: ImportShop, tmp_path: Path) -> None:
    rows: list[Row] = [("1", "A", 1, "2011-01-01 00:00:00", "1.00", "7")] * (LINES_MAX + 1)
    report = await shop.import_rows(tmp_path, [*rows, ("2", "A", 5, "2011-01-01 00:01:00", "1.00", "7")])
    assert (report.sales_refused, report.sales_recorded, report.lines_refused) == (1, 1, 0)
    assert f"must hold 1 to {LINES_MAX} lines" in report.refused[0].reason
    assert await shop.balances() == {"7": 5}


async def test_a_document_whose_total_no_column_holds_is_refused_alone(shop: ImportShop, tmp_path: Path) -> None:
    """Each line fits; a thousand of them are more than 2^63 cents, and must not end the import."""
    await shop.activate({"rate": {"tokens": 1, "per_minor": 2**53 - 1}})
    rows: list[Row] = [("1", "A", 90_071_992, "2011-01-01 00:00:00", "1000000", "7")] * 1_025
    assert await shop.count("sales") == 0
    report = await shop.import_rows(tmp_path, [*rows, ("2", "A", 5, "2011-01-01 00:01:00", "1.00", "7")])
    assert (report.sales_refused, report.sales_recorded) == (1, 1)
    assert "/lines" in report.refused[0].reason


@pytest.mark.parametrize(("quantity", "price"), [(999_999_999, "999999999.99"), (2, "4503599627370496")])
async def test_a_line_that_no_column_holds_is_refused_and_the_rest_goes_on(
    shop: ImportShop, tmp_path: Path, quantity: int, price: str
) -> None:
    rows: list[Row] = [
        ("1", "A", quantity, "2011-01-01 00:00:00", price, "7"),
        ("2", "A", 5, "2011-01-01 00:01:00", "1.00", "7"),
    ]
    report = await shop.import_rows(tmp_path, rows)
    assert [line.line_number for line in report.refused] == [2]
    assert (report.sales_recorded, await shop.balances()) == (1, {"7": 5})


async def test_names_of_every_script_come_through(shop: ImportShop, tmp_path: Path) -> None:
    rows: list[Row] = [
        ("№ 1/é", "CAFÉ☕", 4, "2011-01-01 00:00:00", "2.50", "7"),
        ("№ 2", 'b"{a,b}\\', 4, "2011-01-01 00:00:00", "2.50", "7"),
        ("C1é", "CAFÉ☕", -1, "2011-01-01 00:01:00", "2.50", "7"),
        ("C2", 'b"{a,b}\\', -2, "2011-01-01 00:01:00", "2.5", "7"),
    ]
    report = await shop.import_rows(tmp_path, rows)
    assert (report.lines_refused, report.lines_unmatched, report.returns_recorded) == (0, 0, 2)
    assert await shop.returned() == [("№ 1/é", 1, 1, 2), ("№ 2", 1, 2, 5)]


@pytest.mark.parametrize("date", ["1970-01-01 00:00:00", "2011-12-31 23:59:59", "2012-02-29 12:00"])
async def test_the_edges_of_the_calendar_are_read(shop: ImportShop, tmp_path: Path, date: str) -> None:
    """The twin of the dates that are refused."""
    report = await shop.import_rows(tmp_path, [("1", "A", 5, date, "1.00", "7")])
    assert (report.lines_refused, report.tokens_credited) == (0, 5)
