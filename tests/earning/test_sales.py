"""Recording sales: once each, set-wise, credited through the ledger."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.earning import Shop, a_line, at, make_shop, refused
from mereau.core.db import transaction
from mereau.core.errors import ConfigurationError
from mereau.earning import service as earning
from mereau.earning.errors import RecordedOtherwiseError
from mereau.sales.domain import RecordedSale, inputs_digest
from mereau.sales.errors import InvalidSaleError

DAY = timedelta(days=1)


async def test_a_sale_is_recorded_with_its_lines_and_credited(shop: Shop) -> None:
    sale = await shop.sell(a_line(1_250), a_line(399, sku="wine", quantity=3), staff_id="stf_1")
    assert (sale.tokens, sale.eligible_minor, sale.duplicate) == (16, 1_649, False)
    view = await shop.view(sale.id)
    assert view is not None
    assert [(line.sku, line.quantity, line.amount_minor, line.tokens) for line in view.lines] == [
        ("bread", 1, 1_250, 12),
        ("wine", 3, 399, 4),
    ]
    assert await shop.counters() == (16, 0, 0, 0)
    (entry,) = await shop.rows("select * from entries")
    assert (entry.id, entry.source_id, entry.source_reference) == (sale.entry_id, sale.id, sale.external_id)
    assert (entry.rule, entry.reason_code, entry.staff_id) == (sale.rule, "sale", "stf_1")


async def test_a_sale_is_written_down_and_announced(shop: Shop) -> None:
    sale = await shop.sell(staff_id="stf_1")
    (act,) = await shop.rows("select * from journal_entries where subject_id = :id", id=sale.id)
    assert (act.action, act.actor, act.detail["tokens"]) == ("sale.recorded", "staff:stf_1", 10)
    (event,) = await shop.events("sale.recorded")
    assert (event.subject_id, event.payload["member_id"]) == (sale.id, shop.members[0])


async def test_the_same_sale_again_is_the_recorded_one(shop: Shop) -> None:
    draft = shop.a_sale(a_line(1_000), staff_id="stf_1")
    (first,) = await shop.record(draft)
    shop.now += DAY
    (again,) = await shop.record(replace(draft, staff_id="stf_2"))
    assert isinstance(first, RecordedSale)
    assert again == replace(first, duplicate=True)
    assert await shop.counters() == (10, 0, 0, 0)
    assert (await shop.count("sales"), await shop.count("sale_lines"), await shop.count("entries")) == (1, 1, 1)
    assert len(await shop.events("sale.recorded")) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"member_id": None},
        {"currency": "EUR", "shipping_minor": 1},
        {"lines": (a_line(1_001),)},
        {"lines": (a_line(1_000), a_line(0))},
        {"lines": (a_line(1_000, quantity=2),)},
        {"lines": (a_line(1_000, eligible=False),)},
        {"location_id": "loc_2"},
    ],
    ids=str,
)
async def test_a_taken_reference_with_other_content_is_a_conflict(shop: Shop, change: dict[str, Any]) -> None:
    draft = shop.a_sale(a_line(1_000))
    await shop.record(draft)
    (outcome,) = await shop.record(replace(draft, **change))
    assert isinstance(outcome, RecordedOtherwiseError)
    assert outcome.status == 409
    assert await shop.counters() == (10, 0, 0, 0)


async def test_a_reference_is_the_partners_own(shop: Shop) -> None:
    draft = shop.a_sale()
    outcomes = await shop.record(draft, replace(draft, partner_id=shop.partners[1].id))
    assert refused(outcomes) == [None, None]
    assert await shop.counters() == (20, 0, 0, 0)


async def test_one_call_with_a_reference_twice_counts_once(shop: Shop) -> None:
    draft = shop.a_sale(a_line(500))
    first, again, other = await shop.record(draft, draft, replace(draft, lines=(a_line(600),)))
    assert isinstance(first, RecordedSale)
    assert not first.duplicate
    assert again == replace(first, duplicate=True)
    assert isinstance(other, RecordedOtherwiseError)
    assert await shop.counters() == (5, 0, 0, 0)


async def test_a_bad_sale_does_not_spoil_its_batch(shop: Shop) -> None:
    good = [shop.a_sale(), shop.a_sale()]
    outcomes = await shop.record(good[0], shop.a_sale(currency="USD"), good[1])
    assert refused(outcomes) == [None, "invalid_sale", None]
    assert await shop.count("sales") == 2


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"external_id": ""}, "/external_id"),
        ({"external_id": "x" * 256}, "/external_id"),
        ({"lines": [a_line()] * 10_001}, "/lines"),
        ({"currency": "GBP"}, "/currency"),
        ({"shipping_minor": -1}, "/shipping_minor"),
        ({"lines": (a_line(quantity=0),)}, "/lines/0/quantity"),
        ({"lines": (a_line(), a_line(quantity=2**53))}, "/lines/1/quantity"),
        ({"lines": (a_line(2**53),)}, "/lines/0"),
        ({"lines": (a_line(discount_minor=-1),)}, "/lines/0"),
        ({"lines": (a_line(tax_minor=-1),)}, "/lines/0"),
        ({"lines": (a_line(unit_price_micro=2**63),)}, "/lines/0/unit_price_micro"),
    ],
    ids=str,
)
async def test_an_impossible_sale_is_refused_field_by_field(shop: Shop, change: dict[str, Any], pointer: str) -> None:
    (outcome,) = await shop.record(replace(shop.a_sale(), **change))
    assert isinstance(outcome, InvalidSaleError)
    assert [finding.pointer for finding in outcome.errors] == [pointer]
    assert await shop.count("sales") == 0


async def test_a_sale_without_lines_is_refused(shop: Shop) -> None:
    (outcome,) = await shop.record(replace(shop.a_sale(), lines=()))
    assert refused([outcome]) == ["invalid_sale"]


async def test_a_sale_of_the_future_is_refused_beyond_the_skew_of_clocks(shop: Shop) -> None:
    soon, late = shop.now + timedelta(minutes=10), shop.now + timedelta(minutes=10, seconds=1)
    outcomes = await shop.record(at(shop.a_sale(), soon), at(shop.a_sale(), late))
    assert refused(outcomes) == [None, "invalid_sale"]


async def test_more_tokens_than_readers_keep_exact_are_refused(engine: AsyncEngine) -> None:
    shop = await make_shop(engine, {"rate": {"tokens": 2**52, "per_minor": 1}})
    outcomes = await shop.record(shop.a_sale(a_line(2)), shop.a_sale(a_line(1)))
    assert refused(outcomes) == ["invalid_sale", None]
    assert await shop.counters() == (2**52, 0, 0, 0)


async def test_a_sale_to_nobody_known_is_recorded_and_earns_nothing(shop: Shop) -> None:
    sale = await shop.sell(a_line(1_000), member=None)
    assert (sale.tokens, sale.entry_id, sale.eligible_minor) == (0, None, 1_000)
    assert (await shop.count("sales"), await shop.count("entries")) == (1, 0)
    view = await shop.view(sale.id)
    assert view is not None
    assert [line.tokens for line in view.lines] == [0]


async def test_a_sale_below_one_token_is_recorded_without_an_entry(shop: Shop) -> None:
    sale = await shop.sell(a_line(99))
    assert (sale.tokens, sale.entry_id) == (0, None)
    assert await shop.count("entries") == 0


async def test_an_unknown_member_is_refused_by_the_database(shop: Shop) -> None:
    with pytest.raises(Exception, match="fk_sales_member_id"):
        await shop.record(replace(shop.a_sale(a_line(0)), member_id="mem_none"))


async def test_nothing_to_record_is_nothing(shop: Shop) -> None:
    assert await shop.record() == []
    assert await shop.record_back() == []


async def test_without_a_programme_there_are_no_sales(shop: Shop) -> None:
    await shop.write("delete from programs")
    with pytest.raises(ConfigurationError):
        await shop.sell()


async def test_sales_side_by_side_under_one_reference_count_once(shop: Shop) -> None:
    """Eight tills send the same receipt at once: one records it, seven hear of it."""
    draft = shop.a_sale(a_line(700))
    outcomes = [outcome for (outcome,) in await asyncio.gather(*(shop.record(draft) for _ in range(8)))]
    sales = [outcome for outcome in outcomes if isinstance(outcome, RecordedSale)]
    assert len(sales) == 8
    assert sum(not sale.duplicate for sale in sales) == 1
    assert len({sale.id for sale in sales}) == 1
    assert await shop.counters() == (7, 0, 0, 0)


async def test_batches_side_by_side_in_opposite_order_do_not_deadlock(shop: Shop) -> None:
    drafts = [shop.a_sale(member=i % 2) for i in range(40)]
    await asyncio.gather(shop.record(*drafts), shop.record(*reversed(drafts)), shop.record(*drafts[10:30]))
    assert await shop.count("sales") == 40
    assert await shop.counters(0) == await shop.counters(1) == (200, 0, 0, 0)


async def test_a_conflicting_twin_that_commits_meanwhile_is_a_conflict(shop: Shop) -> None:
    """The reference is free when the call looks and taken when it writes."""
    draft = shop.a_sale(a_line(700))
    async with transaction(shop.engine) as first:
        await earning.record_sales(first, [draft], shop.now)
        second = asyncio.create_task(shop.record(replace(draft, lines=(a_line(800),)), shop.a_sale()))
        await shop.wait_for_a_waiter()
    assert refused(await second) == ["recorded_otherwise", None]
    assert await shop.counters() == (17, 0, 0, 0)


async def test_a_call_that_fails_leaves_nothing(shop: Shop) -> None:
    draft = shop.a_sale()
    with pytest.raises(RuntimeError, match="power cut"):
        await fail_after_recording(shop, draft)
    assert [await shop.count(table) for table in ("sales", "sale_lines", "entries", "chain_orders")] == [0] * 4
    assert refused(await shop.record(draft)) == [None]


async def fail_after_recording(shop: Shop, draft: earning.SaleDraft) -> None:
    async with transaction(shop.engine) as session:
        await earning.record_sales(session, [draft], shop.now)
        raise RuntimeError("power cut")


async def test_the_return_window_keeps_tokens_pending(shop: Shop) -> None:
    await shop.write("update programs set activation_delay_s = 86400, token_life_days = 30")
    await shop.sell(a_line(1_000))
    await shop.sell(a_line(500), occurred_at=shop.now - 2 * DAY)
    assert await shop.counters() == (5, 10, 0, 0)
    lots = await shop.rows("select tokens, activates_at, expires_at from lots order by tokens")
    assert [(lot.tokens, lot.activates_at, lot.expires_at) for lot in lots] == [
        (5, shop.now, shop.now + 30 * DAY),
        (10, shop.now + DAY, shop.now + 31 * DAY),
    ]


async def test_a_policy_of_dates_and_months_decides_of_lots(shop: Shop) -> None:
    await shop.write(
        'update programs set activation_rule = \'{"mode": "dates", "dates": ["02-01"]}\', expiry_rule ='
        ' \'{"mode": "rolling", "unit": "month", "amount": 1, "round_to": "month"}\''
    )
    await shop.sell(a_line(1_000))
    (lot,) = await shop.rows("select activates_at, expires_at from lots")
    february, april = (datetime(2026, month, 1, tzinfo=ZoneInfo("Europe/Paris")) for month in (2, 4))
    assert (lot.activates_at, lot.expires_at) == (february, april)


def test_a_digest_is_of_the_content_alone(shop: Shop) -> None:
    draft = shop.a_sale(a_line(5), external_id="a")
    assert inputs_digest(draft) == inputs_digest(replace(draft, staff_id="stf_1", external_id="b"))
    assert inputs_digest(draft) != inputs_digest(replace(draft, shipping_minor=1))


async def test_a_sale_is_seen_by_its_own_partner_and_member_only(shop: Shop) -> None:
    sale = await shop.sell()
    mine = {"partner_id": shop.partners[0].id, "member_id": shop.members[0]}
    seen = await shop.view(sale.id, **mine)
    assert seen is not None
    assert (seen.head.id, seen.returns) == (sale.id, [])
    assert await shop.view(sale.id, partner_id=shop.partners[1].id) is None
    assert await shop.view(sale.id, member_id=shop.members[1]) is None
    assert await shop.view("sal_none") is None
