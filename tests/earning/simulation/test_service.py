"""Dry runs beside what happens: the same tokens, the same lives, nothing written and nobody kept waiting."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from factories.earning import Shop, a_line
from factories.refusals import refused
from factories.rules import fixed
from mereau.core.db import snapshot, transaction
from mereau.core.errors import NotFoundError
from mereau.earning import service as earning
from mereau.earning.crediting.service import award
from mereau.earning.errors import NoActiveRuleError
from mereau.earning.evaluation.facts.domain import MemberFacts, Occasion
from mereau.earning.simulation import service
from mereau.earning.simulation.service import Simulated, Trial
from mereau.sales.domain import SaleDraft

RATE: Mapping[str, Any] = {"rate": {"tokens": 2, "per_minor": 100}}
RULES: Mapping[str, Mapping[str, Any]] = {
    "rate": RATE,
    "nth": {"every_nth": {"n": 2, "tokens": 9}},
    "visit": fixed(5, "visit"),
    "welcome": fixed(50) | {"first_only": True},
    "cel": {"amount": "amount_minor / 300 + items"},
    "capped": fixed(40) | {"limits": [{"per": "member", "period": "day", "tokens": 60}]},
    "refusing": fixed(40) | {"limits": [{"per": "rule", "period": "ever", "tokens": 60, "over": "refuse"}]},
    "budget": fixed(7) | {"limits": [{"per": "programme", "period": "month", "tokens": 10}]},
    "double": {"multiplier": {"percent": 200}, "included_skus": ["bread"]},
    "later": fixed(3) | {"activation": {"mode": "delay", "delay_s": 3_600}},
    "mortal": fixed(3) | {"expiry": {"mode": "rolling", "unit": "month", "amount": 12}},
    "best": fixed(4) | {"stacking": "best_of", "stacking_group": "spring"},
    "better": fixed(6) | {"stacking": "best_of", "stacking_group": "spring"},
    "sundays": fixed(1) | {"window": {"weekdays": ["sun"]}},
}


def occasion_of(draft: SaleDraft) -> Occasion:
    return Occasion("sale", draft.occurred_at, None, partner_id=draft.partner_id, lines=draft.lines)


async def simulate(shop: Shop, occasion: Occasion, **options: Any) -> Simulated:
    async with snapshot(shop.engine) as session:
        return await service.simulate(session, occasion, shop.now, **options)


async def contents(shop: Shop) -> list[int]:
    names = [row.tablename for row in await shop.rows("select tablename from pg_tables where schemaname = 'public'")]
    return [await shop.count(name) for name in sorted(names)]


def told(done: Simulated) -> list[tuple[str, int, Any, Any]]:
    """(rule, tokens, when they are spendable, when they expire) of what fires."""
    return [
        (fired.rule.reference, credit.tokens, credit.activates_at, credit.expires_at)
        for fired, credit in zip(done.outcome.fired, done.credits, strict=True)
    ]


async def happened(shop: Shop, source_id: str) -> list[tuple[str, int, Any, Any]]:
    rows = await shop.rows(
        "select entries.rule, entries.tokens, lots.activates_at, lots.expires_at"
        " from entries join lots on entry_id = entries.id where source_id = :id order by entries.id",
        id=source_id,
    )
    return [tuple(row) for row in rows]


async def test_what_was_told_happens_purchase_after_purchase(shop: Shop) -> None:
    """Every kind of rule, used up little by little; each purchase is tried twice before it is made."""
    for name, spec in RULES.items():
        await shop.activate(spec, name)
    for number in range(4):
        draft = shop.a_sale(a_line(1_000), a_line(700, sku="wine", quantity=2), member=number % 2)
        before = await contents(shop)
        first, again = [await simulate(shop, occasion_of(draft), member_id=draft.member_id) for _ in range(2)]
        assert told(first) == told(again)
        assert await contents(shop) == before
        (sale,) = await shop.record(draft)
        assert isinstance(sale, earning.RecordedSale)
        assert told(first) == await happened(shop, sale.id)
        assert (first.outcome.tokens, first.outcome.eligible_minor) == (sale.tokens, sale.eligible_minor)
        skipped = {one.rule.external_id for one in first.outcome.skipped}
        fired = {one.rule.external_id for one in first.outcome.fired}
        assert skipped | fired == {*RULES, "base"}
        assert not skipped & fired


async def test_an_occasion_is_tried_as_it_is_awarded(shop: Shop) -> None:
    issuer = shop.partners[1].id
    visits = {"limits": [{"per": "member", "period": "week", "uses": 1}]}
    await shop.activate(fixed(7) | {"trigger": "custom_event", "issuer_partner_id": issuer} | visits, "visit")
    occasion = Occasion(
        "custom_event", shop.now, MemberFacts(shop.members[0]), source_id="act_1", source_reference="17",
        attributes={"event": "visit"},
    )  # fmt: skip
    for tokens in (7, 0):
        tried = await simulate(shop, replace(occasion, member=None), member_id=shop.members[0])
        assert [credit.partner_id for credit in tried.credits] == [issuer] * bool(tokens)
        async with transaction(shop.engine) as session:
            (done,) = await award(session, [replace(occasion, source_id=f"act_{tokens}")], shop.now)
        assert (tried.outcome.tokens, done.tokens) == (tokens, tokens)


@pytest.mark.parametrize(
    ("at", "tokens"),
    [
        (datetime(2026, 1, 4, 22, 59, tzinfo=UTC), 10),
        (datetime(2026, 1, 4, 23, 0, tzinfo=UTC), 0),
        (datetime(2026, 1, 11, 12, 0, tzinfo=UTC), 10),
    ],
    ids=str,
)
async def test_a_rule_is_tried_at_any_time(shop: Shop, at: datetime, tokens: int) -> None:
    """Also one that is yet to come: Sunday is the programme's."""
    trial = Trial("base", {"rate": {"tokens": 1, "per_minor": 100}, "window": {"weekdays": ["sun"]}})
    draft = shop.a_sale(a_line(1_000), occurred_at=at)
    assert (await simulate(shop, occasion_of(draft), trial=trial)).outcome.tokens == tokens


async def test_nobody_waits_for_a_dry_run_and_it_waits_for_nobody(shop: Shop) -> None:
    await shop.activate(RULES["budget"], "budget")
    draft = shop.a_sale(a_line(1_000))
    async with transaction(shop.engine) as session:
        await earning.record_sales(session, [shop.a_sale(a_line(1_000))], shop.now)
        # The counter is locked and its change is not committed: the dry run sees what stood there before.
        assert (await simulate(shop, occasion_of(draft), member_id=draft.member_id)).outcome.tokens == 17
    assert (await simulate(shop, occasion_of(draft), member_id=draft.member_id)).outcome.tokens == 13


async def test_a_newcomer_has_used_nothing(shop: Shop) -> None:
    await shop.activate(RULES["visit"], "visit")
    await shop.activate(RULES["welcome"], "welcome")
    await shop.sell(a_line(1_000))
    sale = occasion_of(shop.a_sale(a_line(1_000)))
    assert (await simulate(shop, sale)).outcome.tokens == 65
    assert (await simulate(shop, sale, member_id=shop.members[0])).outcome.tokens == 10


@pytest.mark.parametrize(
    ("spec", "pointer"),
    [
        ({}, "/rule/rate"),
        ({**RATE, "basis": "gross"}, "/rule/basis"),
        ({**RATE, "limits": [{"per": "member", "period": "day"}]}, "/rule/limits/0"),
        ({**RATE, "condition": "moon"}, "/rule/condition"),
        ({**RATE, "audience": {"segments": ["none"]}}, "/rule/audience/segments"),
        ({**RATE, "audience": {"partners": ["par_none"]}}, "/rule/audience/partners"),
        ({**RATE, "audience": {"locations": ["loc_none"]}}, "/rule/audience/locations"),
        ({**RATE, "issuer_partner_id": f"par_{'0' * 26}"}, "/rule/issuer_partner_id"),
        ({**fixed(1), "trigger": "birthday"}, "/rule/trigger"),
    ],
    ids=str,
)
async def test_what_is_wrong_with_a_tried_rule_is_pointed_at(shop: Shop, spec: dict[str, Any], pointer: str) -> None:
    tried = simulate(shop, occasion_of(shop.a_sale()), trial=Trial("new", spec))
    assert [place for place, _ in await refused(tried)] == [pointer]


async def test_what_is_not_there_cannot_be_tried(shop: Shop) -> None:
    sale = occasion_of(shop.a_sale())
    with pytest.raises(NotFoundError):
        await simulate(shop, sale, rule_id="rul_none")
    with pytest.raises(NoActiveRuleError):
        await simulate(shop, replace(sale, trigger="birthday", lines=()))
    async with snapshot(shop.engine) as session:
        for names in ((shop.members[0], None), (None, "M0")):
            assert await service.find_member(session, *names) == shop.members[0]
        for names in (("mem_none", None), (None, "none")):
            assert await refused(service.find_member(session, *names)) == [("/member", "unknown")]


async def test_a_version_that_was_retired_may_be_tried_again(shop: Shop) -> None:
    await shop.activate({"rate": {"tokens": 5, "per_minor": 100}})
    (first, second) = await shop.rows("select id, status from earning_rules order by version")
    assert (first.status, second.status) == ("inactive", "active")
    sale = occasion_of(shop.a_sale(a_line(1_000)))
    assert [(await simulate(shop, sale, rule_id=row.id)).outcome.tokens for row in (first, second)] == [10, 50]
    shop.now += timedelta(days=1)
    assert (await simulate(shop, sale)).outcome.tokens == 50
