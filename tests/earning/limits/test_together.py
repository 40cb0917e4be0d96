"""Sales and returns at once under limits: nothing is lost, nothing is counted twice, nobody waits for ever."""

import asyncio
import random

import pytest

from factories.earning import Shop, a_line
from mereau.earning.service import RecordedSale

LIMITS = [
    {"per": "member", "period": "ever", "tokens": 400},
    {"per": "rule", "period": "ever", "tokens": 600},
    {"per": "programme", "period": "ever", "tokens": 900},
]


async def furnish(shop: Shop) -> None:
    await shop.activate({"fixed": {"tokens": 20}, "limits": LIMITS}, "promo")
    await shop.activate({"fixed": {"tokens": 10, "per": "item"}, "limits": LIMITS[2:]}, "item")
    await shop.activate({"every_nth": {"n": 4, "tokens": 25}}, "fourth")


async def expected(shop: Shop) -> dict[str, int]:
    """Tokens by rule that the lots say are given and not taken back."""
    rows = await shop.rows("""
        select r.external_id, sum(l.tokens - l.reversed) as tokens from lots l join entries e on e.id = l.entry_id
        join earning_rules r on e.rule = r.id || '@' || r.version group by 1
    """)
    return {row.external_id: int(row.tokens) for row in rows}


async def check(shop: Shop) -> None:
    given = await expected(shop)
    rows = await shop.rows("select rule, member_id, tokens, seen, uses from earning_counters")
    by_rule: dict[str, int] = {}
    for row in rows:
        if row.member_id or not row.rule:
            by_rule[row.rule] = by_rule.get(row.rule, 0) + row.tokens
        assert row.member_id == "" or row.rule != "promo" or row.tokens <= 400
    assert by_rule.get("promo", 0) == given.get("promo", 0) <= 600
    assert by_rule.get("", 0) == given.get("promo", 0) + given.get("item", 0) <= 900
    assert by_rule.get("fourth", 0) == given.get("fourth", 0)
    out = await shop.rows("select count(distinct sale_id) from sale_lines where returned_quantity < quantity")
    assert sum(row.seen for row in rows if row.rule == "fourth") == out[0][0]


@pytest.mark.parametrize("seed", [1, 2])
async def test_sales_and_returns_at_once_leave_exact_counters(shop: Shop, seed: int) -> None:
    await furnish(shop)
    chance = random.Random(seed)
    sold: list[RecordedSale] = []

    async def till(number: int) -> None:
        for _ in range(4):
            if sold and chance.random() < 0.4:
                await shop.bring_back(sold.pop(chance.randrange(len(sold))), (1, chance.randint(1, 2)))
            else:
                sold.append(await shop.sell(a_line(chance.choice([0, 150]), quantity=2), member=number % 2))

    await asyncio.gather(*(till(number) for number in range(6)))
    await check(shop)


async def test_batches_in_opposite_order_do_not_deadlock_on_their_counters(shop: Shop) -> None:
    await furnish(shop)
    drafts = [shop.a_sale(a_line(0), member=i % 2) for i in range(30)]
    await asyncio.gather(shop.record(*drafts), shop.record(*reversed(drafts)), shop.record(*drafts[10:20]))
    assert await shop.count("sales") == 30
    await check(shop)
