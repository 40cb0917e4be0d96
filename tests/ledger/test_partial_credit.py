"""Part of a pending credit is returned, the rest is activated: tables, order, chain and trail agree on the rest."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.ledger import LedgerWorld
from factories.settled import SettledWorld, make_settled_world
from fixtures.chain import ChainNode
from mereau.chain.rpc import RpcClient
from mereau.core.clock import SystemClock
from mereau.core.errors import InvalidInputError
from mereau.ledger import domain, tasks
from mereau.ledger.trail.service import export_trail
from mereau.wallets.keystore import Seed
from mereau_verify.rpc import Node
from mereau_verify.verification import verify

DAY = timedelta(days=1)


@pytest.fixture
async def settled(engine: AsyncEngine, chain_node: ChainNode) -> AsyncIterator[SettledWorld]:
    async with RpcClient(chain_node.url) as rpc:
        seed = Seed(os.urandom(32))
        world = await make_settled_world(engine, rpc, chain_node.accounts[0], seed=seed, now=SystemClock().now())
        async with world.relayer:
            yield world


def ignore(*progress: object) -> None:
    """Nobody watches."""


async def activate(world: LedgerWorld) -> None:
    world.now += DAY
    await tasks.activate_due(world.engine, world.now)


async def exported(world: SettledWorld, folder: Path) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """What an auditor with a node finds, and the operations of the trail by id."""
    await export_trail(world.ledger.engine, folder, on_progress=ignore)
    node = Node(world.rpc.url)
    try:
        report = await asyncio.to_thread(verify, folder, node, ignore)
    finally:
        node.close()
    lines = [json.loads(line) for line in (folder / "trail.jsonl").read_text().splitlines()]
    operations = {line["id"]: line for line in lines if line["type"] == "operation"}
    return [str(finding) for finding in report.findings], operations


async def test_the_trail_of_a_partly_cancelled_credit_holds(settled: SettledWorld, tmp_path: Path) -> None:
    """Cancelled twice before and burned once after: 100 - 30 - 10 are issued, 5 of them burned again."""
    world = settled.ledger
    part = await world.credit(100, delay=DAY, life=400 * DAY)
    whole = await world.credit(50, member=1, delay=DAY)
    await world.reverse(part, 30)
    await world.reverse(part, 10)
    await world.reverse(whole, 50)
    await activate(world)
    burned = (await world.reverse(part, 5)).entry_id
    await settled.settle()
    findings, operations = await exported(settled, tmp_path / "trail")
    assert findings == []
    assert {key: (line["tokens"], line["record"]["tokens"]) for key, line in operations.items()} == {
        part: (60, 60),
        burned: (5, 5),
    }
    assert await world.counters(0) == (55, 0, 0, 0)
    assert (await world.balance(0)).on_chain == 55
    assert await world.drift() == 0


async def test_a_redemption_from_such_a_credit_holds_too(settled: SettledWorld, tmp_path: Path) -> None:
    world = settled.ledger
    part = await world.credit(100, delay=DAY)
    await world.reverse(part, 99)
    await activate(world)
    await settled.settle()
    await world.hold(1)
    await settled.settle()
    findings, operations = await exported(settled, tmp_path / "trail")
    assert findings == []
    assert sorted(line["tokens"] for line in operations.values()) == [1, 1]
    assert await world.counters(0) == (0, 0, 0, 0)


@pytest.mark.parametrize("returns", [(1,), (99,), (30, 30, 39), (50, 1)])
async def test_entry_order_lot_and_commitment_speak_of_one_figure(world: LedgerWorld, returns: tuple[int, ...]) -> None:
    credit = await world.credit(100, delay=DAY, life=9 * DAY)
    for tokens in returns:
        await world.reverse(credit, tokens)
    left = 100 - sum(returns)
    await activate(world)
    (row,) = await world.rows("select * from entries where id = :id", id=credit)
    lot = await world.lot(credit)
    order = (await world.orders())[credit]
    assert (row.tokens, order.tokens, lot.remaining, lot.tokens - lot.reversed) == (left, left, left, left)
    line = domain.Line(**{name: getattr(row, name) for name in domain.Line.__dataclass_fields__})
    assert order.commitment == domain.line_commitment(line, 1, lot.expires_at)
    assert await world.drift() == 0


async def test_two_returns_of_one_pending_credit_in_one_call(world: LedgerWorld) -> None:
    credit = await world.credit(100, delay=DAY)
    await world.take_back(world.a_reversal(credit, 20), world.a_reversal(credit, 30))
    assert [row.payload["tokens"] for row in await world.events("entry.cancelled")] == [20, 30]
    await activate(world)
    assert (await world.orders())[credit].tokens == 50
    (told,) = await world.events("entry.accepted")
    assert told.payload["tokens"] == 50


async def test_a_partly_cancelled_credit_that_the_chain_refuses_leaves_nothing(world: LedgerWorld) -> None:
    credit = await world.credit(100, delay=DAY)
    await world.reverse(credit, 30)
    await activate(world)
    await world.reject(credit)
    assert await world.counters() == (0, 0, 0, 0)
    lot = await world.lot(credit)
    assert (lot.reversed, lot.state) == (100, "reversed")
    (told,) = await world.events("entry.rejected")
    assert told.payload["tokens"] == 70


async def test_what_was_cancelled_counts_as_returned(world: LedgerWorld) -> None:
    credit = await world.credit(100, delay=DAY)
    await world.reverse(credit, 30)
    await activate(world)
    with pytest.raises(InvalidInputError) as refusal:
        await world.reverse(credit, 71)
    assert refusal.value.errors[0].pointer == "/0/tokens"
    assert (await world.reverse(credit, 70)).reversed_tokens == 70
    assert (await world.lot(credit)).state == "reversed"
