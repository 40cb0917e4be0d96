"""Sales over several rules: an entry for each, and returns that take back each of them, per line and cumulatively."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from factories.earning import Shop, a_line
from factories.rules import fixed
from mereau.earning.service import RecordedSale

BY_ENTRY = """
    select e.id, e.rule, e.tokens, l.remaining, l.reversed from entries e join lots l on l.entry_id = e.id
    where e.kind = 'issue' order by e.seq
"""


async def furnish(shop: Shop) -> None:
    """Beside the base rule: five for a visit, one per bottle, and double on wine."""
    await shop.activate(fixed(5), "visit")
    await shop.activate(fixed(1, "item") | {"included_skus": ["wine"]}, "bottle")
    await shop.activate({"multiplier": {"percent": 200}, "included_skus": ["wine"]}, "wine-week")


async def given(shop: Shop, sale: RecordedSale) -> dict[str, int]:
    """External id of the rule -> tokens, of a sale's awards."""
    names = {row.id: row.external_id for row in await shop.rows("select id, external_id from earning_rules")}
    return {names[award.rule.partition("@")[0]]: award.tokens for award in sale.awards}


WINE = a_line(2_000, sku="wine", quantity=4)


async def test_each_rule_has_an_entry_and_a_lot_of_its_own(shop: Shop) -> None:
    await furnish(shop)
    sale = await shop.sell(a_line(1_000), WINE)
    assert await given(shop, sale) == {"base": 30, "bottle": 4, "visit": 5, "wine-week": 27}
    assert (sale.tokens, sale.entry_id, sale.rule) == (66, sale.awards[0].entry_id, sale.awards[0].rule)
    rows = await shop.rows(BY_ENTRY)
    assert [(row.id, row.rule, row.tokens) for row in rows] == [
        (award.entry_id, award.rule, award.tokens) for award in sale.awards
    ]
    assert await shop.counters() == (66, 0, 0, 0)
    view = await shop.view(sale.id)
    assert view is not None
    assert (tuple(view.awards), [line.tokens for line in view.lines]) == (sale.awards, [12, 54])


async def test_the_same_sale_again_tells_the_same_awards(shop: Shop) -> None:
    await furnish(shop)
    draft = shop.a_sale(a_line(1_000), WINE)
    (first,) = await shop.record(draft)
    await shop.activate(fixed(99), "visit")
    (again,) = await shop.record(draft)
    assert isinstance(first, RecordedSale)
    assert again == replace(first, duplicate=True)
    assert len(await shop.rows(BY_ENTRY)) == 4


async def test_a_sale_that_one_rule_credits_needs_no_rows_of_its_own(shop: Shop) -> None:
    sale = await shop.sell()
    assert await shop.count("sale_credits") == 0
    view = await shop.view(sale.id)
    assert view is not None
    assert tuple(view.awards) == sale.awards == (replace(sale.awards[0], tokens=10),)


async def test_a_return_takes_from_each_entry_what_its_units_had(shop: Shop) -> None:
    await furnish(shop)
    sale = await shop.sell(a_line(1_000), WINE)
    done = await shop.bring_back(sale, (2, 1))
    assert (done.tokens_due, done.tokens_reversed) == (12, 12)
    assert [row.remaining for row in await shop.rows(BY_ENTRY)] == [25, 3, 5, 21]
    assert await shop.line_counters(sale.id) == [(0, 0), (1, 12)]
    assert await shop.counters() == (54, 0, 0, 0)


async def test_a_full_return_in_parts_takes_back_everything(shop: Shop) -> None:
    await furnish(shop)
    sale = await shop.sell(a_line(1_000, quantity=3), WINE)
    dues = [(await shop.bring_back(sale, part)).tokens_due for part in [(2, 1), (1, 2), (2, 2), (1, 1), (2, 1)]]
    assert sum(dues) == sale.tokens
    assert [(row.remaining, row.reversed) for row in await shop.rows(BY_ENTRY)] == [
        (0, award.tokens) for award in sale.awards
    ]
    assert await shop.counters() == (0, 0, 0, 0)


async def test_pending_credits_are_cancelled_first(shop: Shop) -> None:
    await shop.write("update programs set activation_delay_s = 86400")
    await furnish(shop)
    sale = await shop.sell(a_line(1_000), WINE)
    done = await shop.bring_back(sale, (1, 1), (2, 4))
    assert (done.tokens_due, done.tokens_reversed, done.entry_id) == (66, 66, None)
    assert await shop.counters() == (0, 0, 0, 0)
    assert len(await shop.events("entry.cancelled")) == 4


async def test_what_is_spent_is_forgiven_or_owed_for_all_entries_together(shop: Shop) -> None:
    await shop.write("update programs set return_policy = 'debt'")
    await furnish(shop)
    sale = await shop.sell(a_line(1_000), WINE)
    await shop.mine(*(award.entry_id for award in sale.awards))
    await shop.hold(60)
    done = await shop.bring_back(sale, (1, 1), (2, 4))
    assert (done.tokens_due, done.tokens_reversed) == (66, 6)
    available, _, held, debt = await shop.counters()
    assert (available, held, debt) == (0, 60, 60)


async def counted(shop: Shop) -> dict[str, tuple[int, int, int]]:
    rows = await shop.rows("select rule, uses, tokens, seen from earning_counters")
    return {row.rule: (row.uses, row.tokens, row.seen) for row in rows}


def limited(award: Mapping[str, Any]) -> dict[str, Any]:
    return dict(award) | {"limits": [{"per": "member", "period": "ever", "uses": 3, "tokens": 100}]}


async def test_returns_give_limits_back(shop: Shop) -> None:
    """Tokens as they come back, the use once the whole sale has."""
    await shop.activate(limited(fixed(40)), "promo")
    sale = await shop.sell(a_line(1_000, quantity=2))
    await shop.bring_back(sale, (1, 1))
    assert await counted(shop) == {"promo": (1, 20, 0)}
    await shop.bring_back(sale, (1, 1))
    assert await counted(shop) == {"promo": (0, 0, 0)}


async def test_a_returned_purchase_counts_towards_no_bonus(shop: Shop) -> None:
    await shop.activate({"every_nth": {"n": 3, "tokens": 50}}, "third")
    first, _ = await shop.sell(a_line(0)), await shop.sell(a_line(0))
    await shop.bring_back(first)
    assert (await shop.sell(a_line(0))).tokens == 0
    assert (await shop.sell(a_line(0))).tokens == 50
    assert await counted(shop) == {"third": (1, 50, 3)}


async def test_buying_again_after_a_return_pays_no_second_bonus(shop: Shop) -> None:
    """M3: the third purchase was paid; one of the others goes back and is bought again."""
    await shop.activate({"every_nth": {"n": 3, "tokens": 50}}, "third")
    sales = [await shop.sell(a_line(0)) for _ in range(3)]
    await shop.bring_back(sales[0])
    assert (await shop.sell(a_line(0))).tokens == 0
    assert await counted(shop) == {"third": (1, 50, 3)}


async def test_the_bonus_goes_back_with_the_purchase_that_brought_it(shop: Shop) -> None:
    await shop.activate({"every_nth": {"n": 3, "tokens": 50}}, "third")
    sales = [await shop.sell(a_line(0)) for _ in range(3)]
    done = await shop.bring_back(sales[2])
    assert done.tokens_due == 50
    assert await counted(shop) == {"third": (0, 0, 2)}
    assert (await shop.sell(a_line(0))).tokens == 50


async def test_the_event_of_a_sale_names_every_rule(shop: Shop) -> None:
    await furnish(shop)
    sale = await shop.sell(a_line(1_000), WINE)
    (event,) = await shop.events("sale.recorded")
    assert event.payload["rules"] == [award.rule for award in sale.awards]
    assert event.payload["tokens"] == 66
