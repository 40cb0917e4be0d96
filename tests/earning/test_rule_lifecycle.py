"""A long random life of rules beside a shadow: versions count up, one of each rule is active, what was is frozen."""

import random
from dataclasses import dataclass

import pytest

from factories.earning import Shop, a_line
from mereau.core.db import snapshot, transaction
from mereau.earning import service as earning
from mereau.earning.errors import RuleFrozenError


@dataclass
class ShadowRule:
    """A version and what it pays for a unit of money."""

    id: str
    external_id: str
    version: int
    tokens: int
    status: str = "draft"


def spec(tokens: int) -> dict[str, object]:
    return {"rate": {"tokens": tokens, "per_minor": 100}}


async def create(shop: Shop, external_id: str, version: int, tokens: int) -> ShadowRule:
    async with transaction(shop.engine) as session:
        rule = await earning.create_rule(session, external_id, spec(tokens), shop.now, actor="key:k")
    assert (rule.version, rule.status) == (version, "draft")
    return ShadowRule(rule.id, external_id, version, tokens)


async def change(shop: Shop, rule: ShadowRule, tokens: int) -> None:
    async with transaction(shop.engine) as session:
        if rule.status != "draft":
            with pytest.raises(RuleFrozenError):
                await earning.change_rule(session, rule.id, spec(tokens), shop.now, actor="key:k")
            return
        await earning.change_rule(session, rule.id, spec(tokens), shop.now, actor="key:k")
    rule.tokens = tokens


async def activate(shop: Shop, rule: ShadowRule, known: list[ShadowRule]) -> None:
    async with transaction(shop.engine) as session:
        await earning.activate_rule(session, rule.id, shop.now, actor="key:k")
    for other in known:
        if other.status == "active" and other.external_id == rule.external_id:
            other.status = "inactive"
    rule.status = "active"


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_life_of_rules(shop: Shop, seed: int) -> None:
    rng = random.Random(seed)
    ((first,),) = await shop.rows("select id from earning_rules")
    known = [ShadowRule(first, "base", 1, 1, "active")]
    sold: list[tuple[str, str | None, int]] = []
    for _ in range(25):
        act = rng.choice(["create", "change", "activate", "sell"])
        rule, tokens = rng.choice(known), rng.randint(1, 9)
        if act == "create":
            name = rng.choice(["base", "summer"])
            version = 1 + sum(item.external_id == name for item in known)
            known.append(await create(shop, name, version, tokens))
        elif act == "change":
            await change(shop, rule, tokens)
        elif act == "activate":
            await activate(shop, rule, known)
        else:
            active = sorted((item for item in known if item.status == "active"), key=lambda item: item.external_id)
            sale = await shop.sell(a_line(700))
            assert [(award.rule, award.tokens) for award in sale.awards] == [
                (f"{item.id}@{item.version}", 7 * item.tokens) for item in active
            ]
            sold.append((sale.id, sale.rule, sum(7 * item.tokens for item in active)))
    async with snapshot(shop.engine) as session:
        seen = [
            (rule.id, rule.external_id, rule.version, rule.status, rule.spec["rate"])
            for rule in await earning.list_rules(session)
        ]
    expected = sorted(known, key=lambda rule: (rule.external_id, rule.version))
    assert seen == [
        (rule.id, rule.external_id, rule.version, rule.status, {"tokens": rule.tokens, "per_minor": 100})
        for rule in expected
    ]
    rows = await shop.rows("select id, rule, tokens from sales order by id")
    assert sorted(tuple(row) for row in rows) == sorted(sold), "no later rule reaches a sale that is recorded"
