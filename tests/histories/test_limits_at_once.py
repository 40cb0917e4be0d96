"""Tens of requests at once against every kind of limit: never beyond, and where demand is larger, given to the last.

Sales and events, returns, and versions of the rules that come and go meanwhile; told by the entries alone.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from factories.earning import Shop, a_line, make_shop
from mereau.core.db import create_engine, transaction
from mereau.earning.crediting.service import award
from mereau.earning.evaluation.facts.domain import MemberFacts, Occasion
from mereau.earning.service import RecordedSale

REQUESTS = 24
MEMBERS = 3
EVER = {"period": "ever"}
EVENT = {"trigger": "custom_event"}

GIVEN = """
    select e.member_id, r.external_id as rule, count(*) as uses, sum(l.tokens) as tokens, sum(l.reversed) as reversed
    from entries e join lots l on l.entry_id = e.id join earning_rules r on e.rule = r.id || '@' || r.version
    group by 1, 2
"""


@pytest.fixture
async def shop(database_url: str) -> AsyncIterator[Shop]:
    """With connections for all who come at once."""
    engine = create_engine(database_url, connections_max=16)
    yield await make_shop(engine, None, member_count=MEMBERS)
    await engine.dispose()


async def visit(shop: Shop, number: int) -> None:
    """A member's custom event."""
    occasion = Occasion(
        "custom_event", shop.now, MemberFacts(shop.members[number % MEMBERS]), source_id=shop.next_id("act"),
        source_reference="visit", partner_id=shop.partners[0].id, attributes={"event": "visit"},
    )  # fmt: skip
    async with transaction(shop.engine) as session:
        await award(session, [occasion], shop.now)


async def given(shop: Shop) -> dict[tuple[str, int], tuple[int, int]]:
    """(rule, member) -> uses and tokens, as the ledger has them."""
    place = {member: index for index, member in enumerate(shop.members)}
    return {(row.rule, place[row.member_id]): (row.uses, int(row.tokens)) for row in await shop.rows(GIVEN)}


CASES: list[tuple[str, list[dict[str, Any]], int, int | None]] = [
    ("uses per member", [{"per": "member", "uses": 4}], MEMBERS * 4 * 7, 4 * 7),
    ("tokens per member", [{"per": "member", "tokens": 38}], MEMBERS * 38, 38),
    ("tokens per member, whole awards", [{"per": "member", "tokens": 38, "over": "refuse"}], MEMBERS * 35, 35),
    ("uses per rule", [{"per": "rule", "uses": 11}], 11 * 7, None),
    ("a budget", [{"per": "rule", "tokens": 100}], 100, None),
    ("a budget, whole awards", [{"per": "rule", "tokens": 100, "over": "refuse"}], 98, None),
    ("the programme's budget", [{"per": "programme", "tokens": 100}], 100, None),
    ("all of them", [{"per": "member", "tokens": 30}, {"per": "rule", "tokens": 100}, {"per": "programme",
     "tokens": 90}], 90, None),
]  # fmt: skip


@pytest.mark.parametrize(("limits", "in_all", "each"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
@pytest.mark.parametrize("trigger", ["sale", "custom_event"])
async def test_many_requests_at_once_get_exactly_what_there_is(
    shop: Shop, trigger: str, limits: list[Mapping[str, Any]], in_all: int, each: int | None
) -> None:
    await shop.activate(
        {"trigger": trigger, "fixed": {"tokens": 7}, "limits": [EVER | dict(one) for one in limits]}, "promo"
    )
    if trigger == "sale":
        await asyncio.gather(*(shop.sell(a_line(100), member=i % MEMBERS) for i in range(REQUESTS)))
    else:
        await asyncio.gather(*(visit(shop, i) for i in range(REQUESTS)))
    got = await given(shop)
    assert sum(tokens for _, tokens in got.values()) == in_all
    if each is not None:
        assert {tokens for _, tokens in got.values()} == {each}
        assert len(got) == MEMBERS


async def change_rules(shop: Shop, tokens: int) -> None:
    limits = [EVER | {"per": "member", "tokens": 40, "uses": 4}, EVER | {"per": "rule", "tokens": 100}]
    day = {"per": "programme", "period": "day", "tokens": 150}
    await shop.activate({"fixed": {"tokens": tokens}, "limits": [*limits, day]}, "promo")
    await shop.activate(EVENT | {"fixed": {"tokens": tokens + 2}, "limits": [day]}, "event")


@pytest.mark.parametrize("seed", range(2))
async def test_sales_events_returns_and_new_versions_at_once_stay_within_all_limits(shop: Shop, seed: int) -> None:
    await shop.activate({"rate": {"tokens": 1, "per_minor": 100}})
    await change_rules(shop, 9)
    chance = random.Random(seed)
    sold: list[RecordedSale] = []

    async def request(number: int) -> None:
        match chance.choice(["sell"] * 6 + ["visit"] * 3 + ["return"] * 2 + ["change"] * (number % 8 == 0)):
            case "sell":
                sold.append(await shop.sell(a_line(300, quantity=2), member=number % MEMBERS))
            case "visit":
                await visit(shop, number)
            case "return" if sold:
                await shop.bring_back(sold.pop(chance.randrange(len(sold))), (1, chance.randint(1, 2)))
            case "change":
                await change_rules(shop, chance.choice([5, 9, 14]))

    for first in range(0, 2 * REQUESTS, REQUESTS):
        await asyncio.gather(*(request(first + number) for number in range(REQUESTS)))
        rows = await shop.rows(GIVEN)
        promo = [row for row in rows if row.rule == "promo"]
        kept = {row.member_id: int(row.tokens - row.reversed) for row in promo}
        assert max(kept.values()) <= 40
        assert sum(kept.values()) <= 100
        assert sum(row.tokens - row.reversed for row in rows if row.rule in {"promo", "event"}) <= 150
    assert await shop.drift() == 0
