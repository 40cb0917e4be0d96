"""Sales as they are read back: whose they are, who has bought, and what was kept of them."""

import random
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.earning import Shop, a_line, make_shop
from factories.rules import fixed
from mereau.core.amounts import MAX_AMOUNT_MINOR
from mereau.core.db import snapshot
from mereau.sales import queries
from mereau.sales.models import SaleLine
from mereau.sales.repository import awards_of


@pytest.fixture
async def shop(engine: AsyncEngine) -> Shop:
    return await make_shop(engine)


async def ask(shop: Shop, query: Any, *args: Any, **options: Any) -> Any:
    async with snapshot(shop.engine) as session:
        return await query(session, *args, **options)


async def kept(shop: Shop, sale_id: str) -> list[int]:
    """What was kept of each line, in minor units."""
    query = select(queries.kept_minor()).where(SaleLine.sale_id == sale_id).order_by(SaleLine.line_number)
    async with snapshot(shop.engine) as session:
        return list(await session.scalars(query))


@pytest.mark.parametrize("most", [50, MAX_AMOUNT_MINOR // 40])
async def test_what_is_kept_is_worked_out_as_on_paper(shop: Shop, most: int) -> None:
    """Whatever fits the columns: no product on the way may leave its type, or a report would fail for good."""
    chance = random.Random(most)
    lines = [
        a_line(chance.randint(0, most), discount_minor=chance.randint(0, most), quantity=chance.randint(1, most))
        for _ in range(30)
    ]
    sale = await shop.sell(*lines)
    back = [chance.choice([0, 1, line.quantity, chance.randint(0, line.quantity)]) for line in lines]
    await shop.bring_back(sale, *((number, units) for number, units in enumerate(back, 1) if units))
    paid = [line.amount_minor - line.discount_minor for line in lines]
    assert await kept(shop, sale.id) == [
        amount * (line.quantity - units) // line.quantity
        for amount, line, units in zip(paid, lines, back, strict=True)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("partner", "member", "is_seen"),
    [
        (None, None, True),
        (0, None, True),
        (1, None, False),
        (None, 0, True),
        (None, 1, False),
        (0, 1, False),
        (1, 0, False),
    ],
)
async def test_a_sale_is_its_partners_and_its_members(
    shop: Shop, partner: int | None, member: int | None, *, is_seen: bool
) -> None:
    sale = await shop.sell()
    partner_id = None if partner is None else shop.partners[partner].id
    member_id = None if member is None else shop.members[member]
    seen = await ask(shop, queries.sale_view, sale.id, partner_id=partner_id, member_id=member_id)
    assert (seen is not None) is is_seen
    if member is None:
        assert (await ask(shop, queries.find_sale, sale.id, partner_id) is not None) is is_seen


async def test_a_sale_of_nobody_known_is_no_members(shop: Shop) -> None:
    sale = await shop.sell(member=None)
    assert await ask(shop, queries.sale_view, sale.id, member_id=shop.members[0]) is None
    assert await ask(shop, queries.sale_view, sale.id) is not None


async def test_who_has_bought_is_known_for_many_at_once(shop: Shop) -> None:
    await shop.sell(member=1)
    await shop.sell(member=1)
    await shop.sell(member=None)
    assert await ask(shop, queries.buyers, [*shop.members, "mem_none"]) == {shop.members[1]}
    assert await ask(shop, queries.buyers, []) == frozenset()


async def test_awards_are_told_in_the_order_in_which_their_rules_fired(shop: Shop) -> None:
    """One award stands in the sale itself; of several each has its rows, and lines without a share have none."""
    one = await shop.sell(a_line(1_000))
    await shop.activate(fixed(7) | {"included_skus": ["cake"]}, "cake")
    several = await shop.sell(a_line(1_000), a_line(300, sku="cake"))
    awards = (await ask(shop, queries.sale_view, several.id)).awards
    assert [award.tokens for award in awards] == [13, 7]
    assert awards == several.awards
    found = await ask(shop, awards_of, [one.id, several.id, "sal_none"])
    assert found == {several.id: several.awards}
    assert (await ask(shop, queries.sale_view, one.id)).awards == one.awards
    rows = await shop.rows("select line_number, tokens from sale_credits order by entry_id, line_number")
    assert sorted(map(tuple, rows)) == [(1, 10), (2, 3), (2, 7)]


async def test_what_earned_nothing_has_no_award(shop: Shop) -> None:
    sale = await shop.sell(a_line(99))
    seen = await ask(shop, queries.sale_view, sale.id)
    assert (seen.awards, seen.head.entry_id, seen.head.tokens) == ((), None, 0)


async def test_returns_are_seen_with_their_lines_the_oldest_first(shop: Shop) -> None:
    sale = await shop.sell(a_line(1_000, quantity=4), a_line(500, sku="cake", quantity=2))
    other = await shop.sell(a_line(1_000))
    for lines in (((2, 1), (1, 1)), ((1, 2),), ((2, 1),)):
        await shop.bring_back(sale, *lines)
        shop.now += timedelta(seconds=1)
    await shop.bring_back(other, (1, 1))
    view = await ask(shop, queries.sale_view, sale.id)
    units = [[(line.line_number, line.quantity) for line in back.lines] for back in view.returns]
    assert units == [[(1, 1), (2, 1)], [(1, 2)], [(2, 1)]]
    assert [line.returned_quantity for line in view.lines] == [3, 2]
    assert sum(back.head.tokens_due for back in view.returns) == sum(line.reversed_tokens for line in view.lines)
