"""What the ledger and the trail ask of the chain's tables, row by row."""

from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.chain import queries_ledger, queries_trail
from mereau.chain.models import Batch, Block, ChainBalance, ChainEvent, Deployment, MirrorState, Order, Transfer
from mereau.chain.queries_ledger import OpenOrders, OrderState
from mereau.core.db import Base, ReadSession, snapshot, transaction
from mereau.core.errors import ConfigurationError, UnavailableError

_numbers = count(1)
ANNA, BORIS, NOBODY = (bytes([number]) * 20 for number in (1, 2, 0))


def batch(kind: str = "issue", state: str = "submitted", **fields: Any) -> Batch:
    number = next(_numbers)
    given: dict[str, Any] = {
        "id": f"bat_{number:05d}", "kind": kind, "state": state, "sender": bytes(20), "call_data": b"",
        "order_count": 1, "tokens": 0, "gas_limit": 0, **fields,
    }  # fmt: skip
    if state in {"mined", "final"}:
        given = {"block_number": number, "log_index": 0, "transaction_hash": bytes(32), **given}
    return Batch(**given)


def order(kind: str, wallet: bytes | None, tokens: int, *, of: Batch | None = None, **fields: Any) -> Order:
    number = next(_numbers)
    given: dict[str, Any] = {
        "id": f"ent_{number:05d}", "kind": kind, "wallet": wallet, "tokens": tokens, "partner_number": 1,
        "commitment": number.to_bytes(32, "big"), "state": "queued" if of is None else "sealed",
        "batch_id": None if of is None else of.id, "batch_index": None if of is None else number, **fields,
    }  # fmt: skip
    return Order(**given)


def event(name: str, block: int, log: int, **data: Any) -> ChainEvent:
    return ChainEvent(block_number=block, log_index=log, transaction_hash=bytes(32), name=name, data=data)


def mirror_state(**fields: Any) -> MirrorState:
    return MirrorState(
        **{
            "id": 1, "head_number": 9, "head_hash": b"\x09" * 32, "head_timestamp_s": 1_700_000_000,
            "final_number": 7, "node_head_number": 9, "supply": 70, "frozen_reason": None, **fields,
        }
    )  # fmt: skip


def deployed() -> Deployment:
    return Deployment(
        id=1, chain_id=5, genesis_hash=b"\x01" * 32, contract=b"\x02" * 20, code_hash=b"\x03" * 32, block_number=4,
        block_hash=b"\x04" * 32,
    )  # fmt: skip


async def add(engine: AsyncEngine, *rows: Base) -> None:
    async with transaction(engine) as session:
        for row in rows:
            session.add(row)
            await session.flush()


@pytest.fixture
async def read(engine: AsyncEngine) -> AsyncIterator[ReadSession]:
    async with snapshot(engine) as session:
        yield session


async def collected(engine: AsyncEngine) -> list[queries_trail.ExecutedBatch]:
    async with snapshot(engine) as session:
        return [one async for page in queries_trail.executed_batches(session) for one in page]


async def test_before_anything_happened_there_is_nothing(read: ReadSession) -> None:
    assert await queries_ledger.order_states(read, ["ent_1"]) == {}
    assert await queries_ledger.open_orders_by_wallet(read) == []
    assert await queries_ledger.open_debits(read, [ANNA]) == {}
    assert await queries_ledger.balances(read, [ANNA]) == {}
    assert await queries_ledger.mirror_head(read) is None
    assert await queries_ledger.redemptions_of(read, ["bat_1"]) == {}
    assert await queries_ledger.last_admin_call(read, 1) is None
    assert await queries_trail.executed_redemptions(read) == []
    assert await queries_trail.open_tokens(read) == {}
    assert await queries_trail.executed_totals(read) == {"issued": 0, "reversed": 0, "redeemed": 0, "expired": 0}


@pytest.mark.parametrize("state", ["sealed", "submitted", "mined", "final", "stuck"])
async def test_an_order_stands_where_its_batch_stands(engine: AsyncEngine, state: str) -> None:
    """The block is told only while the chain has it."""
    head = batch(state=state, block_number=12, transaction_hash=b"\x07" * 32, log_index=3)
    ours = order("issue", ANNA, 5, of=head)
    waiting = order("issue", ANNA, 5)
    await add(engine, head, ours, waiting)
    async with snapshot(engine) as session:
        states = await queries_ledger.order_states(session, [ours.id, waiting.id, "ent_strange"])
    there = (12, b"\x07" * 32) if state in {"mined", "final"} else (None, None)
    assert states == {
        ours.id: OrderState("sealed", head.id, ours.batch_index, state, *there),
        waiting.id: OrderState("queued", None, None, None, None, None),
    }


async def test_open_orders_are_those_that_the_chain_does_not_show(engine: AsyncEngine) -> None:
    mined, sealed = batch(state="mined"), batch(state="sealed")
    await add(
        engine, mined, sealed,
        order("issue", ANNA, 1, of=mined),
        order("issue", ANNA, 2, of=sealed),
        order("issue", ANNA, 4),
        order("redeem", ANNA, 8),
        order("reverse", BORIS, 16),
        order("issue", BORIS, 32, state="rejected"),
        order("admin", None, 0, call_data=b"x", sender=bytes(20)),
    )  # fmt: skip
    async with snapshot(engine) as session:
        found = await queries_ledger.open_orders_by_wallet(session)
        debits = await queries_ledger.open_debits(session, [ANNA, BORIS, NOBODY])
        tokens = await queries_trail.open_tokens(session)
    assert sorted(found, key=lambda one: (one.wallet, one.kind)) == [
        OpenOrders(ANNA, "issue", 6), OpenOrders(ANNA, "redeem", 8), OpenOrders(BORIS, "reverse", 16),
    ]  # fmt: skip
    assert debits == {ANNA: 8, BORIS: 16}
    assert tokens == {ANNA: 6, BORIS: -16}


async def test_balances_are_those_of_the_mirror(engine: AsyncEngine) -> None:
    await add(engine, ChainBalance(wallet=ANNA, tokens=7), ChainBalance(wallet=BORIS, tokens=0))
    async with snapshot(engine) as session:
        assert await queries_ledger.balances(session, [ANNA, NOBODY]) == {ANNA: 7}
        assert await queries_ledger.all_balances(session) == {ANNA: 7, BORIS: 0}
        assert await queries_trail.mirrored_balances(session) == {ANNA: 7, BORIS: 0}


async def test_the_head_is_read_afresh_within_a_transaction(engine: AsyncEngine) -> None:
    """Settlement reads it in the mirror's own transaction, after the mirror has moved it."""
    await add(engine, mirror_state(frozen_reason="a fork"))
    async with transaction(engine) as session:
        before = await queries_ledger.mirror_head(session)
        await session.execute(text("update chain_mirror set head_number = 10, frozen_reason = null"))
        after = await queries_ledger.mirror_head(session)
    assert before is not None
    assert after is not None
    assert (before.number, before.frozen_reason, before.final_number, before.supply) == (9, "a fork", 7, 70)
    assert (after.number, after.frozen_reason, after.hash) == (10, None, b"\x09" * 32)


async def test_redemptions_come_by_batch_in_their_order(engine: AsyncEngine) -> None:
    first, second, issue = batch("redeem"), batch("redeem"), batch()
    orders = [
        order("redeem", ANNA, 1, of=first, batch_index=1),
        order("redeem", BORIS, 1, of=first, batch_index=0),
        order("redeem", ANNA, 1, of=second, batch_index=0),
        order("issue", ANNA, 1, of=issue, batch_index=0),
    ]
    await add(engine, first, second, issue, *orders)
    async with snapshot(engine) as session:
        found = await queries_ledger.redemptions_of(session, [first.id, issue.id])
    assert found == {first.id: [orders[1].id, orders[0].id]}


async def test_the_last_registry_call_is_the_newest_that_was_not_rejected(engine: AsyncEngine) -> None:
    for call, state, number in ((b"a", "queued", 1), (b"b", "queued", 1), (b"c", "rejected", 1), (b"d", "queued", 2)):
        await add(engine, order("admin", None, 0, call_data=call, sender=bytes(20), state=state, partner_number=number))
    async with snapshot(engine) as session:
        found = [await queries_ledger.last_admin_call(session, number) for number in (1, 2, 3)]
    assert found == [b"b", b"d", None]


async def test_only_what_is_still_queued_can_be_withdrawn(engine: AsyncEngine) -> None:
    head = batch()
    rows = [order("redeem", ANNA, 1), order("redeem", ANNA, 1, of=head), order("redeem", ANNA, 1, state="rejected")]
    await add(engine, head, *rows)
    async with transaction(engine) as session:
        withdrawn = await queries_ledger.withdraw(session, [*(row.id for row in rows), "ent_none"], "cancelled")
    async with transaction(engine) as session:
        again = await queries_ledger.withdraw(session, [row.id for row in rows], "cancelled")
        states = await queries_ledger.order_states(session, [row.id for row in rows])
    assert (withdrawn, again) == ({rows[0].id}, set())
    assert [states[row.id].state for row in rows] == ["rejected", "sealed", "rejected"]


async def test_a_trail_needs_a_contract_and_a_mirror(engine: AsyncEngine) -> None:
    async with snapshot(engine) as session:
        with pytest.raises(ConfigurationError, match="No contract"):
            await queries_trail.trail_head(session)
    await add(engine, deployed())
    async with snapshot(engine) as session:
        with pytest.raises(UnavailableError, match="not read a block"):
            await queries_trail.trail_head(session)
    await add(engine, mirror_state())
    async with snapshot(engine) as session:
        head = await queries_trail.trail_head(session)
    assert (head.chain_id, head.contract, head.deployment_block) == (5, b"\x02" * 20, 4)
    assert (head.number, head.hash, head.supply) == (9, b"\x09" * 32, 70)


async def test_executed_batches_come_in_the_chains_order_page_by_page(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages must neither skip nor repeat batches that share a block."""
    monkeypatch.setattr(queries_trail, "PAGE_BATCHES", 2)
    places = [(7, 5), (3, 9), (7, 1), (3, 2), (9, 0)]
    rows = [
        batch(state="final", partner_number=1, sequence=number, trail_root=bytes(32), block_number=block, log_index=log)
        for number, (block, log) in enumerate(places, 1)
    ]
    unexecuted = batch(state="submitted", partner_number=1, sequence=6, trail_root=bytes(32))
    redeemed = batch("redeem", state="final")
    await add(engine, *rows, unexecuted, redeemed)
    late, early = (
        order("issue", ANNA, 4, of=rows[1], batch_index=1),
        order("issue", BORIS, 3, of=rows[1], batch_index=0),
    )
    await add(engine, late, early)
    found = await collected(engine)
    assert [one.sequence for one in found] == [4, 2, 3, 1, 5]
    assert [(one.index, one.wallet, one.tokens) for one in found[1].orders] == [(0, BORIS, 3), (1, ANNA, 4)]
    assert list(found[0].orders) == []


async def test_redemptions_are_found_by_their_event_whatever_became_of_their_batch(engine: AsyncEngine) -> None:
    head = batch("redeem", state="submitted")
    alone, second, unseen = (order("redeem", ANNA, tokens, of=head) for tokens in (1, 2, 4))
    await add(engine, head, alone, second, unseen)
    for place, one in (((5, 3), second), ((5, 1), alone)):
        assert one.commitment is not None
        await add(engine, event("Redeemed", *place, reference="0x" + one.commitment.hex()))
    await add(engine, event("Redeemed", 4, 0, reference="0x" + "ee" * 32))
    async with snapshot(engine) as session:
        (found,) = await queries_trail.executed_redemptions(session)
    assert (found.block, found.partner, found.sequence, found.root) == (5, None, None, None)
    assert [(one.id, one.index) for one in found.orders] == [(alone.id, 0), (second.id, 1)]


async def test_totals_come_from_events_and_redemptions_from_the_burns_that_are_left(engine: AsyncEngine) -> None:
    await add(
        engine,
        event("Issued", 1, 1, total=100), event("Issued", 2, 1, total="9007199254740993"),
        event("Reversed", 3, 1, total=10), event("Expired", 4, 1, total=5),
        Transfer(block_number=3, log_index=0, source=ANNA, target=NOBODY, tokens=10),
        Transfer(block_number=4, log_index=0, source=ANNA, target=NOBODY, tokens=5),
        Transfer(block_number=5, log_index=0, source=ANNA, target=NOBODY, tokens=7),
        Transfer(block_number=5, log_index=1, source=ANNA, target=BORIS, tokens=50),
        Block(number=5, hash=bytes(32), parent_hash=bytes(32), timestamp_s=0),
    )  # fmt: skip
    async with snapshot(engine) as session:
        totals = await queries_trail.executed_totals(session)
    assert totals == {"issued": 9007199254740993 + 100, "reversed": 10, "redeemed": 7, "expired": 5}
