"""Two nodes: what they do not agree on is not taken, and a final block of which they hold two stops everything."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from chain.mirror.kit import Token, root, wallet
from chain.mirror.lies import forged
from chain.mirror.proxy import Alteration, Proxy
from chain.mirror.world import World, mirror_of
from mereau.chain import alarms
from mereau.chain.alarms import HEAD_AGE, NODE, SECOND_NODE
from mereau.chain.faults import NodeFaultError
from mereau.chain.finality import Finality
from mereau.chain.mirror import StepOutcome
from mereau.chain.rpc import RpcClient, quantity
from mereau.core.db import snapshot

DEPTH = 4


@pytest.fixture
async def second(chain_url: str) -> AsyncIterator[Proxy]:
    """The embedded node once more, under another address and able to lie."""
    async with Proxy(chain_url) as relay:
        yield relay


@pytest.fixture
async def pair(engine: AsyncEngine, token: Token, second: Proxy) -> AsyncIterator[World]:
    """A mirror with two nodes that has seen the deployment; blocks and a credit wait. Final is `DEPTH` below."""
    async with AsyncExitStack() as stack:
        rpc = await stack.enter_async_context(RpcClient(second.url))
        world = mirror_of(engine, token, finality=Finality.by_depth(DEPTH), second=rpc)
        await world.mirror.step()
        await mine(token, 2 * DEPTH)
        await token.issue([(wallet(1), 5)], root("first"))
        yield world


async def mine(token: Token, blocks: int) -> None:
    for _ in range(blocks):
        await token.rpc.call("evm_mine")


def down(_: bytes) -> tuple[int, bytes]:
    return 502, b""


def elsewhere(method: str, _: list[Any], result: Any) -> Any:
    return "0x1" if method == "eth_chainId" else result


def misnamed(method: str, _: list[Any], result: Any) -> Any:
    return {**result, "hash": "0x" + "77" * 32} if method == "eth_getBlockByNumber" and result else result


async def standing(world: World) -> dict[str, str]:
    async with snapshot(world.engine) as session:
        return {alarm.name: alarm.detail for alarm in await alarms.alarms(session)}


def forked_from(number: int) -> Alteration:
    """A node with other blocks from `number` on."""

    def alter(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getBlockByNumber" and result is not None and int(result["number"], 16) >= number:
            return forged(result, stateRoot="0x" + "99" * 32)
        return result

    return alter


async def short_head(token: Token, blocks: int) -> Alteration:
    """A node that lacks the newest `blocks` blocks."""
    newest = await token.head() - blocks
    head = await token.rpc.call("eth_getBlockByNumber", quantity(newest), False)

    def alter(method: str, params: list[Any], result: Any) -> Any:
        if method != "eth_getBlockByNumber" or (params[0] != "latest" and int(params[0], 16) <= newest):
            return result
        return head if params[0] == "latest" else None

    return alter


async def test_two_nodes_of_one_mind_are_followed(pair: World) -> None:
    progress = await pair.mirror.step()
    assert (progress.outcome, progress.head_number) == (StepOutcome.ADVANCED, await pair.token.head())
    assert (await pair.mirror.step()).outcome is StepOutcome.IDLE
    assert await standing(pair) == {}


@pytest.mark.parametrize("back", [0, 3])
async def test_a_dispute_above_the_final_block_is_waited_out(pair: World, second: Proxy, back: int) -> None:
    """Everything before the first block of which there are two is taken, and nothing after it."""
    head = await pair.token.head()
    second.alter = forked_from(head - back)
    progress = await pair.mirror.step()
    assert (progress.outcome, progress.head_number) == (StepOutcome.ADVANCED, head - back - 1)
    assert await standing(pair) == {SECOND_NODE: f"the second node disagrees from block {head - back} on"}
    before, checked_at = await pair.contents(), (await pair.state()).checked_at
    assert (await pair.mirror.step()).outcome is StepOutcome.DISPUTED
    pair.clock.advance(timedelta(minutes=1))
    assert (await pair.mirror.step()).outcome is StepOutcome.DISPUTED
    assert (await pair.contents(), (await pair.state()).checked_at) == (before, checked_at)
    second.alter = None
    assert (await pair.mirror.step()).head_number == head
    assert await standing(pair) == {}


@pytest.mark.parametrize("below", [0, 3])
async def test_two_final_blocks_freeze(pair: World, second: Proxy, below: int) -> None:
    head = await pair.token.head()
    second.alter = forked_from(head - DEPTH - below)
    before = await pair.contents()
    assert (await pair.mirror.step()).outcome is StepOutcome.FROZEN
    assert f"of final block {head - DEPTH} the node holds 0x" in str((await pair.state()).frozen_reason)
    assert await pair.contents() == before
    second.alter = None
    assert (await pair.mirror.step()).outcome is StepOutcome.FROZEN


@pytest.mark.parametrize(("blocks", "says"), [(16, None), (17, "the second node is 17 blocks behind")])
async def test_a_second_node_that_is_behind_only_alarms(
    pair: World, second: Proxy, blocks: int, says: str | None
) -> None:
    await mine(pair.token, 10)
    second.alter = await short_head(pair.token, blocks)
    assert (await pair.mirror.step()).head_number == await pair.token.head()
    assert (await standing(pair)).get(SECOND_NODE) == says


async def test_a_second_node_that_is_down_only_alarms(pair: World, second: Proxy) -> None:
    second.mangle = down
    assert (await pair.mirror.step()).head_number == await pair.token.head()
    assert "cannot be asked" in (await standing(pair))[SECOND_NODE]
    asked = len(second.methods)
    assert (await pair.mirror.step()).outcome is StepOutcome.IDLE
    assert len(second.methods) == asked, "a silent node is left alone for a while"
    second.mangle = None
    pair.clock.advance(timedelta(seconds=10))
    assert (await pair.mirror.step()).outcome is StepOutcome.IDLE
    assert await standing(pair) == {}


async def test_a_second_node_of_another_chain_only_alarms(pair: World, second: Proxy) -> None:
    second.alter = elsewhere
    assert (await pair.mirror.step()).head_number == await pair.token.head()
    assert "the node serves chain 0x1" in (await standing(pair))[SECOND_NODE]


async def test_a_dispute_that_cannot_be_traced_is_waited_out(pair: World, second: Proxy) -> None:
    """It disagrees about the head and then falls silent: nothing may be taken on the other node's word."""
    head, forked = await pair.token.head(), forked_from(await pair.token.head())

    def alter(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getBlockByNumber" and params[0] != "latest" and int(params[0], 16) < head:
            return None
        return forked(method, params, result)

    second.alter = alter
    before = await pair.contents()
    assert (await pair.mirror.step()).outcome is StepOutcome.DISPUTED
    assert "disagrees, and cannot be asked" in (await standing(pair))[SECOND_NODE]
    assert await pair.contents() == before


async def test_without_a_second_node_its_alarm_is_cleared(pair: World, second: Proxy) -> None:
    second.mangle = down
    await pair.mirror.step()
    assert SECOND_NODE in await standing(pair)
    await mirror_of(pair.engine, pair.token).mirror.step()
    assert await standing(pair) == {}


async def test_an_old_head_alarms_where_blocks_are_due(engine: AsyncEngine, token: Token) -> None:
    world = mirror_of(engine, token, head_age_max=timedelta(seconds=60))
    made = await token.rpc.call("eth_getBlockByNumber", "latest", False)
    age = timedelta(seconds=int(made["timestamp"], 16) - world.clock.now().timestamp())
    for late, alarmed in ((60, False), (61, True), (3, False)):
        world.clock.advance(age + timedelta(seconds=late))
        await world.mirror.step()
        assert (HEAD_AGE in await standing(world)) is alarmed
        world.clock.advance(-age - timedelta(seconds=late))


async def test_a_node_that_contradicts_itself_stands_as_an_alarm(lying: World, proxy: Proxy) -> None:
    proxy.alter = misnamed
    with pytest.raises(NodeFaultError, match="does not hash"):
        await lying.mirror.step()
    assert "does not hash" in (await standing(lying))[NODE]
    proxy.alter = None
    await lying.mirror.step()
    assert await standing(lying) == {}
