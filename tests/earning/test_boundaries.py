"""The edges: the largest integers, long and strange texts, zones, and connections that meet."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.earning import ONE_PER_UNIT, Shop, a_line, make_shop, refused
from mereau.core.amounts import MAX_AMOUNT_MINOR
from mereau.core.db import transaction
from mereau.earning import service as earning
from mereau.sales.domain import LINES_MAX, RecordedSale
from mereau.sales.errors import InvalidSaleError
from mereau.sales.returns.domain import RecordedReturn

RARE = {"rate": {"tokens": 1, "per_minor": MAX_AMOUNT_MINOR}}


async def test_the_largest_sale_is_recorded_and_comes_back(engine: AsyncEngine) -> None:
    shop = await make_shop(engine, {"rate": {"tokens": 1, "per_minor": 1}})
    sale = await shop.sell(a_line(MAX_AMOUNT_MINOR, quantity=MAX_AMOUNT_MINOR, unit_price_micro=2**63 - 1))
    assert (sale.tokens, sale.eligible_minor) == (MAX_AMOUNT_MINOR, MAX_AMOUNT_MINOR)
    first = await shop.bring_back(sale, (1, MAX_AMOUNT_MINOR - 1))
    last = await shop.bring_back(sale, (1, 1))
    assert (first.tokens_due, last.tokens_due) == (MAX_AMOUNT_MINOR - 1, 1)
    assert await shop.counters() == (0, 0, 0, 0)


@pytest.mark.parametrize("member", [0, None])
async def test_lines_that_fit_one_by_one_must_fit_together(engine: AsyncEngine, member: int | None) -> None:
    """A thousand lines of the largest amount are more than the column of the sale's own figure holds."""
    shop = await make_shop(engine, RARE)
    lines = [a_line(MAX_AMOUNT_MINOR)] * 1_025
    too_much = shop.a_sale(*lines, member=member)
    one_too_many = shop.a_sale(a_line(MAX_AMOUNT_MINOR), a_line(1), member=member)
    exactly = shop.a_sale(a_line(MAX_AMOUNT_MINOR - 1), a_line(1), a_line(-500), member=member)
    outcomes = await shop.record(too_much, one_too_many, exactly)
    assert refused(outcomes) == ["invalid_sale", "invalid_sale", None]
    assert isinstance(outcomes[0], InvalidSaleError)
    assert [found.pointer for found in outcomes[0].errors] == ["/lines"]
    assert await shop.count("sales") == 1


async def test_shipping_on_top_of_the_largest_amount_is_held_exactly(engine: AsyncEngine) -> None:
    shop = await make_shop(engine, RARE | {"include_shipping": True})
    sale = await shop.sell(a_line(MAX_AMOUNT_MINOR), shipping_minor=MAX_AMOUNT_MINOR)
    assert (sale.eligible_minor, sale.tokens) == (2 * MAX_AMOUNT_MINOR, 2)


@pytest.mark.parametrize(
    ("lines", "pointer"),
    [
        (((2**31, 1),), "/lines/0/line_number"),
        (((1, 1), (-1, 1)), "/lines/1/line_number"),
        (((LINES_MAX + 1, 1),), "/lines/0/line_number"),
        (((2**200, 1),), "/lines/0/line_number"),
        (((1, 2**200),), "/lines/0/quantity"),
        (((1, MAX_AMOUNT_MINOR),) * 2_049, "/lines"),
        (((1, MAX_AMOUNT_MINOR), (1, 1)), "/lines"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_return_beyond_every_range_is_refused_alone(
    shop: Shop, lines: tuple[tuple[int, int], ...], pointer: str
) -> None:
    """The others of the call stand: no figure reaches a column or an encoder that cannot hold it."""
    sale = await shop.sell()
    wild, tame = await shop.record_back(shop.a_return(sale, *lines), shop.a_return(sale))
    assert isinstance(wild, InvalidSaleError)
    assert [found.pointer for found in wild.errors] == [pointer]
    assert isinstance(tame, RecordedReturn)


async def test_a_line_that_the_sale_has_not_is_refused_by_number(shop: Shop) -> None:
    """The twin: within the range, and still not there."""
    sale = await shop.sell()
    (outcome,) = await shop.record_back(shop.a_return(sale, (LINES_MAX, 1), (1, 1)))
    assert isinstance(outcome, InvalidSaleError)
    assert [found.detail for found in outcome.errors] == [f"the sale has no line {LINES_MAX}"]


@pytest.mark.parametrize(
    "reference",
    [
        "x" * 255,
        "é" * 255,
        "🧾" * 255,
        "receipt 17 / till 4",
        "'; drop table sales; --",
        "{a,b}",
        '"',
        "\\",
        "NULL",
        "\u202eltr",
    ],
    ids=lambda text: text[:12],
)
async def test_any_text_may_be_a_reference_and_stays_what_it_is(shop: Shop, reference: str) -> None:
    """S3 and arrays: texts travel as array elements, whose own syntax must not be read out of them."""
    sale = await shop.sell(a_line(200, sku=reference, category=reference, quantity=2), external_id=reference)
    again = await shop.sell(a_line(200, sku=reference, category=reference, quantity=2), external_id=reference)
    assert (sale.external_id, again.id, again.duplicate) == (reference, sale.id, True)
    done = await shop.bring_back(sale, (1, 1), external_id=reference)
    assert (done.external_id, done.tokens_due) == (reference, 1)
    (entry,) = await shop.rows("select source_reference from entries where kind = 'issue'")
    assert entry.source_reference == reference
    async with transaction(shop.engine) as session:
        found = await earning.recorded_references(session, shop.partners[0].id, [reference, reference + "x"])
    assert found == {reference}


async def test_references_are_told_apart_to_the_last_bit(shop: Shop) -> None:
    """No case folding, no trimming, no Unicode normal form: the partner's reference is the partner's."""
    names = ["a", "A", " a", "a ", "\u00e9", "e\u0301", "\uff41"]
    outcomes = await shop.record(*(shop.a_sale(external_id=name) for name in names))
    assert refused(outcomes) == [None] * len(names)
    assert await shop.count("sales") == len(names)


@pytest.mark.parametrize("hours", [-12, -5, 0, 5.5, 14])
async def test_a_sale_is_the_same_sale_in_every_zone(shop: Shop, hours: float) -> None:
    draft = shop.a_sale()
    elsewhere = draft.occurred_at.astimezone(timezone(timedelta(hours=hours)))
    first, again = await shop.record(draft, replace(draft, occurred_at=elsewhere))
    assert isinstance(again, RecordedSale)
    assert isinstance(first, RecordedSale)
    assert (again.id, again.duplicate) == (first.id, True)
    view = await shop.view(first.id)
    assert view is not None
    assert view.head.occurred_at == draft.occurred_at


async def test_sales_of_another_century_are_kept(shop: Shop) -> None:
    ancient = datetime(1970, 1, 1, tzinfo=UTC)
    sale = await shop.sell(occurred_at=ancient)
    view = await shop.view(sale.id)
    assert view is not None
    assert view.head.occurred_at == ancient
    assert await shop.counters() == (10, 0, 0, 0), "tokens of old sales have a life from now on"


async def test_both_hours_of_the_end_of_summer_time_are_told_apart(shop: Shop) -> None:
    """02:30 comes twice on 26 October 2025 in Paris; two receipts, an hour apart, are two receipts."""
    first = datetime(2025, 10, 26, 2, 30, tzinfo=timezone(timedelta(hours=2)))
    second = datetime(2025, 10, 26, 2, 30, tzinfo=timezone(timedelta(hours=1)))
    draft = shop.a_sale(occurred_at=first)
    outcomes = await shop.record(draft, replace(draft, occurred_at=second))
    assert refused(outcomes) == [None, "recorded_otherwise"]


async def test_a_document_of_as_many_lines_as_may_be(shop: Shop) -> None:
    sale = await shop.sell(*[a_line(100)] * LINES_MAX)
    assert sale.tokens == LINES_MAX
    done = await shop.bring_back(sale, *((number, 1) for number in range(1, LINES_MAX + 1)))
    assert done.tokens_due == LINES_MAX
    assert await shop.counters() == (0, 0, 0, 0)


@pytest.mark.parametrize("amount", [0, -1, -MAX_AMOUNT_MINOR])
async def test_a_line_that_costs_nothing_or_less_earns_nothing(shop: Shop, amount: int) -> None:
    sale = await shop.sell(a_line(amount), a_line(300))
    assert (sale.eligible_minor, sale.tokens) == (300, 3)


async def test_the_same_sale_from_two_connections_at_once_is_one(shop: Shop) -> None:
    """The first connection has written and not committed when the second looks: it waits and hears of it."""
    draft = shop.a_sale(a_line(700))
    async with transaction(shop.engine) as first:
        (mine,) = await earning.record_sales(first, [draft], shop.now)
        second = asyncio.create_task(shop.record(draft))
        await shop.wait_for_a_waiter()
    (theirs,) = await second
    assert isinstance(mine, RecordedSale)
    assert theirs == replace(mine, duplicate=True)
    assert await shop.counters() == (7, 0, 0, 0)
    assert [await shop.count(table) for table in ("sales", "sale_lines", "entries", "lots")] == [1, 1, 1, 1]


async def test_a_connection_that_gives_up_leaves_the_reference_to_the_other(shop: Shop) -> None:
    draft = shop.a_sale(a_line(700))

    async def give_up(until: asyncio.Event) -> None:
        async with transaction(shop.engine) as session:
            await earning.record_sales(session, [draft], shop.now)
            until.set()
            await shop.wait_for_a_waiter()
            raise RuntimeError("the line broke")

    written = asyncio.Event()
    first = asyncio.create_task(give_up(written))
    await written.wait()
    (outcome,) = await shop.record(draft)
    with pytest.raises(RuntimeError, match="line broke"):
        await first
    assert isinstance(outcome, RecordedSale)
    assert not outcome.duplicate
    assert await shop.counters() == (7, 0, 0, 0)


async def test_the_same_return_from_two_connections_at_once_is_one(shop: Shop) -> None:
    sale = await shop.sell(a_line(1_000, quantity=5))
    draft = shop.a_return(sale, (1, 2))
    async with transaction(shop.engine) as first:
        (mine,) = await earning.record_returns(first, [draft], shop.now)
        second = asyncio.create_task(shop.record_back(draft, replace(draft, lines=((1, 1),))))
        await shop.wait_for_a_waiter()
    theirs = await second
    assert isinstance(mine, RecordedReturn)
    assert theirs[0] == replace(mine, duplicate=True)
    assert refused(theirs) == [None, "recorded_otherwise"]
    assert await shop.line_counters(sale.id) == [(2, 4)]


async def test_a_sale_and_a_change_of_rule_at_once_agree_on_one_rule(shop: Shop) -> None:
    """A sale is valued by the rule that was active when it began; the next one by the new rule."""
    before = (await shop.sell()).rule
    async with transaction(shop.engine) as session:
        (running,) = await earning.record_sales(session, [shop.a_sale(a_line(1_000))], shop.now)
        newer = await shop.activate(dict(ONE_PER_UNIT) | {"rate": {"tokens": 3, "per_minor": 100}})
        (late,) = await earning.record_sales(session, [shop.a_sale(a_line(1_000))], shop.now)
    assert isinstance(running, RecordedSale)
    assert isinstance(late, RecordedSale)
    assert (running.rule, running.tokens) == (before, 10)
    assert (late.rule, late.tokens) == (newer, 30)


@pytest.mark.parametrize(
    ("change", "pointers"),
    [
        (
            {"external_id": "", "currency": "eur", "shipping_minor": -1},
            ["/external_id", "/currency", "/shipping_minor"],
        ),
        ({"currency": "EUR "}, ["/currency"]),
        ({"currency": ""}, ["/currency"]),
        ({"shipping_minor": MAX_AMOUNT_MINOR + 1}, ["/shipping_minor"]),
        ({"lines": (a_line(quantity=-1), a_line(discount_minor=-1, tax_minor=-1))}, ["/lines/0/quantity", "/lines/1"]),
    ],
    ids=str,
)
async def test_every_finding_is_told_at_once(shop: Shop, change: dict[str, Any], pointers: list[str]) -> None:
    (outcome,) = await shop.record(replace(shop.a_sale(), **change))
    assert isinstance(outcome, InvalidSaleError)
    assert [found.pointer for found in outcome.errors] == pointers
