"""Nodes that are behind, refuse, or disagree with themselves about what is final."""

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from chain.mirror.kit import Token
from chain.mirror.lies import Change, forged, on, recovers, refuse, unmoved
from chain.mirror.proxy import Alteration, Proxy, Refusal
from chain.mirror.world import World, mirror_of
from mereau.chain.errors import ForeignChainError, LimitExceededError, RpcError
from mereau.chain.faults import NodeBehindError, NodeFaultError
from mereau.chain.finality import Finality
from mereau.chain.mirror import StepOutcome
from mereau.chain.models import Deployment, MirrorState
from mereau.chain.pace import Pace
from mereau.chain.rpc import RpcClient, quantity


def serving(head: dict[str, Any]) -> Alteration:
    """A node whose head is `head`: what is newer does not exist."""

    def alter(method: str, params: list[Any], result: Any) -> Any:
        if method != "eth_getBlockByNumber":
            return result
        if params[0] in {"latest", "finalized"}:
            return head
        return None if int(params[0], 16) > int(head["number"], 16) else result

    return alter


@pytest.mark.parametrize("back", [1, 2, 1000])
async def test_an_older_head_takes_nothing_back(lying: World, proxy: Proxy, back: int) -> None:
    """Behind a load balancer the next node may be some blocks short, or still syncing."""
    number = max(0, (await lying.state()).head_number - back)
    head = await lying.token.rpc.call("eth_getBlockByNumber", quantity(number), False)
    proxy.alter = serving(head)
    before = await lying.contents()
    progress = await lying.mirror.step()
    assert (progress.outcome, progress.node_head_number) == (StepOutcome.BEHIND, number)
    assert await lying.contents() == before
    assert (await lying.state()).node_head_number == number
    await recovers(lying, proxy)


async def test_a_head_that_the_node_cannot_show_is_retried(lying: World, proxy: Proxy) -> None:
    """The head is announced and the blocks up to it are not there yet."""
    before = (await lying.state()).head_number
    block = await lying.token.rpc.call("eth_getBlockByNumber", quantity(before), False)
    ahead = forged(block, number=quantity(before + 50))
    proxy.alter = lambda method, params, result: (
        ahead if method == "eth_getBlockByNumber" and params[0] == "latest" else result
    )
    await unmoved(lying, NodeBehindError)
    await recovers(lying, proxy)


@pytest.mark.parametrize(
    ("answer", "error"), [((-32000, "boom"), RpcError), ((-32005, "limit exceeded"), LimitExceededError)]
)
async def test_a_nodes_error_is_passed_on(
    lying: World, proxy: Proxy, answer: tuple[int, str], error: type[Exception]
) -> None:
    proxy.alter = on("eth_chainId", refuse(*answer))
    await unmoved(lying, error)
    await recovers(lying, proxy)


async def test_an_error_for_the_head_is_passed_on(lying: World, proxy: Proxy) -> None:
    proxy.alter = on("eth_getBlockByNumber", refuse(-32000, "boom"))
    await unmoved(lying, RpcError, "boom")
    await recovers(lying, proxy)


async def test_refused_ranges_become_shorter(engine: AsyncEngine, token: Token, proxy: Proxy) -> None:
    """A node that serves no more than two blocks at once is followed two by two."""
    for _ in range(6):
        await token.rpc.call("evm_mine")
    pace = Pace(blocks=8, blocks_max=8)

    def limited(method: str, params: list[Any], result: Any) -> Any:

        by_number = method == "eth_getBlockByNumber" and params[0].startswith("0x")
        if by_number and pace.blocks > 2:
            raise Refusal(-32005, "block range is too large")
        return result

    async with RpcClient(proxy.url) as rpc:
        world = mirror_of(engine, token, rpc=rpc, pace=pace)
        await world.mirror._load()
        for blocks in (4, 2):
            proxy.alter = limited
            with pytest.raises(LimitExceededError):
                await world.mirror.step()
            assert pace.blocks == blocks
        proxy.alter = limited
        await world.mirror.step()
    assert (await world.state()).head_number == await token.head()


async def test_a_finalised_block_off_the_chain_is_refused(lying: World, proxy: Proxy) -> None:
    head = await lying.token.rpc.call("eth_getBlockByNumber", "latest", False)

    def alter(method: str, params: list[Any], result: Any) -> Any:
        tagged = method == "eth_getBlockByNumber" and params[0] == "finalized"
        return forged(head, stateRoot="0x" + "11" * 32) if tagged else result

    proxy.alter = alter
    await unmoved(lying, NodeFaultError, "not on the node's own chain")
    await recovers(lying, proxy)


@pytest.mark.parametrize("unknown", [lambda _: None, refuse(-39001, "Unknown block")], ids=["null", "error"])
async def test_before_the_first_final_block_only_the_deployment_is_final(
    engine: AsyncEngine, token: Token, proxy: Proxy, unknown: Change
) -> None:
    def alter(method: str, params: list[Any], result: Any) -> Any:
        tagged = method == "eth_getBlockByNumber" and params[0] == "finalized"
        return unknown(result) if tagged else result

    proxy.alter = alter
    async with RpcClient(proxy.url) as rpc:
        world = mirror_of(engine, token, rpc=rpc, finality=Finality.by_tags())
        await world.mirror.step()
        assert (await world.state()).final_number == token.deployment.block_number
        proxy.alter = None
        await world.mirror.step()
        assert (await world.state()).final_number == await token.head()


async def test_finality_never_goes_back(lying: World, proxy: Proxy) -> None:
    before = (await lying.state()).final_number
    old = await lying.token.rpc.call("eth_getBlockByNumber", quantity(before - 1), False)

    def alter(method: str, params: list[Any], result: Any) -> Any:
        return old if method == "eth_getBlockByNumber" and params[0] == "finalized" else result

    proxy.alter = alter
    await lying.mirror.step()
    assert (await lying.state()).final_number == before


async def test_a_deployment_on_another_chain_is_refused(engine: AsyncEngine, token: Token) -> None:
    other = Deployment(
        chain_id=token.chain_id,
        contract=token.address,
        block_number=token.deployment.block_number,
        block_hash=bytes(32),
    )
    world = mirror_of(engine, token, deployment=other)
    with pytest.raises(ForeignChainError, match="not the block of the deployment"):
        await world.mirror.step()
    assert await world.rows(MirrorState) == []


async def test_a_node_that_has_not_reached_the_deployment_is_behind(engine: AsyncEngine, token: Token) -> None:
    later = Deployment(
        chain_id=token.chain_id,
        contract=token.address,
        block_number=await token.head() + 100,
        block_hash=bytes(32),
    )
    with pytest.raises(NodeBehindError, match="does not have block"):
        await mirror_of(engine, token, deployment=later).mirror.step()
