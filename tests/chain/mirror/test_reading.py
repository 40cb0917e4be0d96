"""What the API reads: status, supply, balances, batches and partners, each at the mirror's head."""

import pytest
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from chain.mirror.batches import batch, redemption
from chain.mirror.kit import Token, register_call, root, wallet
from chain.mirror.world import World, mirror_of
from mereau.chain.finality import Finality
from mereau.chain.models import MirrorState
from mereau.chain.queries import balances, get_batch, list_batches, partner_on_chain
from mereau.chain.rpc import RpcClient
from mereau.chain.status import chain_status, supply
from mereau.core.db import snapshot, transaction
from mereau.core.errors import NotFoundError


@pytest.fixture
async def deployed(engine: AsyncEngine, token: Token) -> World:
    """A world whose deployment is on record, as every installation's is."""
    world = mirror_of(engine, token, finality=Finality.by_depth(1))
    await world.add(token.deployment)
    return world


async def test_nothing_is_deployed_yet(engine: AsyncEngine) -> None:
    async with snapshot(engine) as session:
        assert await chain_status(session, None) is None
        assert await supply(session) is None
        assert await balances(session, [wallet(1)]) is None


async def test_before_the_first_step_the_node_may_be_asked(deployed: World) -> None:
    async with snapshot(deployed.engine) as session:
        asked = await chain_status(session, deployed.token.rpc)
        unasked = await chain_status(session, None)
    assert asked is not None
    assert unasked is not None
    assert (asked.head_number, asked.node_head_number, asked.node_answers) == (
        None, await deployed.token.head(), True,
    )  # fmt: skip
    assert (unasked.node_head_number, unasked.node_answers, unasked.is_current) == (None, None, False)
    assert (unasked.chain_id, unasked.contract) == (deployed.token.chain_id, deployed.token.address)


async def test_the_status_names_head_lag_and_age(deployed: World) -> None:
    await deployed.token.issue([(wallet(1), 5)])
    await deployed.mirror.step()
    head = await deployed.token.head()
    await deployed.token.rpc.call("evm_mine")
    async with snapshot(deployed.engine) as session:
        status = await chain_status(session, deployed.token.rpc)
        from_tables = await chain_status(session)
    assert status is not None
    assert from_tables is not None
    assert (status.head_number, status.final_number, status.node_head_number) == (head, head - 1, head + 1)
    assert (status.lag_blocks, status.node_answers, status.frozen_reason) == (1, True, None)
    assert (from_tables.lag_blocks, from_tables.node_answers) == (0, None)
    assert status.head_hash == (await deployed.state()).head_hash
    assert status.head_age_s is not None
    assert status.head_age_s >= 0


async def test_a_silent_node_is_a_finding(deployed: World) -> None:
    await deployed.mirror.step()
    async with RpcClient("http://127.0.0.1:1") as nobody, snapshot(deployed.engine) as session:
        status = await chain_status(session, nobody)
    assert status is not None
    assert status.node_answers is False
    assert status.node_head_number == await deployed.token.head()


@pytest.mark.parametrize(
    ("age", "frozen", "current"),
    [("0 seconds", None, True), ("60 seconds", None, False), ("0 seconds", "a fork", False)],
)
async def test_current_means_fresh_and_not_frozen(deployed: World, age: str, frozen: str | None, current: bool) -> None:
    await deployed.mirror.step()
    async with transaction(deployed.engine) as session:
        await session.execute(
            update(MirrorState).values(checked_at=text(f"clock_timestamp() - interval '{age}'"), frozen_reason=frozen)
        )
    async with snapshot(deployed.engine) as session:
        status = await chain_status(session)
    assert status is not None
    assert (status.is_current, status.frozen_reason) == (current, frozen)


async def test_balances_and_supply_name_their_block(deployed: World) -> None:
    await deployed.token.issue([(wallet(1), 5), (wallet(2), 6)])
    await deployed.mirror.step()
    async with snapshot(deployed.engine) as session:
        found = await balances(session, [wallet(1), wallet(9)])
        none = await balances(session, [])
        total = await supply(session)
    state = await deployed.state()
    assert found is not None
    assert none is not None
    assert total is not None
    assert found.tokens == {wallet(1): 5, wallet(9): 0}
    assert none.tokens == {}
    assert (found.block_number, found.block_hash) == (state.head_number, state.head_hash)
    assert (total.tokens, total.block_number, total.block_hash) == (11, state.head_number, state.head_hash)


async def test_batches_are_listed_newest_first_page_by_page(deployed: World) -> None:
    rows = [batch("issue", partner=1, sequence=number, trail_root=root("x")) for number in range(1, 6)]
    for row in rows:
        await deployed.add(row)
    async with snapshot(deployed.engine) as session:
        first = await list_batches(session, limit=2)
        second = await list_batches(session, limit=2, before_seq=first[-1].seq)
        last = await list_batches(session, limit=2, before_seq=second[-1].seq)
    assert [row.id for row in [*first, *second, *last]] == [row.id for row in reversed(rows)]


async def test_a_batch_comes_with_its_orders_and_block(deployed: World) -> None:
    ours = batch("issue", partner=1, sequence=1, trail_root=root("i"))
    waiting = redemption([root("b"), root("a")])
    await deployed.add(ours, *waiting)
    digest = await deployed.token.issue([(wallet(1), 10)], root("i"))
    await deployed.mirror.step()
    async with snapshot(deployed.engine) as session:
        detail = await get_batch(session, ours.id)
        other = await get_batch(session, waiting[0].id)
    state = await deployed.state()
    assert detail.block is not None
    assert (detail.batch.transaction_hash, detail.block.hash) == (digest, state.head_hash)
    assert detail.orders == []
    assert [order.commitment for order in other.orders] == [root("b"), root("a")]
    assert other.block is None


async def test_an_unknown_batch_is_not_found(engine: AsyncEngine) -> None:
    async with snapshot(engine) as session:
        with pytest.raises(NotFoundError, match="no batch bat_none"):
            await get_batch(session, "bat_none")


async def test_a_partner_is_what_the_chain_last_said(deployed: World) -> None:
    token = deployed.token
    await token.issue([(wallet(1), 50), (wallet(2), 10)])
    await token.reverse([(wallet(1), 20)])
    await token.send(register_call(wallet(7), number=2, allowance=500))
    await token.send(register_call(wallet(8), number=2, allowance=900))
    await token.send(register_call(wallet(9), number=12, allowance=1))
    await deployed.mirror.step()
    async with snapshot(deployed.engine) as session:
        first = await partner_on_chain(session, 1)
        second = await partner_on_chain(session, 2)
        unknown = await partner_on_chain(session, 3)
    assert first is not None
    assert second is not None
    assert first.signer == bytes.fromhex(token.partner.address[2:])
    assert (first.allowance, first.period_cap, first.active) == (None, None, True)
    assert (first.sequence, first.issued, first.reversed, first.net_issued) == (2, 60, 20, 40)
    assert (second.signer, second.allowance, second.net_issued) == (wallet(8), 900, 0)
    assert unknown is None
