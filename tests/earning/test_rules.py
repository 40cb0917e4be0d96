"""Versions of rules: made, changed while drafts, frozen once active."""

import asyncio

import pytest

from factories.earning import ONE_PER_UNIT, Shop
from mereau.core.db import snapshot, transaction
from mereau.core.errors import InvalidInputError, NotFoundError
from mereau.earning import service as earning
from mereau.earning.errors import NoActiveRuleError, RuleFrozenError
from mereau.earning.rules.service import spec_digest

TWO_PER_UNIT = {"rate": {"tokens": 2, "per_minor": 100}}


async def create(shop: Shop, external_id: str = "base", spec: object = None) -> str:
    async with transaction(shop.engine) as session:
        raw = dict(spec if isinstance(spec, dict) else TWO_PER_UNIT)
        return (await earning.create_rule(session, external_id, raw, shop.now, actor="key:k")).id


async def activate(shop: Shop, rule_id: str) -> str:
    async with transaction(shop.engine) as session:
        return (await earning.activate_rule(session, rule_id, shop.now, actor="key:k")).status


async def states(shop: Shop) -> list[tuple[str, int, str]]:
    async with snapshot(shop.engine) as session:
        return [(rule.external_id, rule.version, rule.status) for rule in await earning.list_rules(session)]


async def test_versions_count_up_per_rule(shop: Shop) -> None:
    await create(shop)
    await create(shop)
    await create(shop, "summer")
    assert await states(shop) == [
        ("base", 1, "active"),
        ("base", 2, "draft"),
        ("base", 3, "draft"),
        ("summer", 1, "draft"),
    ]


async def test_versions_that_are_made_side_by_side_do_not_collide(shop: Shop) -> None:
    await asyncio.gather(*(create(shop) for _ in range(5)))
    assert [version for _, version, _ in await states(shop)] == [1, 2, 3, 4, 5, 6]


async def test_one_version_of_a_rule_is_active_at_a_time(shop: Shop) -> None:
    newer = await create(shop)
    assert await activate(shop, newer) == "active"
    assert [status for *_, status in await states(shop)] == ["inactive", "active"]
    async with snapshot(shop.engine) as session:
        (rule,) = (await earning.sale_rules(session)).rules
    assert rule.spec.rate is not None
    assert (rule.reference, rule.spec.rate.tokens) == (f"{newer}@2", 2)


async def test_activating_the_active_rule_again_changes_nothing(shop: Shop) -> None:
    newer = await create(shop)
    await activate(shop, newer)
    before = await shop.count("journal_entries")
    assert await activate(shop, newer) == "active"
    assert await shop.count("journal_entries") == before


async def test_activations_side_by_side_leave_one_active(shop: Shop) -> None:
    ids = [await create(shop) for _ in range(4)]
    await asyncio.gather(*(activate(shop, rule_id) for rule_id in ids))
    assert sorted(status for *_, status in await states(shop)) == ["active", *["inactive"] * 4]


async def test_the_database_itself_refuses_a_second_active_rule(shop: Shop) -> None:
    await create(shop)
    with pytest.raises(Exception, match="uq_earning_rules_active"):
        await shop.write("update earning_rules set status = 'active'")


async def test_a_draft_may_change_and_a_frozen_version_may_not(shop: Shop) -> None:
    rule_id = await create(shop)
    async with transaction(shop.engine) as session:
        changed = await earning.change_rule(session, rule_id, ONE_PER_UNIT, shop.now, actor="key:k")
        assert changed.spec_digest == spec_digest(earning.parse_spec(ONE_PER_UNIT))
    await activate(shop, rule_id)
    for _ in ("active", "inactive"):
        async with transaction(shop.engine) as session:
            with pytest.raises(RuleFrozenError, match="add a new version"):
                await earning.change_rule(session, rule_id, TWO_PER_UNIT, shop.now, actor="key:k")
        await activate(shop, await create(shop))


async def test_a_version_that_was_replaced_may_come_back(shop: Shop) -> None:
    first = (await shop.rows("select id from earning_rules"))[0].id
    await activate(shop, await create(shop))
    assert await activate(shop, first) == "active"


async def test_acts_on_rules_are_journalled(shop: Shop) -> None:
    rule_id = await create(shop)
    async with transaction(shop.engine) as session:
        await earning.change_rule(session, rule_id, ONE_PER_UNIT, shop.now, actor="key:k")
    await activate(shop, rule_id)
    acts = await shop.rows(
        "select action, actor, detail from journal_entries where subject_id = :id order by id", id=rule_id
    )
    assert [(act.action, act.actor) for act in acts] == [
        ("rule.created", "key:k"),
        ("rule.changed", "key:k"),
        ("rule.activated", "key:k"),
    ]
    assert acts[0].detail["spec_digest"] != acts[1].detail["spec_digest"]


async def test_a_wrong_rule_is_refused_and_leaves_nothing(shop: Shop) -> None:
    async with transaction(shop.engine) as session:
        with pytest.raises(InvalidInputError):
            await earning.create_rule(session, "wrong", {"rate": {}}, shop.now, actor="key:k")
    assert await states(shop) == [("base", 1, "active")]


async def test_a_rule_that_is_not_there_is_not_found(shop: Shop) -> None:
    async with transaction(shop.engine) as session:
        with pytest.raises(NotFoundError):
            await earning.activate_rule(session, "rul_none", shop.now, actor="key:k")
        with pytest.raises(NotFoundError):
            await earning.change_rule(session, "rul_none", ONE_PER_UNIT, shop.now, actor="key:k")


async def test_sales_before_a_rule_is_active_are_refused_whole(shop: Shop) -> None:
    await shop.write("update earning_rules set status = 'inactive'")
    with pytest.raises(NoActiveRuleError, match="activate"):
        await shop.sell()
    assert await shop.count("sales") == 0


async def test_entries_name_the_version_that_valued_them(shop: Shop) -> None:
    before = await shop.sell()
    await activate(shop, newer := await create(shop))
    after = await shop.sell()
    assert (before.tokens, after.tokens, after.rule) == (10, 20, f"{newer}@2")
    rules = await shop.rows("select rule from entries order by seq")
    assert [row.rule for row in rules] == [before.rule, after.rule]


async def test_equal_specs_have_one_digest_and_others_another() -> None:
    plain = earning.parse_spec(ONE_PER_UNIT)
    assert spec_digest(plain) == spec_digest(earning.parse_spec(plain.to_dict()))
    assert spec_digest(plain) != spec_digest(earning.parse_spec(TWO_PER_UNIT))


async def test_a_shop_without_a_rule_has_no_active_one(shop: Shop) -> None:
    await shop.write("delete from earning_rules")
    async with snapshot(shop.engine) as session:
        with pytest.raises(NoActiveRuleError):
            await earning.sale_rules(session)
