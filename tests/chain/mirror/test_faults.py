"""A node that lies, stammers or falls behind: nothing of it is written, and the truth is taken up afterwards."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from eth_utils import keccak
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from chain.mirror.kit import Token, root, wallet
from chain.mirror.proxy import Alteration, Proxy, Refusal
from chain.mirror.world import World, mirror_of
from mereau.chain.errors import ForeignChainError, LimitExceededError, RpcError, RpcUnavailableError
from mereau.chain.faults import NodeBehindError, NodeFaultError
from mereau.chain.finality import Finality
from mereau.chain.headers import _encode
from mereau.chain.mirror import StepOutcome
from mereau.chain.models import ChainBalance, Deployment, MirrorState
from mereau.chain.pace import Pace
from mereau.chain.rpc import RpcClient, quantity
from mereau.core.db import transaction

Change = Callable[[Any], Any]


def on(method: str, change: Change) -> Alteration:
    """Alter the results of one method."""

    def alter(name: str, params: list[Any], result: Any) -> Any:
        return change(copy.deepcopy(result)) if name == method else result

    return alter


def forged(block: dict[str, Any], **fields: object) -> dict[str, Any]:
    """A block with other fields and the hash that belongs to them."""
    changed = {**block, **fields}
    return {**changed, "hash": "0x" + keccak(_encode(changed)).hex()}


def logs_of(receipts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    logs: list[dict[str, Any]] = receipts[0]["logs"]
    return logs


def drop_log(receipts: list[dict[str, Any]]) -> Any:
    logs_of(receipts).pop(1)
    return receipts


def double_log(receipts: list[dict[str, Any]]) -> Any:
    logs_of(receipts).insert(1, logs_of(receipts)[1])
    return receipts


def change_amount(receipts: list[dict[str, Any]]) -> Any:
    logs_of(receipts)[0]["data"] = "0x" + f"{10**6:064x}"
    return receipts


def swap_logs(receipts: list[dict[str, Any]]) -> Any:
    logs_of(receipts).reverse()
    return receipts


def refuse(code: int, message: str) -> Change:
    def raising(result: Any) -> Any:
        raise Refusal(code, message)

    return raising


@pytest.fixture
async def lying(engine: AsyncEngine, token: Token, proxy: Proxy) -> Any:
    """A mirror behind the proxy that has seen one credit; another credit waits on the chain."""
    async with RpcClient(proxy.url) as rpc:
        world = mirror_of(engine, token, rpc=rpc)
        await token.issue([(wallet(1), 5), (wallet(2), 6)], root("first"))
        await world.mirror.step()
        await token.issue([(wallet(1), 10), (wallet(2), 20)], root("second"))
        yield world


async def unmoved(world: World, error: type[Exception], words: str | None = None) -> None:
    """The step raises and neither tables nor ledger hear of anything."""
    before, state, heard = await world.contents(), await world.state(), len(world.deltas)
    with pytest.raises(error, match=words):
        await world.mirror.step()
    assert await world.contents() == before
    now = await world.state()
    assert (now.head_hash, now.supply, now.frozen_reason) == (state.head_hash, state.supply, None)
    assert len(world.deltas) == heard


async def recovers(world: World, proxy: Proxy) -> None:
    proxy.alter, proxy.mangle = None, None
    assert (await world.mirror.step()).outcome is StepOutcome.ADVANCED
    assert await world.balances() == {wallet(1): 15, wallet(2): 26}
    assert world.mirror.alarm is None


RECEIPT_LIES: dict[str, Change] = {
    "missing log": drop_log,
    "doubled log": double_log,
    "changed amount": change_amount,
    "other order": swap_logs,
    "no receipts": lambda _: [],
    "not a list": lambda _: {"logs": []},
}


@pytest.mark.parametrize("lie", RECEIPT_LIES)
async def test_wrong_receipts_are_refused(lying: World, proxy: Proxy, lie: str) -> None:
    proxy.alter = on("eth_getBlockReceipts", RECEIPT_LIES[lie])
    await unmoved(lying, NodeFaultError, "receipts")
    assert lying.mirror.alarm is not None
    await recovers(lying, proxy)


async def test_wrong_receipts_are_refused_one_by_one_too(lying: World, proxy: Proxy) -> None:
    def change(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getBlockReceipts":
            raise Refusal(-32601, "method not found")
        if method == "eth_getTransactionReceipt":
            return change_amount([copy.deepcopy(result)])[0]
        return result

    proxy.alter = change
    await unmoved(lying, NodeFaultError, "not those of the header")
    await recovers(lying, proxy)


def next_block(world_head: int, change: Change) -> Alteration:
    """Alter the block after the mirror's head, when it is asked for by number."""

    def alter(method: str, params: list[Any], result: Any) -> Any:
        mine = method == "eth_getBlockByNumber" and params[0] == quantity(world_head + 1)
        return change(result) if mine else result

    return alter


BLOCK_LIES: dict[str, tuple[Change, str]] = {
    "wrong hash": (lambda block: {**block, "hash": "0x" + "11" * 32}, "does not hash to"),
    "wrong parent": (lambda block: {**block, "parentHash": "0x" + "11" * 32}, "does not hash to"),
    "forged parent": (lambda block: forged(block, parentHash="0x" + "11" * 32), "does not follow"),
    "other number": (lambda block: forged(block, number="0x1"), "asked for block"),
    "garbage": (lambda _: {"number": "0x1"}, "cannot be read"),
}


@pytest.mark.parametrize("lie", BLOCK_LIES)
async def test_wrong_blocks_are_refused(lying: World, proxy: Proxy, lie: str) -> None:
    change, words = BLOCK_LIES[lie]
    proxy.alter = next_block((await lying.state()).head_number, change)
    await unmoved(lying, NodeFaultError, words)
    assert words in str(lying.mirror.alarm)
    await recovers(lying, proxy)


async def test_a_forged_root_is_refused_with_whatever_receipts(lying: World, proxy: Proxy) -> None:
    """A header whose hash is right and whose receipts root is made up, and a node that answers for it."""
    number = (await lying.state()).head_number + 1
    receipts = await lying.token.rpc.call("eth_getBlockReceipts", quantity(number))
    forge = next_block(number - 1, lambda block: forged(block, receiptsRoot="0x" + "11" * 32))
    proxy.alter = lambda method, params, result: (
        receipts if method == "eth_getBlockReceipts" else forge(method, params, result)
    )
    await unmoved(lying, NodeFaultError, "receipts are not")
    await recovers(lying, proxy)


async def test_a_forged_head_is_no_fork(lying: World, proxy: Proxy) -> None:
    """Our own head with another hash than its fields have is a fault; it must neither rewind nor freeze."""
    head = (await lying.state()).head_number
    proxy.alter = next_block(head - 1, lambda block: {**block, "stateRoot": "0x" + "11" * 32})
    await unmoved(lying, NodeFaultError, "does not hash to")
    await recovers(lying, proxy)


async def test_another_chain_is_refused(lying: World, proxy: Proxy) -> None:
    proxy.alter = on("eth_chainId", lambda _: "0x1")
    await unmoved(lying, ForeignChainError, "serves chain 0x1")
    assert "serves chain 0x1" in str(lying.mirror.alarm)
    await recovers(lying, proxy)


MANGLED: dict[str, Callable[[bytes], tuple[int, bytes]]] = {
    "truncated": lambda body: (200, body[: len(body) // 2]),
    "bad gateway": lambda _: (502, b"<html>502 Bad Gateway</html>"),
    "empty": lambda _: (200, b""),
    "not a batch": lambda _: (200, b"null"),
}


@pytest.mark.parametrize("way", MANGLED)
async def test_broken_answers_are_no_answers(lying: World, proxy: Proxy, way: str) -> None:
    proxy.mangle = MANGLED[way]
    await unmoved(lying, RpcUnavailableError)
    await recovers(lying, proxy)


@pytest.mark.parametrize("method", ["eth_getBlockReceipts", "eth_getBlockByNumber"])
async def test_a_block_that_is_gone_is_asked_for_again(lying: World, proxy: Proxy, method: str) -> None:
    head = (await lying.state()).head_number

    def gone(name: str, params: list[Any], result: Any) -> Any:
        following = name == method and params[0] not in {"latest", "finalized", quantity(head)}
        return None if following else result

    proxy.alter = gone
    await unmoved(lying, NodeBehindError, "does not have")
    assert lying.mirror.alarm is None
    await recovers(lying, proxy)


async def test_a_missing_receipt_is_asked_for_again(lying: World, proxy: Proxy) -> None:
    def change(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getBlockReceipts":
            raise Refusal(-32601, "method not found")
        return None if method == "eth_getTransactionReceipt" else result

    proxy.alter = change
    await unmoved(lying, NodeBehindError, "receipts of block")
    await recovers(lying, proxy)


async def test_a_node_without_blocks_is_behind(lying: World, proxy: Proxy) -> None:
    proxy.alter = on("eth_getBlockByNumber", lambda _: None)
    await unmoved(lying, NodeBehindError, "no block")
    await recovers(lying, proxy)


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


@pytest.mark.parametrize("left", [0, None], ids=["too little", "unknown wallet"])
async def test_tables_changed_by_other_hands_freeze_the_mirror(world: World, left: int | None) -> None:
    """Proven debits that the stored balances cannot bear: the mirror stops rather than guess."""
    await world.token.issue([(wallet(1), 5)])
    await world.mirror.step()
    async with transaction(world.engine) as session:
        if left is None:
            row = await session.get(ChainBalance, wallet(1))
            await session.delete(row)
        else:
            await session.execute(update(ChainBalance).values(tokens=left))
    await world.token.reverse([(wallet(1), 3)])
    before = await world.contents()
    assert (await world.mirror.step()).outcome is StepOutcome.FROZEN
    assert "a wallet gave" in str((await world.state()).frozen_reason)
    assert await world.contents() == before


@pytest.mark.node
@pytest.mark.parametrize("left", [0, None], ids=["too little", "unknown wallet"])
async def test_an_undo_that_does_not_fit_freezes_the_mirror(anvil_world: World, left: int | None) -> None:
    token = anvil_world.token
    await token.issue([(wallet(1), 5)])
    await anvil_world.mirror.step()
    async with transaction(anvil_world.engine) as session:
        if left is None:
            row = await session.get(ChainBalance, wallet(1))
            await session.delete(row)
        else:
            await session.execute(update(ChainBalance).values(tokens=left))
    await token.rpc.call("anvil_reorg", 1, [])
    before = await anvil_world.contents()
    assert (await anvil_world.mirror.step()).outcome is StepOutcome.FROZEN
    assert "a wallet" in str((await anvil_world.state()).frozen_reason)
    assert await anvil_world.contents() == before
