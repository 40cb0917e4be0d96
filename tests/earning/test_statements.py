"""The number of statements does not depend on how many sales or returns a call brings."""

import pytest

from factories.earning import Shop, a_line, refused
from factories.statements import counted
from mereau.earning.service import RecordedSale


async def test_sales_take_as_many_statements_by_the_thousand_as_alone(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    await shop.record(shop.a_sale(), shop.a_sale(member=1))
    for size in (1, 500, 2_000):
        drafts = [shop.a_sale(a_line(1_000), a_line(250), member=i % 2) for i in range(size)]
        with counted(monkeypatch) as sent:
            outcomes = await shop.record(*drafts)
        assert refused(outcomes) == [None] * size
        counts.append(len(sent))
    assert counts[0] == counts[1] == counts[2]
    assert 0 < counts[0] < 40


async def test_recorded_sales_are_recognised_in_a_handful_of_statements(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    drafts = [shop.a_sale() for _ in range(500)]
    await shop.record(*drafts)
    with counted(monkeypatch) as sent:
        outcomes = await shop.record(*drafts)
    assert all(isinstance(outcome, RecordedSale) and outcome.duplicate for outcome in outcomes)
    assert len(sent) <= 5


async def test_returns_take_as_many_statements_by_the_hundred_as_alone(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = await shop.record(*(shop.a_sale(a_line(1_000, quantity=2)) for _ in range(301)))
    sales = [outcome for outcome in outcomes if isinstance(outcome, RecordedSale)]
    counts = []
    for part in (sales[:1], sales[1:]):
        drafts = [shop.a_return(sale, (1, 1)) for sale in part]
        with counted(monkeypatch) as sent:
            assert refused(await shop.record_back(*drafts)) == [None] * len(part)
        counts.append(len(sent))
    assert counts[0] == counts[1]
    assert await shop.counters() == (301 * 5, 0, 0, 0)


async def test_a_plain_sale_asks_for_nothing_that_no_rule_needs(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await shop.record(shop.a_sale())
    with counted(monkeypatch) as sent:
        await shop.record(shop.a_sale())
    told = " ".join(sent)
    for table in ("earning_counters", "earning_steps", "sale_credits", "tier_standings", "segment_members"):
        assert table not in told
    assert sum("earning_rules" in statement for statement in sent) == 1


async def test_rules_without_limits_cost_one_statement_for_their_shares(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.record(shop.a_sale())
    with counted(monkeypatch) as plain:
        await shop.record(shop.a_sale())
    for number in range(5):
        await shop.activate({"fixed": {"tokens": 1 + number}}, f"bonus-{number}")
    await shop.record(shop.a_sale())
    with counted(monkeypatch) as several:
        await shop.record(shop.a_sale())
    assert len(several) == len(plain) + 1


async def test_limited_sales_take_as_many_statements_by_the_hundred_as_alone(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = [{"per": "member", "period": "day", "tokens": 10**6}, {"per": "rule", "period": "ever", "tokens": 10**9}]
    await shop.activate({"fixed": {"tokens": 1}, "limits": limits}, "visit")
    await shop.activate({"every_nth": {"n": 2, "tokens": 5}}, "second")
    await shop.activate({"fixed": {"tokens": 50}, "first_only": True}, "welcome")
    await shop.record(shop.a_sale(), shop.a_sale(member=1))
    counts = []
    for size in (2, 300):
        drafts = [shop.a_sale(member=i % 2) for i in range(size)]
        with counted(monkeypatch) as sent:
            assert refused(await shop.record(*drafts)) == [None] * size
        counts.append(len(sent))
    assert counts[0] == counts[1]
