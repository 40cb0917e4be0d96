"""A node that lies, stammers or falls behind: nothing of it is written, and the truth is taken up afterwards."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from chain.mirror.lies import Change, forged, next_block, on, recovers, unmoved
from chain.mirror.proxy import Proxy, Refusal
from chain.mirror.world import World
from mereau.chain.errors import ForeignChainError, RpcUnavailableError
from mereau.chain.faults import NodeBehindError, NodeFaultError
from mereau.chain.rpc import quantity


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
