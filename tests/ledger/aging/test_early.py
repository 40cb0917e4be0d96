"""Pending tokens that count earlier, since what they waited for has happened."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.world import ApiWorld, open_world
from factories.earning import Shop, a_line, make_shop
from factories.ledger import LedgerWorld
from mereau.core.db import transaction
from mereau.core.errors import ConflictError, NotFoundError
from mereau.ledger import domain, tasks
from mereau.ledger.aging import service as aging
from mereau.ledger.replay.service import find_differences

DAY = timedelta(days=1)


async def activate(world: LedgerWorld, entry_id: str) -> None:
    async with transaction(world.engine) as session:
        await aging.activate_early(session, entry_id, world.now, actor="key:test")


async def acts(world: LedgerWorld) -> list[Any]:
    return await world.rows("select * from journal_entries where action = 'entry.activated'")


async def test_tokens_count_from_now_on_and_expire_as_promised(world: LedgerWorld) -> None:
    entry_id = await world.credit(100, delay=9 * DAY, life=30 * DAY)
    promised = (await world.lot(entry_id)).expires_at
    world.now += DAY
    await activate(world, entry_id)
    assert await world.counters() == (100, 0, 0, 0)
    lot = await world.lot(entry_id)
    assert (lot.state, lot.activates_at, lot.expires_at) == ("active", world.now, promised)
    (entry,) = await world.rows("select * from entries")
    assert (entry.state, entry.activates_at) == ("accepted", world.now)
    assert [row.subject_id for row in await world.events("entry.accepted")] == [entry_id]
    (act,) = await acts(world)
    assert (act.actor, act.subject_id, act.detail["tokens"]) == ("key:test", entry_id, 100)
    assert act.detail["would_have_at"] == (world.now + 8 * DAY).isoformat()


async def test_the_chain_is_ordered_once_with_the_record_of_the_entry(world: LedgerWorld) -> None:
    entry_id = await world.credit(100, delay=9 * DAY, life=30 * DAY)
    await activate(world, entry_id)
    await activate(world, entry_id)
    world.now += 9 * DAY
    assert await tasks.activate_due(world.engine, world.now) == 0
    (order,) = (await world.orders()).values()
    (entry,) = await world.rows("select * from entries")
    line = domain.Line(**{name: getattr(entry, name) for name in domain.Line.__dataclass_fields__})
    assert order.commitment == domain.line_commitment(line, 1, (await world.lot(entry_id)).expires_at)
    assert len(await acts(world)) == 1
    await world.mine(entry_id)
    assert await world.drift() == 0
    assert [found async for found in find_differences(world.engine)] == []


async def test_only_what_was_not_returned_is_issued(world: LedgerWorld) -> None:
    entry_id = await world.credit(100, delay=DAY)
    await world.reverse(entry_id, 30)
    await activate(world, entry_id)
    assert await world.counters() == (70, 0, 0, 0)
    assert (await world.orders())[entry_id].tokens == 70


async def test_what_was_cancelled_or_refused_stays_so(world: LedgerWorld) -> None:
    cancelled, refused = await world.credit(100, delay=DAY), await world.credit(50)
    await world.reverse(cancelled, 100)
    await world.reject(refused)
    for entry_id in (cancelled, refused):
        with pytest.raises(ConflictError, match="nothing of it can be activated"):
            await activate(world, entry_id)
    assert await world.counters() == (0, 0, 0, 0)
    assert await acts(world) == []


async def test_only_credits_are_activated(world: LedgerWorld) -> None:
    await world.mine(await world.credit(100))
    for entry_id in (await world.hold(10), "ent_none"):
        with pytest.raises(NotFoundError):
            await activate(world, entry_id)


async def test_the_job_a_return_and_several_calls_at_once_issue_once(world: LedgerWorld) -> None:
    for _ in range(5):
        entry_id = await world.credit(10, delay=DAY)
        world.now += DAY
        await asyncio.gather(
            activate(world, entry_id),
            tasks.activate_due(world.engine, world.now),
            world.reverse(entry_id, 4),
            activate(world, entry_id),
        )
    assert (await world.counters())[:2] == (30, 0)
    issued = [row for row in (await world.orders()).values() if row.kind == "issue"]
    taken = [row for row in (await world.orders()).values() if row.kind == "reverse"]
    assert len(issued) == 5
    assert sum(row.tokens for row in issued) - sum(row.tokens for row in taken) == 30
    assert [found async for found in find_differences(world.engine)] == []


async def test_a_rule_lets_its_tokens_wait_for_an_event(engine: AsyncEngine) -> None:
    shop: Shop = await make_shop(engine)
    await shop.activate(
        {"fixed": {"tokens": 5}, "activation": {"mode": "event", "latest_s": 20 * 86_400}}, "on-delivery"
    )
    sale = await shop.sell(a_line(1_000))
    assert await shop.counters() == (10, 5, 0, 0)
    (waiting,) = [award.entry_id for award in sale.awards if award.tokens == 5]
    shop.now += 19 * DAY
    assert await tasks.activate_due(engine, shop.now) == 0
    other = await shop.sell(a_line(1_000))
    await activate(shop, waiting)
    assert await shop.counters() == (25, 5, 0, 0)
    shop.now += 20 * DAY
    assert await tasks.activate_due(engine, shop.now) == 1
    assert await shop.counters() == (30, 0, 0, 0)
    assert len(other.awards) == 2


@pytest.fixture
async def served(engine: AsyncEngine) -> AsyncIterator[ApiWorld]:
    async with open_world(engine) as world:
        await world.send("operator", "PATCH", "/program", {"activation": {"mode": "event", "latest_s": 86_400}})
        yield world


class TestOverHttp:
    async def test_an_operator_says_that_it_has_happened(self, served: ApiWorld) -> None:
        sale = await served.made("partner_a", "/sales", served.a_sale(occurred_at=datetime.now(UTC).isoformat()))
        entry_id = sale["entry"]["id"]
        assert sale["entry"]["status"] == "pending"
        first = await served.post("operator", f"/entries/{entry_id}/activate")
        again = await served.post("operator", f"/entries/{entry_id}/activate")
        assert (first.status_code, first.json()["status"]) == (200, "accepted")
        assert (again.status_code, again.json()) == (200, first.json())
        balance = (await served.get("member_a", f"/members/{served.ids['member_a']}/balance")).json()
        assert balance["pending"] == 0

    async def test_what_was_returned_is_a_conflict_and_what_is_unknown_is_not_there(self, served: ApiWorld) -> None:
        sale = await served.made("partner_a", "/sales", served.a_sale(occurred_at=datetime.now(UTC).isoformat()))
        line = {"line_number": 1, "quantity": 3}
        body = {"external_id": "T-back", "occurred_at": datetime.now(UTC).isoformat(), "lines": [line]}
        await served.made("partner_a", f"/sales/{sale['id']}/returns", body)
        refused = await served.post("operator", f"/entries/{sale['entry']['id']}/activate")
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
        for name in (f"ent_{'0' * 26}", "sal_1"):
            assert (await served.post("operator", f"/entries/{name}/activate")).status_code == 404
