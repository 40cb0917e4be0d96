"""Reorganisations on anvil: what left the chain leaves the tables, and finality is a wall."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from eth_account import Account
from sqlalchemy.ext.asyncio import AsyncEngine

from chain.mirror.batches import batch, redemption
from chain.mirror.kit import Token, address, deploy, holder, root, signed, wallet
from chain.mirror.world import World, mirror_of
from fixtures.chain import ANVIL_KEY, running_anvil
from mereau.chain import mirror_store
from mereau.chain.finality import Finality
from mereau.chain.mirror import StepOutcome
from mereau.chain.models import Batch, ChainEvent
from mereau.chain.rpc import RpcClient
from mereau.core.db import transaction

pytestmark = pytest.mark.node


async def reorg(token: Token, depth: int, *calls: tuple[bytes, int]) -> None:
    """Replace the last `depth` blocks; (call, place) puts a transaction into the new block `place`."""
    nonce = await nonce_at(token, await token.head() - depth)
    transactions: list[Any] = []
    for offset, (call, place) in enumerate(calls):
        raw = token.admin.sign_transaction(
            {
                "nonce": nonce + offset, "gasPrice": 10**11, "gas": 5_000_000, "value": 0, "data": call,
                "to": token.address, "chainId": token.chain_id,
            }
        ).raw_transaction  # fmt: skip
        transactions.append(["0x" + bytes(raw).hex(), place])
    await token.rpc.call("anvil_reorg", depth, transactions)


async def nonce_at(token: Token, number: int) -> int:
    return int(await token.rpc.call("eth_getTransactionCount", token.admin.address, hex(number)), 16)


async def mine(token: Token, blocks: int) -> None:
    for _ in range(blocks):
        await token.rpc.call("evm_mine")


async def state_of(world: World, batch_id: str) -> Batch:
    return next(row for row in await world.rows(Batch) if row.id == batch_id)


async def same_as_fresh(world: World) -> None:
    """The tables equal those of a mirror that has only ever seen the present chain; balances the contract's."""
    contents = await world.contents()
    for account, tokens in await world.balances_with_zeros():
        assert await world.token.balance(account) == tokens
    assert (await world.state()).supply == await world.token.supply()
    async with transaction(world.engine) as session:
        connection = await session.connection()
        await connection.exec_driver_sql(
            "truncate chain_blocks, chain_transfers, chain_events, chain_balances, chain_mirror"
        )
    fresh = mirror_of(world.engine, world.token, finality=Finality.by_depth(10))
    await fresh.mirror.step()
    assert await fresh.contents() == contents


async def test_a_mint_that_left_the_chain_leaves_the_balances(anvil_world: World) -> None:
    token = anvil_world.token
    await token.issue([(wallet(1), 5), (wallet(2), 7)])
    await token.issue([(wallet(1), 100)], root("gone"))
    await anvil_world.mirror.step()
    assert await anvil_world.balances() == {wallet(1): 105, wallet(2): 7}
    await reorg(token, 1)
    progress = await anvil_world.mirror.step()
    assert (progress.outcome, progress.rewound) == (StepOutcome.ADVANCED, 1)
    assert await anvil_world.balances() == {wallet(1): 5, wallet(2): 7}
    await same_as_fresh(anvil_world)


async def test_a_mint_that_moved_is_counted_once(anvil_world: World) -> None:
    """The same transaction in another block of the new chain: mined, back to submitted, mined again."""
    token = anvil_world.token
    ours = batch("issue", partner=1, sequence=1, trail_root=root("moved"))
    await anvil_world.add(ours)
    call = token.issue_call([(wallet(1), 5)], root("moved"), 1)
    await token.send(call)
    await mine(token, 2)
    await anvil_world.mirror.step()
    first = await state_of(anvil_world, ours.id)
    assert (first.state, first.block_number) == ("mined", await token.head() - 2)
    await reorg(token, 3, (call, 2))
    await anvil_world.mirror.step()
    again = await state_of(anvil_world, ours.id)
    assert (again.state, again.block_number) == ("mined", await token.head())
    assert await anvil_world.balances() == {wallet(1): 5}
    assert [list(delta.reorged) for delta in anvil_world.deltas if delta.reorged] == [[ours.id]]
    await same_as_fresh(anvil_world)


async def test_a_batch_that_left_the_chain_waits_again(anvil_world: World) -> None:
    token = anvil_world.token
    ours = batch("issue", partner=1, sequence=1, trail_root=root("gone"))
    await anvil_world.add(ours)
    await token.issue([(wallet(1), 5)], root("gone"))
    await anvil_world.mirror.step()
    await reorg(token, 1)
    await anvil_world.mirror.step()
    left = await state_of(anvil_world, ours.id)
    cleared = (left.transaction_hash, left.block_number, left.log_index, left.mined_at)
    assert (left.state, cleared) == ("submitted", (None, None, None, None))
    await token.issue([(wallet(1), 5)], root("gone"))
    await anvil_world.mirror.step()
    assert (await state_of(anvil_world, ours.id)).state == "mined"


async def test_burns_come_back(anvil_world: World) -> None:
    token = anvil_world.token
    rows = redemption([root("a"), root("b")])
    await anvil_world.add(*rows)
    members = [holder(number) for number in (1, 2)]
    await token.issue([(address(member), 10) for member in members])
    await token.redeem([(members[0], 4, root("a"))])
    await token.redeem([(members[1], 10, root("b"))])
    await anvil_world.mirror.step()
    assert (await state_of(anvil_world, rows[0].id)).state == "mined"
    await reorg(token, 1)
    await anvil_world.mirror.step()
    assert (await state_of(anvil_world, rows[0].id)).state == "submitted"
    assert await anvil_world.balances() == {address(members[0]): 6, address(members[1]): 10}
    await token.redeem([(members[1], 10, root("b"))])
    await anvil_world.mirror.step()
    assert (await state_of(anvil_world, rows[0].id)).state == "mined"
    await same_as_fresh(anvil_world)


async def test_the_deepest_allowed_fork_is_followed(anvil_world: World) -> None:
    token = anvil_world.token
    await token.issue([(wallet(1), 1)])
    await mine(token, 10)
    await token.issue([(wallet(1), 2)])
    await mine(token, 9)
    await anvil_world.mirror.step()
    assert (await anvil_world.state()).final_number == await token.head() - 10
    await reorg(token, 10)
    assert (await anvil_world.mirror.step()).rewound == 10
    assert await anvil_world.balances() == {wallet(1): 1}
    assert (await anvil_world.state()).frozen_reason is None


async def deeper_than_final(world: World) -> None:
    await world.token.issue([(wallet(1), 1)])
    await world.token.issue([(wallet(1), 2)])
    await mine(world.token, 10)
    await world.mirror.step()
    await reorg(world.token, 11)


async def test_a_fork_below_the_final_block_freezes_everything(anvil_world: World) -> None:
    await deeper_than_final(anvil_world)
    before = await anvil_world.contents()
    handed_on = len(anvil_world.deltas)
    progress = await anvil_world.mirror.step()
    assert progress.outcome is StepOutcome.FROZEN
    state = await anvil_world.state()
    fork = await anvil_world.token.head() - 11
    assert state.frozen_reason == f"the chain forked at block {fork}, below the final block {fork + 1}"
    assert anvil_world.mirror.alarm == state.frozen_reason
    await mine(anvil_world.token, 1)
    assert (await anvil_world.mirror.step()).outcome is StepOutcome.FROZEN
    assert await anvil_world.contents() == before
    assert len(anvil_world.deltas) == handed_on
    restarted = mirror_of(anvil_world.engine, anvil_world.token, finality=Finality.by_depth(10))
    assert (await restarted.mirror.step()).outcome is StepOutcome.FROZEN


async def test_an_operator_may_follow_the_fork(anvil_world: World) -> None:
    ours = batch("issue", partner=1, sequence=2, trail_root=bytes(32))
    await anvil_world.add(ours)
    await deeper_than_final(anvil_world)
    assert (await state_of(anvil_world, ours.id)).state == "final"
    await anvil_world.mirror.step()
    async with transaction(anvil_world.engine) as session:
        await mirror_store.unfreeze(session, rewind_to=await anvil_world.token.head() - 11)
    progress = await anvil_world.mirror.step()
    assert (progress.outcome, progress.rewound) == (StepOutcome.ADVANCED, 11)
    assert await anvil_world.balances() == {wallet(1): 1}
    assert (await state_of(anvil_world, ours.id)).state == "submitted"
    assert anvil_world.mirror.alarm is None
    await same_as_fresh(anvil_world)


async def test_an_operator_who_changes_nothing_gets_the_same_answer(anvil_world: World) -> None:
    await deeper_than_final(anvil_world)
    await anvil_world.mirror.step()
    async with transaction(anvil_world.engine) as session:
        await mirror_store.unfreeze(session)
    assert (await anvil_world.state()).frozen_reason is None
    assert (await anvil_world.mirror.step()).outcome is StepOutcome.FROZEN


async def test_a_node_that_fell_back_takes_nothing_back(anvil_world: World) -> None:
    """Rolled back without new blocks, a node is like one that is behind; with other blocks it is a fork."""
    token = anvil_world.token
    await token.issue([(wallet(1), 5)])
    await token.issue([(wallet(1), 6)])
    await anvil_world.mirror.step()
    before = await anvil_world.contents()
    await token.rpc.call("anvil_rollback", 1)
    progress = await anvil_world.mirror.step()
    assert progress.outcome is StepOutcome.BEHIND
    assert progress.node_head_number == progress.head_number - 1
    assert await anvil_world.contents() == before
    await token.issue([(wallet(1), 60)])
    progress = await anvil_world.mirror.step()
    assert (progress.outcome, progress.rewound) == (StepOutcome.ADVANCED, 1)
    assert await anvil_world.balances() == {wallet(1): 65}
    await same_as_fresh(anvil_world)


async def test_a_shorter_chain_of_other_blocks_is_followed(anvil_world: World) -> None:
    token = anvil_world.token
    await token.issue([(wallet(1), 5)])
    await mine(token, 4)
    await anvil_world.mirror.step()
    await token.rpc.call("anvil_rollback", 5)
    await token.issue([(wallet(2), 8)])
    progress = await anvil_world.mirror.step()
    assert (progress.outcome, progress.rewound) == (StepOutcome.ADVANCED, 5)
    assert await anvil_world.balances() == {wallet(2): 8}
    await same_as_fresh(anvil_world)


@pytest.fixture
async def own_anvil_token() -> AsyncIterator[Token]:
    """On a node of the test's own: anvil forgets the states of old blocks when it has many."""
    with running_anvil() as url:
        async with RpcClient(url) as rpc:
            yield await deploy(rpc, Account.from_key(ANVIL_KEY), Account.from_key(b"\x07" * 32))


async def test_a_fork_further_back_than_one_look(engine: AsyncEngine, own_anvil_token: Token) -> None:
    """The stored hashes are compared window by window."""
    anvil_token = own_anvil_token
    world = mirror_of(engine, anvil_token, finality=Finality.by_depth(400))
    await anvil_token.issue([(wallet(1), 5)])
    await anvil_token.issue([(wallet(1), 6)])
    await anvil_token.rpc.call("anvil_mine", hex(300))
    await world.mirror.step()
    await anvil_token.rpc.call("anvil_rollback", 301)
    await anvil_token.issue([(wallet(2), 1)])
    await anvil_token.rpc.call("anvil_mine", hex(310))
    progress = await world.mirror.step()
    assert progress.rewound == 301
    assert await world.balances() == {wallet(1): 5, wallet(2): 1}


async def test_a_chain_that_lost_its_first_block_freezes(anvil_world: World) -> None:
    """Another genesis behind the same address: not even the deployment's block is shared."""
    token = anvil_world.token
    await anvil_world.mirror.step()
    depth = await token.head() - token.deployment.block_number + 1
    await reorg(token, depth)
    assert (await anvil_world.mirror.step()).outcome is StepOutcome.FROZEN
    assert (await anvil_world.state()).frozen_reason == (
        f"the chain forked before its first block, below the final block {token.deployment.block_number}"
    )


async def test_events_leave_with_their_blocks(anvil_world: World) -> None:
    token = anvil_world.token
    await token.issue([(wallet(1), 5)], root("kept"))
    await token.issue([(wallet(1), 5)], root("gone"))
    await anvil_world.mirror.step()
    await reorg(token, 1)
    await anvil_world.mirror.step()
    roots = [event.data["trailRoot"] for event in await anvil_world.rows(ChainEvent) if event.name == "Issued"]
    assert roots == ["0x" + root("kept").hex()]


async def test_a_signed_transaction_is_not_lost(anvil_world: World) -> None:
    """The very bytes that a reorganisation dropped can be sent again."""
    token = anvil_world.token
    call = token.issue_call([(wallet(1), 5)], root("again"), 1)
    raw = await signed(token.rpc, token.chain_id, token.admin, token.address, call)
    first = await token.rpc.call("eth_sendRawTransaction", raw)
    await anvil_world.mirror.step()
    await reorg(token, 1)
    await anvil_world.mirror.step()
    assert await anvil_world.balances() == {}
    assert await token.rpc.call("eth_sendRawTransaction", raw) == first
    await anvil_world.mirror.step()
    assert await anvil_world.balances() == {wallet(1): 5}
