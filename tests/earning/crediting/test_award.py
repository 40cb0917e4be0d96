"""Occasions that are no sales: judged once each, set-wise, credited by the partner or the rule's issuer."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from factories.earning import Shop
from factories.rules import fixed
from factories.statements import counted
from mereau.core.db import transaction
from mereau.earning.crediting.service import Awarded, award
from mereau.earning.evaluation.facts.domain import MemberFacts, Occasion


def an_event(shop: Shop, member: int = 0, **changes: Any) -> Occasion:
    fields: dict[str, Any] = {
        "trigger": "custom_event",
        "occurred_at": shop.now,
        "member": MemberFacts(shop.members[member]),
        "source_id": shop.next_id("act"),
        "source_reference": "event 17",
        "partner_id": shop.partners[0].id,
        "attributes": {"event": "visit"},
    }
    return Occasion(**fields | changes)


async def awarded(shop: Shop, *occasions: Occasion) -> list[Awarded]:
    async with transaction(shop.engine) as session:
        return await award(session, occasions, shop.now)


async def activate(shop: Shop, external_id: str = "visit", **fields: Any) -> None:
    await shop.activate(fixed(7) | {"trigger": "custom_event"} | fields, external_id)


def tokens(results: Sequence[Awarded]) -> list[int]:
    return [result.tokens for result in results]


async def test_an_occasion_is_credited_with_its_document(shop: Shop) -> None:
    await activate(shop)
    occasion = an_event(shop, staff_id="stf_1")
    (done,) = await awarded(shop, occasion)
    assert done.outcome is not None
    (entry,) = await shop.rows("select * from entries")
    assert (entry.id, entry.tokens, entry.rule) == (done.entry_ids[0], 7, done.outcome.fired[0].rule.reference)
    assert (entry.source_id, entry.source_reference, entry.staff_id) == (occasion.source_id, "event 17", "stf_1")
    assert (entry.reason_code, entry.partner_id) == ("bonus", shop.partners[0].id)
    assert await shop.counters() == (7, 0, 0, 0)


async def test_without_a_partner_the_rules_issuer_pays(shop: Shop) -> None:
    await activate(shop, issuer_partner_id=shop.partners[1].id)
    await activate(shop, "unpaid")
    (done,) = await awarded(shop, an_event(shop, partner_id=None))
    assert done.outcome is not None
    assert [skipped.code for skipped in done.outcome.skipped] == ["no_issuer"]
    (entry,) = await shop.rows("select partner_id from entries")
    assert entry.partner_id == shop.partners[1].id


async def test_an_occasion_counts_once(shop: Shop) -> None:
    await activate(shop)
    occasion = an_event(shop)
    first = await awarded(shop, occasion, occasion)
    again = await awarded(shop, occasion)
    assert [result.duplicate for result in first + again] == [False, True, True]
    assert tokens(first + again) == [7, 0, 0]
    assert await shop.counters() == (7, 0, 0, 0)


async def test_one_document_may_be_an_occasion_for_two_members(shop: Shop) -> None:
    await activate(shop)
    occasions = [an_event(shop, member, source_id="ref_1") for member in (0, 1)]
    assert tokens(await awarded(shop, *occasions)) == [7, 7]


async def test_the_same_occasion_at_once_counts_once(shop: Shop) -> None:
    await activate(shop)
    occasion = an_event(shop)
    results = await asyncio.gather(*(awarded(shop, occasion) for _ in range(8)))
    assert sorted(result.tokens for (result,) in results) == [0] * 7 + [7]
    assert await shop.count("entries") == 1


async def test_limits_hold_over_occasions_at_once(shop: Shop) -> None:
    await activate(
        shop, limits=[{"per": "member", "period": "week", "uses": 2}, {"per": "rule", "period": "ever", "tokens": 19}]
    )
    results = await asyncio.gather(*(awarded(shop, an_event(shop, i % 2)) for i in range(10)))
    assert sum(result.tokens for (result,) in results) == 19
    assert len(await shop.events("budget.exhausted")) == 1


async def test_before_there_is_a_rule_nothing_is_judged(shop: Shop) -> None:
    occasion = an_event(shop)
    assert await awarded(shop, occasion) == [Awarded(None)]
    await activate(shop)
    assert tokens(await awarded(shop, occasion)) == [7]


async def test_what_earned_nothing_was_judged_all_the_same(shop: Shop) -> None:
    await activate(shop, match={"event": ["call"]})
    occasion = an_event(shop)
    assert tokens(await awarded(shop, occasion)) == [0]
    await activate(shop)
    assert (await awarded(shop, occasion))[0].duplicate


async def test_occasions_take_as_many_statements_by_the_hundred_as_alone(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await activate(shop, limits=[{"per": "member", "period": "ever", "tokens": 10_000}])
    await awarded(shop, an_event(shop), an_event(shop, 1))
    counts = []
    for size in (1, 200):
        occasions = [an_event(shop, i % 2) for i in range(size)]
        with counted(monkeypatch) as sent:
            assert tokens(await awarded(shop, *occasions)) == [7] * size
        counts.append(len(sent))
    assert counts[0] == counts[1]


async def test_occasions_of_two_triggers_or_of_nobody_are_a_mistake(shop: Shop) -> None:
    await activate(shop)
    with pytest.raises(ValueError, match="unpack"):
        await awarded(shop, an_event(shop), an_event(shop, trigger="birthday"))
    with pytest.raises(ValueError, match="names its member"):
        await awarded(shop, replace(an_event(shop), member=None))
    with pytest.raises(ValueError, match="names its member"):
        await awarded(shop, an_event(shop, source_id=""))


async def test_no_occasion_is_nothing(shop: Shop) -> None:
    assert await awarded(shop) == []
