"""Whole imports into a real database, beside a model that shares nothing with the importer."""

import asyncio
import random
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.earning import a_line, refused
from factories.imports import FRANCE, ImportShop, Row, csv_text, make_import_shop
from integrations.oracle import expect
from mereau.core.db import create_engine
from mereau.core.errors import ConfigurationError, NotFoundError
from mereau.earning.errors import NoActiveRuleError
from mereau.integrations.errors import UnknownMappingError, UnreadableFileError
from mereau.integrations.report import ImportProgress

DAY = "2011-01-01 {:02d}:{:02d}:00"


def at(minute: int) -> str:
    return DAY.format(*divmod(minute, 60))


def sale(
    invoice: str, minute: int, *, sku: str = "A", quantity: int = 1, price: str = "1.00", customer: str = "7"
) -> Row:
    return invoice, sku, quantity, at(minute), price, customer


def back(
    invoice: str, minute: int, *, sku: str = "A", quantity: int = 1, price: str = "1.00", customer: str = "7"
) -> Row:
    return f"C{invoice}", sku, -quantity, at(minute), price, customer


async def test_the_french_extract_ends_as_the_model_says(shop: ImportShop) -> None:
    report = await shop.import_file(FRANCE)
    model = expect(FRANCE)
    assert await shop.balances() == {name: tokens for name, tokens in model.tokens.items() if tokens and name}
    assert (report.tokens_credited, report.tokens_reversed) == (model.credited, model.reversed)
    assert (report.sales_recorded, report.returns) == (model.sales, model.returns)
    assert (report.lines_unmatched, report.units_unmatched) == (model.unmatched_lines, model.unmatched_units)
    assert report.lines_without_customer == model.without_customer
    assert (report.lines_read, report.lines_refused, report.members) == (8_557, 0, 87)
    kinds = dict(tuple(row) for row in await shop.rows("select kind, count(*) from entries group by 1"))
    assert kinds == {"issue": model.credits, "reverse": model.reversals}
    assert await shop.drift() == 0


async def test_a_second_run_changes_nothing(shop: ImportShop) -> None:
    first = await shop.import_file(FRANCE)
    before = await shop.end_state()
    shop.now += timedelta(days=1)
    second = await shop.import_file(FRANCE)
    assert await shop.end_state() == before
    assert (second.sales_recorded, second.returns_recorded, second.tokens_credited) == (0, 0, 0)
    assert (second.sales_already_recorded, second.returns_already_recorded) == (
        first.sales_recorded,
        first.returns_recorded,
    )
    assert second.returns_unmatched == first.returns_unmatched


@pytest.mark.parametrize("chunk_size", [1, 7, 10_000])
async def test_the_size_of_chunks_does_not_matter(shop: ImportShop, tmp_path: Path, chunk_size: int) -> None:
    rows = shuffled_day(random.Random(chunk_size))
    await shop.import_rows(tmp_path, rows, chunk_size=chunk_size)
    model = expect(tmp_path / "sales.csv")
    assert await shop.balances() == {name: tokens for name, tokens in model.tokens.items() if tokens and name}


def shuffled_day(rng: random.Random) -> list[Row]:
    """Sales and returns of few customers and goods, so that they meet; the file is in no order of time."""
    rows: list[Row] = []
    for number in range(60):
        minute, customer = rng.randrange(30), rng.choice(["7", "8", "9.0", ""])
        for _ in range(rng.randint(1, 4)):
            make = back if number % 3 == 0 else sale
            goods = {"sku": rng.choice("AB"), "price": rng.choice(["1.00", "0.995", "0"]), "customer": customer}
            rows.append(make(str(number), minute, quantity=rng.randint(1, 90), **goods))
    return rows


@st.composite
def files(draw: st.DrawFn) -> list[Row]:
    rows: list[Row] = []
    for number in range(draw(st.integers(1, 12))):
        make = draw(st.sampled_from([sale, sale, back]))
        customer = draw(st.sampled_from(["7", "8.0", ""]))
        minute = draw(st.integers(0, 6))
        rows += [
            make(
                str(number),
                minute,
                sku=draw(st.sampled_from("AB")),
                quantity=draw(st.integers(1, 500)),
                price=draw(st.sampled_from(["0.33", "1.005", "7.77", "0"])),
                customer=customer,
            )
            for _ in range(draw(st.integers(1, 3)))
        ]
    return rows


@settings(max_examples=15)
@given(rows=files(), chunk_size=st.integers(1, 6))
async def test_any_file_ends_as_the_model_says_and_again_after_a_second_run(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory, rows: list[Row], chunk_size: int
) -> None:
    path = tmp_path_factory.mktemp("files") / "sales.csv"
    path.write_text(csv_text(rows))
    model = expect(path)
    name = f"t_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"create database {name} template mereau_template strategy file_copy")
    engine = create_engine(postgres_url.replace("/postgres?", f"/{name}?"))
    try:
        shop = await make_import_shop(engine)
        report = await shop.import_file(path, chunk_size=chunk_size)
        assert await shop.balances() == {key: tokens for key, tokens in model.tokens.items() if tokens and key}
        assert (report.tokens_credited, report.tokens_reversed) == (model.credited, model.reversed)
        assert (report.lines_unmatched, report.units_unmatched) == (model.unmatched_lines, model.unmatched_units)
        before = await shop.end_state()
        await shop.import_file(path, chunk_size=chunk_size + 1)
        assert await shop.end_state() == before
    finally:
        await engine.dispose()
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f"drop database {name} with (force)")


async def test_a_member_is_enrolled_on_first_sight_by_the_partner(shop: ImportShop, tmp_path: Path) -> None:
    await shop.import_rows(tmp_path, [sale("1", 0), sale("2", 1, customer="8.0"), back("3", 2, customer="9")])
    rows = await shop.rows("select external_id, enrolled_by_partner_id from members order by 1")
    assert [tuple(row) for row in rows] == [(name, shop.partners[0].id) for name in ("7", "8", "9")]


async def test_a_sale_is_an_invoice_with_the_time_of_its_first_line(shop: ImportShop, tmp_path: Path) -> None:
    rows = [sale("1", 5, quantity=150), sale("2", 6), sale("1", 7, sku="B", quantity=60, price="1.999")]
    await shop.import_rows(tmp_path, rows)
    first, second = await shop.rows("select * from sales order by external_id")
    assert (first.external_id, first.tokens, first.eligible_minor) == ("1", 269, 26_994)
    assert first.occurred_at == datetime(2011, 1, 1, 0, 5, tzinfo=UTC)
    assert second.tokens == 1
    assert (await shop.rows("select source_reference, rule from entries order by seq"))[0].source_reference == "1"


async def test_lines_without_customer_or_price_are_recorded_and_earn_nothing(shop: ImportShop, tmp_path: Path) -> None:
    rows = [
        sale("1", 0, quantity=500),
        sale("1", 0, sku="B", quantity=500, customer=""),
        sale("1", 0, sku="C", price="0"),
        sale("2", 1, quantity=500, customer=""),
        ("3", "D", -10, at(2), "0", ""),
        ("A4", "B", 1, at(3), "-11062.06", ""),
    ]
    report = await shop.import_rows(tmp_path, rows)
    assert (report.lines_without_customer, report.lines_unpriced, report.lines_adjustment) == (4, 3, 2)
    assert (report.sales_recorded, report.lines_refused, report.tokens_credited) == (2, 0, 500)
    lines = await shop.rows("select sku, tokens from sale_lines order by sale_id, line_number")
    assert sorted(tuple(row) for row in lines) == [("A", 0), ("A", 500), ("B", 0), ("C", 0)]
    assert await shop.balances() == {"7": 500}


async def test_a_return_goes_to_the_latest_sale_and_its_latest_line(shop: ImportShop, tmp_path: Path) -> None:
    rows = [
        sale("1", 0, quantity=3),
        sale("2", 1, quantity=3),
        sale("2", 1, quantity=2),
        back("3", 2, quantity=6),
    ]
    await shop.import_rows(tmp_path, rows)
    assert await shop.returned() == [("1", 1, 1, 1), ("2", 1, 3, 3), ("2", 2, 2, 2)]
    slips = await shop.rows("select external_id, tokens_due from returns order by tokens_due")
    assert [tuple(row) for row in slips] == [("C3", 1), ("C3", 5)]


async def test_two_lines_of_a_return_may_meet_in_one_line_of_a_sale(shop: ImportShop, tmp_path: Path) -> None:
    report = await shop.import_rows(tmp_path, [sale("1", 0, quantity=5), back("2", 1, quantity=2), back("2", 1)])
    assert await shop.returned() == [("1", 1, 3, 3)]
    assert (report.returns_recorded, report.lines_unmatched) == (1, 0)


@pytest.mark.parametrize(
    "stranger",
    [{"customer": "8"}, {"sku": "B"}, {"price": "1.01"}, {"price": "1.001"}],
    ids=str,
)
async def test_a_return_of_other_goods_is_unmatched(shop: ImportShop, tmp_path: Path, stranger: dict[str, str]) -> None:
    report = await shop.import_rows(tmp_path, [sale("1", 0, quantity=5), back("2", 1, quantity=2, **stranger)])
    assert await shop.returned() == []
    (unmatched,) = report.unmatched
    assert (unmatched.line_number, unmatched.document, unmatched.quantity) == (3, "C2", 2)
    assert (report.returns_unmatched, report.returns_recorded, report.tokens_reversed) == (1, 0, 0)


async def test_a_return_before_its_sale_is_unmatched_in_every_run(shop: ImportShop, tmp_path: Path) -> None:
    rows = [back("2", 0), sale("1", 5, quantity=5), back("3", 5, quantity=1), sale("4", 5, quantity=1)]
    for _ in range(2):
        report = await shop.import_rows(tmp_path, rows)
        assert report.returns_unmatched == 1
        assert await shop.returned() == [("1", 1, 1, 1)], "of one instant, the order of the file decides"


async def test_what_exceeds_the_sold_units_is_reported(shop: ImportShop, tmp_path: Path) -> None:
    report = await shop.import_rows(tmp_path, [sale("1", 0, quantity=5), back("2", 1, quantity=7)])
    assert (report.lines_unmatched, report.units_unmatched, report.tokens_reversed) == (1, 2, 5)
    assert report.returns_recorded == 1


async def test_a_return_of_nobody_is_counted_and_matched_to_nothing(shop: ImportShop, tmp_path: Path) -> None:
    report = await shop.import_rows(
        tmp_path,
        [sale("1", 0, quantity=5, customer=""), back("2", 1, customer=""), sale("3", 1), back("4", 2, customer="7")],
    )
    assert (report.returns, report.returns_unmatched, report.returns_recorded) == (2, 1, 1)
    assert report.unmatched == []


async def test_a_line_without_customer_in_a_members_return_is_left_out(shop: ImportShop, tmp_path: Path) -> None:
    rows = [sale("1", 0, quantity=5), back("2", 1), back("2", 1, customer="")]
    report = await shop.import_rows(tmp_path, rows)
    assert (report.lines_without_customer, report.lines_unmatched) == (1, 0)
    assert await shop.returned() == [("1", 1, 1, 1)]


async def test_another_customers_line_in_an_invoice_is_refused(shop: ImportShop, tmp_path: Path) -> None:
    rows = [sale("1", 0, quantity=5), sale("1", 0, sku="B", customer="8")]
    report = await shop.import_rows(tmp_path, rows)
    (refused,) = report.refused
    assert (refused.line_number, report.lines_refused) == (3, 1)
    assert "customer 7, not 8" in refused.reason
    assert await shop.balances() == {"7": 5}


async def test_refused_lines_are_told_and_the_rest_goes_on(shop: ImportShop, tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_text(csv_text([sale("1", 0, quantity=5)]) + "nonsense\n" + csv_text([sale("2", 1)]).splitlines()[1])
    report = await shop.import_file(path)
    assert [(line.line_number, line.reason) for line in report.refused] == [(3, "1 fields instead of 8")]
    assert (report.lines_read, report.sales_recorded, await shop.balances()) == (3, 2, {"7": 6})


async def test_a_changed_invoice_is_refused_and_the_recorded_one_stands(shop: ImportShop, tmp_path: Path) -> None:
    await shop.import_rows(tmp_path, [sale("1", 0, quantity=5)])
    report = await shop.import_rows(tmp_path, [sale("1", 0, quantity=6), sale("2", 1)])
    assert (report.sales_refused, report.sales_recorded, report.lines_refused) == (1, 1, 0)
    assert "1: The partner's sale 1 is already recorded with other content" in report.refused[0].reason
    assert await shop.balances() == {"7": 6}


async def test_an_invoice_of_the_future_is_refused(shop: ImportShop, tmp_path: Path) -> None:
    rows = [("1", "A", 5, "2031-01-01 00:00:00", "1.00", "7"), sale("2", 0)]
    report = await shop.import_rows(tmp_path, rows)
    assert (report.sales_refused, report.sales_recorded) == (1, 1)
    assert "/occurred_at must not lie in the future" in report.refused[0].reason


async def test_a_return_of_the_future_is_refused(shop: ImportShop, tmp_path: Path) -> None:
    rows = [sale("1", 0, quantity=5), ("C2", "A", -1, "2031-01-01 00:00:00", "1.00", "7")]
    report = await shop.import_rows(tmp_path, rows)
    assert (report.returns_refused, report.returns_recorded, report.tokens_reversed) == (1, 0, 0)
    assert report.refused[0].line_number == 3


async def test_returns_reach_sales_of_an_earlier_file_of_the_same_partner_only(
    shop: ImportShop, tmp_path: Path
) -> None:
    await shop.import_rows(tmp_path, [sale("1", 0, quantity=5)])
    report = await shop.import_rows(tmp_path, [back("9", 10)], partner_id=shop.partners[1].id)
    assert report.lines_unmatched == 1
    report = await shop.import_rows(tmp_path, [back("9", 10)])
    assert (report.lines_unmatched, await shop.returned()) == (0, [("1", 1, 1, 1)])


async def test_a_longer_file_goes_on_where_the_shorter_ended(shop: ImportShop, tmp_path: Path) -> None:
    rows = shuffled_day(random.Random(3))
    ordered = sorted(rows, key=lambda row: row[3])
    await shop.import_rows(tmp_path, [row for row in ordered if row[3] < at(15)])
    await shop.import_rows(tmp_path, ordered)
    model = expect(tmp_path / "sales.csv")
    assert await shop.balances() == {name: tokens for name, tokens in model.tokens.items() if tokens and name}


async def test_two_imports_of_one_file_at_once_end_as_one(shop: ImportShop, tmp_path: Path) -> None:
    rows = shuffled_day(random.Random(5))
    path = tmp_path / "sales.csv"
    path.write_text(csv_text(rows))
    reports = await asyncio.gather(*(shop.import_file(path, chunk_size=5) for _ in range(3)))
    model = expect(path)
    assert await shop.balances() == {name: tokens for name, tokens in model.tokens.items() if tokens and name}
    assert sum(report.tokens_credited for report in reports) == model.credited
    assert sum(report.tokens_reversed for report in reports) == model.reversed
    assert sum(report.sales_refused + report.returns_refused for report in reports) == 0


async def test_an_import_and_tills_at_once_do_not_disturb_each_other(shop: ImportShop, tmp_path: Path) -> None:
    await shop.import_rows(tmp_path, [sale(str(n), n, quantity=100) for n in range(20)])
    sold = [row.id for row in await shop.rows("select id from sales order by external_id")]
    member = (await shop.rows("select id from members"))[0].id
    shop.members = [member]

    async def till() -> None:
        for sale_id in sold:
            known = await shop.view(sale_id)
            assert known is not None
            await shop.sell(a_line(100))
            assert refused(await shop.record_back(shop.a_return(known.head, (1, 1)))) == [None]

    rows = [back(str(n), 30, quantity=2) for n in range(20)] + [sale(f"x{n}", 31) for n in range(20)]
    await asyncio.gather(till(), shop.import_rows(tmp_path, rows, chunk_size=3))
    ((back_units, tokens),) = await shop.rows("select sum(returned_quantity), sum(reversed_tokens) from sale_lines")
    assert (back_units, tokens) == (60, 60)
    assert (await shop.counters())[0] == 2_000 + 20 + 20 - 60
    assert await shop.drift() == 0


async def test_progress_is_told_from_the_first_byte_to_the_last_document(shop: ImportShop) -> None:
    seen: list[ImportProgress] = []
    await shop.import_file(FRANCE, on_progress=seen.append)
    assert [step.phase for step in seen] == sorted((step.phase for step in seen), reverse=True)
    assert {step.phase for step in seen} == {"reading", "posting"}
    last = seen[-1]
    assert (last.done, last.total, last.lines) == (461, 461, 8_557)


async def test_what_cannot_start_says_why_and_changes_nothing(shop: ImportShop, tmp_path: Path) -> None:
    with pytest.raises(UnknownMappingError, match="Known: online-retail"):
        await shop.import_file(FRANCE, mapping="shopify")
    with pytest.raises(NotFoundError):
        await shop.import_file(FRANCE, partner_id="par_none")
    with pytest.raises(UnreadableFileError):
        await shop.import_file(tmp_path / "none.csv")
    torn = tmp_path / "torn.csv.gz"
    torn.write_bytes(FRANCE.read_bytes()[:50_000])
    with pytest.raises(UnreadableFileError):
        await shop.import_file(torn)
    await shop.write("update earning_rules set status = 'inactive'")
    with pytest.raises(NoActiveRuleError):
        await shop.import_file(FRANCE)
    await shop.write("delete from programs")
    with pytest.raises(ConfigurationError):
        await shop.import_file(FRANCE)
    assert (await shop.count("members"), await shop.count("sales")) == (0, 0)


async def test_an_empty_file_is_an_empty_import(shop: ImportShop, tmp_path: Path) -> None:
    report = await shop.import_rows(tmp_path, [])
    assert not any(value for value in report.to_dict().values())


async def test_a_failing_database_fails_the_import(shop: ImportShop, engine: AsyncEngine, tmp_path: Path) -> None:
    await shop.write("alter table sale_lines add constraint nothing_more check (sku <> 'Z') not valid")
    with pytest.raises(Exception, match="nothing_more"):
        await shop.import_rows(tmp_path, [sale("1", 0), sale("2", 1, sku="Z")], chunk_size=1)
    assert await shop.count("sales") == 1, "what was committed before stands"
