"""Limits and budgets: what they leave, what they count, and that parallel requests never overrun them."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from factories.earning import Shop, a_line
from factories.rules import a_rule, a_sale, fixed, given, judge, merged, refused

DAY = timedelta(days=1)


def test_a_limit_reduces_or_refuses_as_the_rule_states() -> None:
    limit = {"per": "member", "period": "day", "tokens": 15}
    reduce = a_rule(limits=[limit | {"over": "reduce"}])
    refuse = a_rule(limits=[limit | {"over": "refuse"}])
    usage = merged({}, judge(a_sale(), reduce))
    outcome = judge(a_sale(a_line(600), a_line(400)), reduce, usage=usage)
    assert (given(outcome), outcome.line_tokens, outcome.fired[0].computed_tokens) == ({"base": 5}, (3, 2), 10)
    assert refused(judge(a_sale(), reduce, usage=merged(usage, outcome))) == {"base": "limit_reached"}
    assert refused(judge(a_sale(), refuse, usage=usage)) == {"base": "limit_reached"}
    assert given(judge(a_sale(a_line(500)), refuse, usage=usage)) == {"base": 5}


@pytest.mark.parametrize(("per", "code"), [("member", "limit_reached"), ("rule", "budget_exhausted")])
def test_the_end_of_a_budget_has_a_code_of_its_own(per: str, code: str) -> None:
    rule = a_rule(limits=[{"per": per, "period": "month", "tokens": 10}])
    first = judge(a_sale(), rule)
    assert refused(judge(a_sale(), rule, usage=merged({}, first))) == {"base": code}
    assert len(first.dry) == (per == "rule")


def test_a_visit_counts_once_a_day_in_the_programmes_zone() -> None:
    rule = a_rule(award=fixed(1, "visit"))
    evening = a_sale(occurred_at=a_sale().occurred_at + timedelta(hours=12, minutes=30))
    usage = merged({}, judge(a_sale(), rule))
    assert refused(judge(a_sale(), rule, usage=usage)) == {"base": "limit_reached"}
    assert given(judge(evening, rule, usage=usage)) == {"base": 1}, "23:30 in UTC is tomorrow in Paris"


def test_rules_with_a_limit_of_the_programme_draw_on_one_sum() -> None:
    limit = [{"per": "programme", "period": "day", "tokens": 12}]
    rules = [a_rule("a", fixed(8), limits=limit, priority=2), a_rule("b", fixed(8), limits=limit, priority=1)]
    outcome = judge(a_sale(), *rules)
    assert given(outcome) == {"a": 8, "b": 4}
    assert refused(judge(a_sale(), *rules, usage=merged({}, outcome))) == {
        "a": "budget_exhausted",
        "b": "budget_exhausted",
    }


async def counters(shop: Shop) -> dict[tuple[str, str], tuple[int, int, int]]:
    rows = await shop.rows("select rule, period, uses, tokens, seen from earning_counters order by 1, 2")
    return {(row.rule, row.period): (row.uses, row.tokens, row.seen) for row in rows}


def spec(award: dict[str, Any], *limits: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return award | {"limits": list(limits)} | fields


async def test_ten_tills_at_once_give_a_member_three_visits_at_most(shop: Shop) -> None:
    await shop.activate(spec(fixed(5), {"per": "member", "period": "day", "uses": 3}), "visit")
    outcomes = await asyncio.gather(*(shop.sell(a_line(100)) for _ in range(10)))
    assert sorted(len(sale.awards) for sale in outcomes) == [1] * 7 + [2] * 3
    assert await counters(shop) == {("visit", "day"): (3, 15, 0)}
    assert await shop.counters() == (10 + 15, 0, 0, 0)


async def test_a_budget_is_given_out_to_the_last_token_and_says_so_once(shop: Shop) -> None:
    await shop.activate(spec(fixed(7), {"per": "rule", "period": "ever", "tokens": 40}), "promo")
    sales = await asyncio.gather(*(shop.sell(a_line(100), member=i % 2) for i in range(12)))
    given_out = sum(award.tokens for sale in sales for award in sale.awards[1:] or ())
    assert given_out == 40
    assert await counters(shop) == {("promo", "ever"): (6, 40, 0)}
    (event,) = await shop.events("budget.exhausted")
    assert (event.payload["limit_tokens"], event.payload["per"], event.payload["period"]) == (40, "rule", "ever")


async def test_a_new_version_goes_on_counting_where_the_old_one_was(shop: Shop) -> None:
    limit = {"per": "member", "period": "ever", "uses": 1}
    await shop.activate(spec(fixed(5), limit), "welcome")
    assert [award.tokens for award in (await shop.sell()).awards] == [10, 5]
    await shop.activate(spec(fixed(9), limit), "welcome")
    assert [award.tokens for award in (await shop.sell()).awards] == [10]


async def test_a_day_later_there_is_a_new_limit(shop: Shop) -> None:
    await shop.activate(spec(fixed(5, "visit")), "visit")
    tokens = []
    for days in (0, 0, 1):
        shop.now += days * DAY
        tokens.append((await shop.sell(a_line(0))).tokens)
    assert tokens == [5, 0, 5]


async def test_a_batch_counts_its_own_sales(shop: Shop) -> None:
    await shop.activate(spec({"every_nth": {"n": 3, "tokens": 50}}), "tenth")
    outcomes = await shop.record(*(shop.a_sale(a_line(0)) for _ in range(7)))
    assert [outcome.tokens for outcome in outcomes if not isinstance(outcome, Exception)] == [0, 0, 50, 0, 0, 50, 0]
    assert await counters(shop) == {("tenth", "ever"): (2, 100, 7)}


async def test_every_third_purchase_is_paid_once_however_many_come_at_once(shop: Shop) -> None:
    await shop.activate(spec({"every_nth": {"n": 3, "tokens": 50}}), "third")
    sales = await asyncio.gather(*(shop.sell(a_line(0)) for _ in range(10)))
    assert sorted(sale.tokens for sale in sales) == [0] * 7 + [50] * 3


async def test_the_same_sale_twice_counts_once(shop: Shop) -> None:
    await shop.activate(spec({"every_nth": {"n": 2, "tokens": 50}}), "second")
    draft = shop.a_sale(a_line(0))
    await asyncio.gather(*(shop.record(draft, draft) for _ in range(4)))
    assert await counters(shop) == {("second", "ever"): (0, 0, 1)}


async def test_first_purchases_at_once_pay_one_welcome(shop: Shop) -> None:
    await shop.activate(spec(fixed(100), first_only=True), "welcome")
    sales = await asyncio.gather(*(shop.sell(a_line(0)) for _ in range(6)))
    assert sorted(sale.tokens for sale in sales) == [0] * 5 + [100]


async def test_who_bought_before_the_rule_gets_no_welcome(shop: Shop) -> None:
    await shop.sell()
    await shop.activate(spec(fixed(100), first_only=True), "welcome")
    assert (await shop.sell(a_line(0))).tokens == 0
    assert (await shop.sell(a_line(0), member=1)).tokens == 100


async def test_a_sale_that_is_too_large_counts_nothing(shop: Shop) -> None:
    await shop.activate(
        spec({"rate": {"tokens": 2**53 - 1, "per_minor": 1}}, {"per": "rule", "period": "ever", "uses": 9}), "wild"
    )
    await shop.record(shop.a_sale(a_line(2)))
    assert await shop.count("sales") == 0
    assert await counters(shop) == {("wild", "ever"): (0, 0, 0)}


async def test_a_rule_that_is_over_opens_no_counter(shop: Shop) -> None:
    limit = {"per": "rule", "period": "ever", "tokens": 100}
    over = {"window": {"ends_at": shop.now.isoformat()}}
    ahead = {"window": {"starts_at": (shop.now + DAY).isoformat()}}
    await shop.activate(spec(fixed(5), limit, **over), "over")
    await shop.activate(spec(fixed(5), limit, **ahead), "ahead")
    assert (await shop.sell()).tokens == 10
    assert await counters(shop) == {}
    shop.now += DAY
    assert (await shop.sell()).tokens == 15
    assert await counters(shop) == {("ahead", "ever"): (1, 5, 0)}


async def test_a_budget_that_came_back_may_be_given_again_and_is_announced_once(shop: Shop) -> None:
    await shop.activate(spec(fixed(5), {"per": "rule", "period": "ever", "tokens": 5}), "promo")
    first = await shop.sell()
    assert (await shop.sell()).tokens == 10
    await shop.bring_back(first)
    assert (await shop.sell()).tokens == 15
    assert (await shop.sell()).tokens == 10
    assert len(await shop.events("budget.exhausted")) == 1


async def test_a_budget_that_refuses_says_so_when_an_award_does_not_fit(shop: Shop) -> None:
    limit = {"per": "programme", "period": "ever", "tokens": 12, "over": "refuse"}
    await shop.activate(spec({"rate": {"tokens": 1, "per_minor": 100}}, limit), "extra")
    assert (await shop.sell(a_line(1_000))).tokens == 20
    assert (await shop.sell(a_line(1_000))).tokens == 10
    assert (await shop.sell(a_line(200))).tokens == 4
    (event,) = await shop.events("budget.exhausted")
    assert (event.payload["per"], event.payload["limit_tokens"]) == ("programme", 12)
    assert await counters(shop) == {("", "ever"): (2, 12, 0)}
