"""The relayer's single writes: each stands whole, and none overrules what the mirror has seen."""

from typing import Any

import pytest
from sqlalchemy import text

from chain.relayer.kit import Desk
from mereau.chain import relayer_queries as queries
from mereau.chain import relayer_store as store
from mereau.chain.orders import OrderKind
from mereau.chain.relayer_store import SealedBatch
from mereau.core.db import snapshot, transaction


def batch_of(desk: Desk, *order_ids: str, sequence: int = 1) -> SealedBatch:
    return SealedBatch(
        f"bat_{sequence}", OrderKind.ISSUE, 1, sequence, bytes(32), desk.actors.relayer, b"call", 5, 100_000,
        order_ids, ((None, None),) * len(order_ids),
    )  # fmt: skip


async def seal(desk: Desk, batch: SealedBatch) -> None:
    async with transaction(desk.engine) as session:
        await store.seal(session, batch)


async def write(desk: Desk, statement: str) -> None:
    async with transaction(desk.engine) as session:
        await session.execute(text(statement))


async def call(desk: Desk, function: Any, *args: Any) -> Any:
    async with transaction(desk.engine) as session:
        return await function(session, *args)


async def test_a_batch_is_sealed_with_all_of_its_orders_or_not_at_all(desk: Desk) -> None:
    ids = await desk.enqueue(*(desk.order(OrderKind.ISSUE, desk.member(number), 1) for number in range(2)))
    await call(desk, store.reject, [(ids[1], "no")])
    with pytest.raises(store.OrdersWithdrawnError):
        await seal(desk, batch_of(desk, *ids))
    assert await desk.batches() == []
    assert await desk.states() == {ids[0]: "queued", ids[1]: "rejected"}


async def test_an_order_is_rejected_once(desk: Desk) -> None:
    ids = await desk.enqueue(desk.order(OrderKind.ISSUE, desk.member(1), 1))
    assert await call(desk, store.reject, [(ids[0], "no"), ("ent_strange", "no")]) == ids
    assert await call(desk, store.reject, [(ids[0], "again")]) == []
    assert (await desk.rows("select reason from chain_orders"))[0].reason == "no"


async def test_what_the_mirror_saw_executed_is_not_superseded(desk: Desk) -> None:
    ids = await desk.enqueue(desk.order(OrderKind.ISSUE, desk.member(1), 1))
    await seal(desk, batch_of(desk, *ids))
    await write(desk, "update chain_batches set state = 'mined'")
    assert await call(desk, store.supersede, "bat_1", "too late") == []
    assert await desk.states() == {ids[0]: "sealed"}


async def test_a_superseded_batch_frees_its_orders_and_its_sequence(desk: Desk) -> None:
    ids = await desk.enqueue(desk.order(OrderKind.ISSUE, desk.member(1), 1))
    await seal(desk, batch_of(desk, *ids))
    assert await call(desk, store.supersede, "bat_1", "used by another") == ids
    async with snapshot(desk.engine) as session:
        assert (await queries.last_sequences(session, [1]))[1] == 0
        assert await queries.open_batches(session) == []
    assert await desk.states() == {ids[0]: "queued"}


async def test_a_released_redemption_forgets_its_nonce_unless_the_holder_signed_it(desk: Desk) -> None:
    from dataclasses import replace

    managed = desk.order(OrderKind.REDEEM, desk.member(1), 1)
    own = replace(desk.order(OrderKind.REDEEM, desk.member(2), 1), signature=b"s" * 65, nonce=4, deadline=9)
    ids = await desk.enqueue(managed, own)
    batch = batch_of(desk, *ids)
    await seal(desk, replace(batch, kind=OrderKind.REDEEM, sequence=None, signed=((0, 7), (4, 9))))
    await call(desk, store.release, ids)
    rows = await desk.rows("select state, nonce, deadline, batch_id from chain_orders order by seq")
    assert [tuple(row) for row in rows] == [("queued", None, None, None), ("queued", 4, 9, None)]


async def test_lines_count_on_their_own(desk: Desk) -> None:
    ids = await desk.enqueue(*(desk.order(OrderKind.ISSUE, desk.member(number), 1) for number in range(2)))
    await seal(desk, batch_of(desk, ids[0], sequence=7))
    async with snapshot(desk.engine) as session:
        assert await queries.last_sequences(session, [1, 2]) == {1: 7, 2: 0, None: 0}


async def test_the_least_free_nonce_fills_gaps_first(desk: Desk) -> None:
    (order_id,) = await desk.enqueue(desk.order(OrderKind.ISSUE, desk.member(1), 1))
    await seal(desk, batch_of(desk, order_id))
    for nonce in (3, 4, 6):
        await write(
            desk,
            "insert into chain_transactions (id, sender, nonce, state, created_at)"
            f" values ('txn_{nonce}', '\\x01', {nonce}, 'open', now())",
        )
    async with snapshot(desk.engine) as session:
        found = [await queries.free_nonce(session, b"\x01", floor) for floor in (0, 3, 4, 5, 6, 9)]
        assert found == [0, 5, 5, 5, 7, 9]
        assert await queries.free_nonce(session, b"\x02", 3) == 3


async def test_a_fresh_database_has_no_mirror_and_no_batches(desk: Desk) -> None:
    async with snapshot(desk.engine) as session:
        mirror = await queries.mirror_view(session)
        assert (mirror.head_number, mirror.final_number, mirror.frozen_reason) == (-1, -1, None)
        assert await queries.newest_seq(session) == 0
        assert not await queries.exists_revocable_up_to(session, 10)
        assert (await queries.waiting(session, (), 10))[0] == 0
