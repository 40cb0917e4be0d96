"""Recording returns: per line and cumulatively, through the ledger, never more than was sold."""

import asyncio
import random
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.earning import Shop, a_line, make_shop, refused
from mereau.core.db import transaction
from mereau.earning import service as earning
from mereau.earning.errors import RecordedOtherwiseError
from mereau.sales.errors import InvalidSaleError, OverReturnError
from mereau.sales.returns.domain import OpenLine, RecordedReturn, inputs_digest, merged

DAY = timedelta(days=1)


async def test_a_return_takes_back_what_its_units_had_earned(shop: Shop) -> None:
    sale = await shop.sell(a_line(1_000, quantity=3), a_line(550, quantity=1))
    done = await shop.bring_back(sale, (1, 2), staff_id="stf_9")
    assert (done.tokens_due, done.tokens_reversed, done.duplicate) == (6, 6, False)
    assert await shop.line_counters(sale.id) == [(2, 6), (0, 0)]
    assert await shop.counters() == (9, 0, 0, 0)
    (entry,) = await shop.rows("select * from entries where kind = 'reverse'")
    assert (entry.id, entry.tokens, entry.source_id) == (done.entry_id, 6, done.id)
    assert (entry.source_reference, entry.reason_code) == (done.external_id, "return")
    assert (entry.staff_id, entry.rule) == ("stf_9", sale.rule)


async def test_a_return_is_written_down_and_announced(shop: Shop) -> None:
    sale = await shop.sell()
    done = await shop.bring_back(sale)
    (act,) = await shop.rows("select * from journal_entries where subject_id = :id", id=done.id)
    assert (act.action, act.actor) == ("return.recorded", f"partner:{sale.partner_id}")
    (event,) = await shop.events("return.recorded")
    assert (event.subject_id, event.payload["sale_id"], event.payload["tokens_due"]) == (done.id, sale.id, 10)


async def test_units_that_come_back_one_by_one_end_where_all_at_once_does(shop: Shop) -> None:
    """Seven tokens on three units: 2, then 2, then 3."""
    one_by_one = await shop.sell(a_line(700, quantity=3))
    dues = [(await shop.bring_back(one_by_one, (1, 1))).tokens_due for _ in range(3)]
    at_once = await shop.sell(a_line(700, quantity=3))
    done = await shop.bring_back(at_once, (1, 3))
    assert (dues, done.tokens_due) == ([2, 2, 3], 7)
    assert await shop.counters() == (0, 0, 0, 0)


@settings(max_examples=20)
@given(st.data())
async def test_partial_returns_in_any_order_reverse_every_token_once(engine: AsyncEngine, data: st.DataObject) -> None:
    shop = await world_of(engine)
    quantities = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    amounts = data.draw(st.lists(st.integers(0, 3_000), min_size=len(quantities), max_size=len(quantities)))
    sale = await shop.sell(*(a_line(a, quantity=q) for a, q in zip(amounts, quantities, strict=True)))
    before = (await shop.counters())[0]
    units = [number for number, quantity in enumerate(quantities, 1) for _ in range(quantity)]
    random.Random(data.draw(st.integers(0, 10**6))).shuffle(units)
    cut = data.draw(st.integers(0, len(units)))
    drafts = [shop.a_return(sale, *((number, 1) for number in part)) for part in (units[:cut], units[cut:]) if part]
    outcomes = await shop.record_back(*drafts)
    assert sum(outcome.tokens_due for outcome in outcomes if isinstance(outcome, RecordedReturn)) == sale.tokens
    assert (await shop.counters())[0] == before - sale.tokens
    over = await shop.record_back(shop.a_return(sale, (1, 1)))
    assert refused(over) == ["over_return"]


async def world_of(engine: AsyncEngine) -> Shop:
    """One world for all examples of a property: making a programme twice is refused."""
    async with engine.connect() as connection:
        exists = (await connection.exec_driver_sql("select 1 from programs")).first()
    if not exists:
        return await make_shop(engine)
    known = Shop(engine)
    known.partners = list(await known.rows("select * from partners order by number"))
    known.members = [row.id for row in await known.rows("select id from members order by external_id")]
    taken = await known.rows("select count(*) + 1 from sales")
    known.numbers = iter(range(1_000 * int(taken[0][0]), 10**9))
    return known


async def test_the_same_return_again_is_the_recorded_one(shop: Shop) -> None:
    sale = await shop.sell(a_line(1_000, quantity=2))
    draft = shop.a_return(sale, (1, 1))
    (first,) = await shop.record_back(draft)
    (again,) = await shop.record_back(replace(draft, staff_id="stf_2"))
    assert isinstance(first, RecordedReturn)
    assert again == replace(first, duplicate=True)
    assert await shop.line_counters(sale.id) == [(1, 5)]
    assert await shop.counters() == (5, 0, 0, 0)


async def test_the_same_return_is_known_even_when_every_unit_is_back(shop: Shop) -> None:
    sale = await shop.sell()
    draft = shop.a_return(sale)
    await shop.record_back(draft)
    assert refused(await shop.record_back(draft)) == [None]


async def test_a_taken_reference_with_other_lines_is_a_conflict(shop: Shop) -> None:
    sale = await shop.sell(a_line(1_000, quantity=3))
    draft = shop.a_return(sale, (1, 1))
    await shop.record_back(draft)
    (outcome,) = await shop.record_back(replace(draft, lines=((1, 2),)))
    assert isinstance(outcome, RecordedOtherwiseError)
    assert await shop.line_counters(sale.id) == [(1, 3)]


async def test_one_document_may_touch_several_sales(shop: Shop) -> None:
    sales = [await shop.sell(), await shop.sell()]
    outcomes = await shop.record_back(*(shop.a_return(sale, external_id="slip") for sale in sales))
    assert refused(outcomes) == [None, None]
    async with transaction(shop.engine) as session:
        found = await earning.recorded_references(session, shop.partners[0].id, ["slip", "other"])
        assert found == {"slip"}
        assert await earning.recorded_references(session, shop.partners[1].id, ["slip"]) == set()


async def test_several_returns_of_one_sale_in_one_call_add_up(shop: Shop) -> None:
    sale = await shop.sell(a_line(1_000, quantity=3))
    outcomes = await shop.record_back(*(shop.a_return(sale, (1, 1)) for _ in range(4)))
    assert refused(outcomes) == [None, None, None, "over_return"]
    assert [o.tokens_due for o in outcomes if isinstance(o, RecordedReturn)] == [3, 3, 4]
    assert await shop.counters() == (0, 0, 0, 0)


async def test_a_return_twice_in_one_call_counts_once(shop: Shop) -> None:
    sale = await shop.sell(a_line(1_000, quantity=3))
    draft = shop.a_return(sale, (1, 1))
    first, again, other = await shop.record_back(draft, draft, replace(draft, lines=((1, 2),)))
    assert isinstance(first, RecordedReturn)
    assert again == replace(first, duplicate=True)
    assert isinstance(other, RecordedOtherwiseError)
    assert await shop.line_counters(sale.id) == [(1, 3)]


async def test_more_units_than_were_sold_are_refused_clearly(shop: Shop) -> None:
    sale = await shop.sell(a_line(1_000, quantity=3), a_line(500))
    await shop.bring_back(sale, (1, 2))
    (outcome,) = await shop.record_back(shop.a_return(sale, (1, 2), (2, 1)))
    assert isinstance(outcome, OverReturnError)
    assert "line 1: 2 units come back, 1 of 3 are still out" in outcome.detail
    assert (outcome.status, outcome.code) == (409, "over_return")
    assert await shop.line_counters(sale.id) == [(2, 6), (0, 0)], "a refused return changes nothing"


async def test_a_line_named_twice_is_summed_before_it_is_judged(shop: Shop) -> None:
    sale = await shop.sell(a_line(1_000, quantity=3))
    (over,) = await shop.record_back(shop.a_return(sale, (1, 2), (1, 2)))
    assert refused([over]) == ["over_return"]
    await shop.bring_back(sale, (1, 2), (1, 1))
    assert await shop.line_counters(sale.id) == [(3, 10)]


@pytest.mark.parametrize("lines", [((7, 1),), ((0, 1),), ((1, 0),), ((1, -1),), ((1, 2**53),)], ids=str)
async def test_an_impossible_line_is_refused(shop: Shop, lines: tuple[tuple[int, int], ...]) -> None:
    sale = await shop.sell()
    (outcome,) = await shop.record_back(shop.a_return(sale, *lines))
    assert isinstance(outcome, InvalidSaleError)
    assert await shop.count("returns") == 0


async def test_an_impossible_document_is_refused(shop: Shop) -> None:
    sale = await shop.sell()
    draft = shop.a_return(sale)
    outcomes = await shop.record_back(
        replace(draft, lines=()),
        replace(draft, external_id=""),
        replace(draft, external_id="x" * 256),
        replace(draft, occurred_at=shop.now + DAY),
    )
    assert refused(outcomes) == ["invalid_sale"] * 4


async def test_another_partners_sale_is_not_found(shop: Shop) -> None:
    sale = await shop.sell()
    stranger = shop.partners[1].id
    outcomes = await shop.record_back(
        shop.a_return(sale, partner_id=stranger), shop.a_return(replace(sale, id="sal_none")), shop.a_return(sale)
    )
    assert refused(outcomes) == ["not_found", "not_found", None]


async def test_a_sale_that_earned_nothing_comes_back_without_an_entry(shop: Shop) -> None:
    sales = [await shop.sell(a_line(50)), await shop.sell(a_line(5_000), member=None)]
    for sale in sales:
        done = await shop.bring_back(sale)
        assert (done.tokens_due, done.tokens_reversed, done.entry_id) == (0, 0, None)
    assert await shop.count("entries") == 0
    assert await shop.count("return_lines") == 2


async def test_pending_tokens_are_cancelled_before_they_reach_the_chain(shop: Shop) -> None:
    await shop.write("update programs set activation_delay_s = 86400")
    sale = await shop.sell(a_line(1_000, quantity=2))
    done = await shop.bring_back(sale, (1, 1))
    assert (done.tokens_due, done.tokens_reversed, done.entry_id) == (5, 5, None)
    assert await shop.counters() == (0, 5, 0, 0)
    assert await shop.count("chain_orders") == 0


@pytest.mark.parametrize(("policy", "debt"), [("clamp", 0), ("debt", 7)])
async def test_spent_tokens_are_forgiven_or_owed(engine: AsyncEngine, policy: str, debt: int) -> None:
    """M3: buy, earn, redeem, return the goods."""
    shop = await make_shop(engine, return_policy=policy)
    sale = await shop.sell(a_line(1_000))
    await shop.hold(7)
    done = await shop.bring_back(sale)
    assert (done.tokens_due, done.tokens_reversed) == (10, 3)
    assert await shop.counters() == (0, 0, 7, debt)


async def test_returns_side_by_side_never_exceed_the_sale(shop: Shop) -> None:
    sale = await shop.sell(a_line(1_000, quantity=5))
    results = await asyncio.gather(*(shop.record_back(shop.a_return(sale, (1, 2))) for _ in range(6)))
    codes = [refused(outcomes)[0] for outcomes in results]
    assert (codes.count(None), codes.count("over_return")) == (2, 4)
    assert await shop.line_counters(sale.id) == [(4, 8)]
    assert await shop.counters() == (2, 0, 0, 0)


async def test_one_return_sent_by_many_at_once_counts_once(shop: Shop) -> None:
    sale = await shop.sell(a_line(1_000, quantity=5))
    draft = shop.a_return(sale, (1, 1))
    results = await asyncio.gather(*(shop.record_back(draft) for _ in range(6)))
    done = [outcome for (outcome,) in results if isinstance(outcome, RecordedReturn)]
    assert sum(not outcome.duplicate for outcome in done) == 1
    assert await shop.line_counters(sale.id) == [(1, 2)]


async def test_the_database_itself_refuses_more_units_than_were_sold(shop: Shop) -> None:
    await shop.sell()
    for column in ("returned_quantity = 2", "reversed_tokens = 11"):
        with pytest.raises(Exception, match="ck_sale_lines"):
            await shop.write(f"update sale_lines set {column}")


async def test_a_sale_shows_its_returns_oldest_first(shop: Shop) -> None:
    sale = await shop.sell(a_line(1_000, quantity=3), a_line(500))
    first = await shop.bring_back(sale, (1, 1), (2, 1))
    shop.now += DAY
    second = await shop.bring_back(sale, (1, 1))
    view = await shop.view(sale.id)
    assert view is not None
    assert [item.head.id for item in view.returns] == [first.id, second.id]
    assert [[(line.line_number, line.quantity, line.tokens) for line in item.lines] for item in view.returns] == [
        [(1, 1, 3), (2, 1, 5)],
        [(1, 1, 3)],
    ]


async def test_candidates_are_open_lines_of_the_key_latest_first(shop: Shop) -> None:
    price = {"unit_price_micro": 2_550_000, "quantity": 4}
    old = await shop.sell(a_line(1_020, **price), a_line(1_020, **price), occurred_at=shop.now - 2 * DAY)
    new = await shop.sell(a_line(1_020, **price), occurred_at=shop.now - DAY)
    await shop.sell(a_line(1_020, unit_price_micro=2_560_000, quantity=4))
    await shop.sell(a_line(1_020, sku="wine", **price))
    await shop.sell(a_line(1_020, **price), member=1)
    await shop.sell(a_line(1_020, **price), partner=1)
    gone = await shop.sell(a_line(1_020, **price))
    await shop.bring_back(gone, (1, 4))
    await shop.bring_back(old, (2, 3))
    key = (shop.members[0], "bread", 2_550_000)
    async with transaction(shop.engine) as session:
        found = await earning.match_candidates(session, shop.partners[0].id, [key, key])
    assert [(line.sale_id, line.line_number, line.open_quantity) for line in found] == [
        (new.id, 1, 4),
        (old.id, 2, 1),
        (old.id, 1, 4),
    ]
    assert {line.sale_external_id for line in found} == {old.external_id, new.external_id}


async def test_candidates_wait_for_a_return_that_runs(shop: Shop) -> None:
    sale = await shop.sell(a_line(1_000, unit_price_micro=5, quantity=3))
    key = (shop.members[0], "bread", 5)

    async def candidates() -> list[earning.Candidate]:
        async with transaction(shop.engine) as session:
            return await earning.match_candidates(session, shop.partners[0].id, [key])

    async with transaction(shop.engine) as running:
        await earning.record_returns(running, [shop.a_return(sale, (1, 2))], shop.now)
        waiting = asyncio.create_task(candidates())
        await shop.wait_for_a_waiter()
    assert [line.open_quantity for line in await waiting] == [1]


def test_an_open_line_gives_back_the_floor_of_its_share() -> None:
    line = OpenLine(quantity=3, tokens=7, returned_quantity=0, reversed_tokens=0)
    assert [line.take_back(1), line.take_back(2)] == [2, 5]


def test_lines_are_merged_by_number() -> None:
    assert list(merged([(2, 1), (1, 1), (2, 3)]).items()) == [(1, 1), (2, 4)]


async def test_a_digest_does_not_depend_on_the_order_of_lines(shop: Shop) -> None:
    sale = await shop.sell()
    draft = shop.a_return(sale, (1, 1), (2, 5))
    assert inputs_digest(draft) == inputs_digest(replace(draft, lines=((2, 4), (1, 1), (2, 1))))
    assert inputs_digest(draft) != inputs_digest(replace(draft, lines=((1, 1), (2, 4))))
