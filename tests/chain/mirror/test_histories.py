"""Random histories with reorganisations: the mirror equals the contract and a replay from the first block."""

from collections.abc import Sequence
from typing import Any

import pytest
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from chain.mirror.batches import batch
from chain.mirror.kit import Token, deploy, root, wallet
from chain.mirror.world import World, mirror_of
from fixtures.chain import ANVIL_KEY
from mereau.chain.contract import encode_call
from mereau.chain.finality import Finality
from mereau.chain.models import Batch, ChainEvent
from mereau.chain.pace import Pace
from mereau.chain.rpc import RpcClient
from mereau.core.db import transaction

pytestmark = pytest.mark.node
SEQUENCES = 25
WALLETS = 4

wallets = st.integers(0, WALLETS - 1)
credits_ = st.lists(st.tuples(wallets, st.integers(1, 50)), min_size=1, max_size=6)
actions = st.lists(
    st.tuples(st.just("issue"), credits_)
    | st.tuples(st.just("reverse"), wallets, st.integers(1, 30))
    | st.tuples(st.just("transfer"), wallets, st.integers(1, 30))
    | st.tuples(st.just("mine"), st.integers(1, 3))
    | st.tuples(st.just("reorg"), st.integers(1, 5), st.booleans())
    | st.tuples(st.just("rollback"), st.integers(1, 5))
    | st.tuples(st.just("step")),
    min_size=3,
    max_size=25,
)


async def act(token: Token, floor: int, action: Sequence[Any]) -> None:
    """Do one thing to the chain; what the contract would refuse is left out, as is a fork below `floor`."""
    name, *arguments = action
    if name == "issue":
        listed = [(wallet(number), tokens) for number, tokens in arguments[0]]
        number = await token.next_sequence()
        await token.issue([*listed, (bytes.fromhex(token.admin.address[2:]), 1)], root(f"issue {number}"))
    elif name == "reverse":
        tokens = min(arguments[1], await token.balance(wallet(arguments[0])))
        if tokens:
            await token.reverse([(wallet(arguments[0]), tokens)])
    elif name == "transfer":
        tokens = min(arguments[1], await token.balance(bytes.fromhex(token.admin.address[2:])))
        await token.send(encode_call("transfer", wallet(arguments[0]), tokens))
    elif name == "mine":
        await token.rpc.call("anvil_mine", hex(arguments[0]))
    elif name in {"reorg", "rollback"}:
        depth = min(arguments[0], await token.head() - floor)
        if depth > 0:
            kept = [[]] if name == "reorg" else []
            await token.rpc.call(f"anvil_{name}", depth, *kept)


def issue_batch(sequence: int) -> Batch:
    """What `act` issues at this sequence, if it comes to issue there."""
    return batch("issue", partner=1, sequence=sequence, trail_root=root(f"issue {sequence}"))


async def clean(engine: AsyncEngine) -> None:
    async with transaction(engine) as session:
        connection = await session.connection()
        await connection.exec_driver_sql(
            "truncate chain_blocks, chain_transfers, chain_events, chain_balances, chain_mirror"
        )
        await connection.exec_driver_sql(
            "update chain_batches set state = 'submitted', block_number = null where state <> 'submitted'"
        )


async def expect_truth(world: World) -> None:
    """Balances, supply and batches say what the contract says."""
    token = world.token
    for account, tokens in await world.balances_with_zeros():
        assert await token.balance(account) == tokens
    state = await world.state()
    assert state.supply == await token.supply() == sum((await world.balances()).values())
    executed = {
        (event.data["sequence"], event.data["trailRoot"])
        for event in await world.rows(ChainEvent)
        if event.name == "Issued"
    }
    for row in await world.rows(Batch):
        assert row.trail_root is not None
        is_there = (row.sequence, "0x" + row.trail_root.hex()) in executed
        assert row.state == ("mined" if is_there else "submitted")


@settings(max_examples=8)
@given(history=actions, chunk=st.integers(1, 4))
async def test_any_history_ends_in_the_truth(
    engine: AsyncEngine, anvil_rpc: RpcClient, history: list[Any], chunk: int
) -> None:
    """The mirror steps at random moments, so that forks hit it in the middle, at the head, or not at all."""
    await clean(engine)
    token = await deploy(anvil_rpc, Account.from_key(ANVIL_KEY), Account.from_key(b"\x07" * 32))
    floor = await token.head()
    finality = Finality.by_depth(1_000)
    world = mirror_of(engine, token, finality=finality, pace=Pace(blocks=chunk, blocks_max=chunk))
    if not await world.rows(Batch):
        await world.add(*(issue_batch(number) for number in range(1, SEQUENCES + 1)))
    for action in history:
        if action[0] == "step":
            await world.mirror.step()
        else:
            await act(token, floor, action)
    await token.rpc.call("anvil_mine", hex(30))
    await world.mirror.step()
    await world.mirror.step()
    await expect_truth(world)
    contents = await world.contents()
    await clean(engine)
    replay = mirror_of(engine, token, finality=finality)
    await replay.mirror.step()
    assert await replay.contents() == contents
