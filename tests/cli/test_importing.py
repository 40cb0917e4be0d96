"""Waiting for the chain: what counts as done, and what as a standstill."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from fixtures.chain import ChainNode
from mereau.chain.models import Batch
from mereau.chain.orders import NewOrder, OrderKind, enqueue
from mereau.chain.rpc import RpcClient
from mereau.cli import importing
from mereau.cli.importing import drain
from mereau.cli.queries import ChainWork, chain_work
from mereau.cli.session import Desk
from mereau.cli.state import RunState
from mereau.core.clock import SystemClock
from mereau.core.config import Settings
from mereau.core.db import snapshot, transaction
from mereau.core.errors import UnavailableError


@pytest.fixture
async def desk(engine: AsyncEngine, chain_node: ChainNode, tmp_path: Path) -> AsyncIterator[Desk]:
    async with RpcClient(chain_node.url) as rpc:
        yield Desk(Settings(data_dir=tmp_path), RunState(1, "", chain_node.url, None), engine, rpc, SystemClock())


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "_POLL_S", 0.01)
    monkeypatch.setattr(importing, "_STANDSTILL_S", 0.2)


def batch(name: str, state: str, orders: int) -> Batch:
    return Batch(
        id=name, kind="redeem", partner_number=None, sequence=None, sender=bytes(20), call_data=b"x",
        order_count=orders, tokens=1, gas_limit=1, state=state,
    )  # fmt: skip


async def test_work_is_counted_by_how_far_it_is(engine: AsyncEngine) -> None:
    async with transaction(engine) as session:
        for number, state in enumerate(("sealed", "submitted", "mined", "final", "stuck", "superseded")):
            session.add(batch(f"bat_{number}", state, 10**number))
        await enqueue(session, [NewOrder("ent_1", OrderKind.ISSUE, 1, bytes(20), 5, bytes(32))])
    async with snapshot(engine) as session:
        work = await chain_work(session)
    assert work == ChainWork(queued=1, under_way=11, mined=1100, stuck=10_000)
    assert (work.open, work.total) == (12, 1112)


async def test_nothing_open_is_done_at_once(desk: Desk) -> None:
    told: list[tuple[str, int, int | None]] = []
    done = await drain(desk, lambda phase, count, total: told.append((phase, count, total)))
    assert done == ChainWork(0, 0, 0, 0)
    assert told == [("mined", 0, 0)]


@pytest.mark.parametrize("state", ["stuck", "submitted"])
async def test_a_standstill_is_said_with_a_way_on(desk: Desk, state: str) -> None:
    async with transaction(desk.engine) as session:
        session.add(batch("bat_1", state, 7))
    with pytest.raises(UnavailableError, match=r"7 (stuck|orders are open)") as refusal:
        await drain(desk, lambda *_: None)
    assert "mereau status" in refusal.value.detail
