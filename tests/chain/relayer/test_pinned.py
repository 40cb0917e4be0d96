"""Reads at one pinned block: what came later is not seen, and a block that is gone answers nothing."""

import asyncio
from dataclasses import replace

import pytest

from chain.relayer.kit import PARTNER, Desk
from chain.relayer.proxy import Fault, FaultProxy, let_pass
from mereau.chain.errors import BlockUnknownError, RpcUnavailableError
from mereau.chain.pinned import PinnedBlock
from mereau.chain.rpc import RpcClient


async def pinned(desk: Desk, rpc: RpcClient | None = None) -> PinnedBlock:
    return await PinnedBlock.latest(rpc or desk.rpc, desk.deployment)


async def test_the_head_is_pinned_with_its_particulars(desk: Desk) -> None:
    block = await pinned(desk)
    head = await desk.rpc.call("eth_getBlockByNumber", hex(block.number), False)
    assert (block.hash.hex(), block.timestamp_s) == (head["hash"][2:], int(head["timestamp"], 16))
    assert block.gas_limit == int(head["gasLimit"], 16)
    assert await block.timestamp_at(block.number) == block.timestamp_s


async def test_what_happens_later_is_not_seen(desk: Desk) -> None:
    member, relayer = desk.member(1), desk.actors.admin
    before = await pinned(desk)
    nonces = await before.account_nonces([relayer])
    await desk.issue_directly([(member, 7)], bytes(32))
    await desk.register(allowance=500)
    after = await pinned(desk)
    old, new = [await block.partners([PARTNER]) for block in (before, after)]
    assert (old[PARTNER].sequence, old[PARTNER].net_issued) == (0, 0)
    assert (new[PARTNER].sequence, new[PARTNER].net_issued, new[PARTNER].allowance) == (1, 7, 500)
    assert await before.account_nonces([relayer]) == nonces
    assert await after.account_nonces([relayer]) == {relayer: nonces[relayer] + 1}
    assert await after.account_nonces_at([relayer], before.number) == nonces
    assert await after.timestamp_at(before.number) == before.timestamp_s


async def test_many_are_asked_in_order_and_none_is_asked_for_nothing(desk: Desk) -> None:
    block = await pinned(desk)
    terms = await block.partners([PARTNER, 77, 2**32 - 1])
    assert [(number, one.known) for number, one in terms.items()] == [(PARTNER, True), (77, False), (2**32 - 1, False)]
    members = [desk.member(number) for number in range(3)]
    assert await block.redemption_nonces(members) == dict.fromkeys(members, 0)
    assert await block.expiry_sequence() == 0
    assert (await block.partners([]), await block.account_nonces([])) == ({}, {})


async def test_a_block_that_this_chain_does_not_have_answers_nothing(desk: Desk) -> None:
    gone = replace(await pinned(desk), hash=b"\x01" * 32)
    for question in (
        gone.partners([PARTNER]),
        gone.expiry_sequence(),
        gone.redemption_nonces([desk.member(1)]),
        gone.account_nonces([desk.actors.relayer]),
    ):
        with pytest.raises(BlockUnknownError):
            await question


async def test_one_question_that_fails_fails_them_all(desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient) -> None:
    """Half of an answer would let decisions rest on two blocks."""
    block = await pinned(desk, faulty_rpc)
    proxy.fail_once("eth_call", Fault(error={"code": -32000, "message": "header not found"}))
    with pytest.raises(BlockUnknownError):
        await block.partners([1, 2, 3])
    proxy.fail_once("eth_call", Fault(hang_up=True))
    with pytest.raises(RpcUnavailableError):
        await block.partners([1, 2, 3])
    assert len(await block.partners([1, 2, 3])) == 3


async def test_a_node_that_shows_nothing_is_asked_again(desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient) -> None:
    """A null block or a contract without code is a node that is not there yet, and never a fact about the chain."""
    block = await pinned(desk, faulty_rpc)
    proxy.fail_always("eth_getBlockByNumber", Fault(forward=False))
    for question in (pinned(desk, faulty_rpc), block.timestamp_at(block.number)):
        with pytest.raises(RpcUnavailableError, match="the node shows no"):
            await question
    proxy.fail_always("eth_call", Fault(result="0x"))
    for question in (block.partners([PARTNER]), block.expiry_sequence(), block.redemption_nonces([bytes(20)])):
        with pytest.raises(RpcUnavailableError, match="the node shows no contract"):
            await question
    proxy.rule = let_pass
    assert (await pinned(desk, faulty_rpc)).hash == block.hash


async def test_questions_of_one_block_may_run_side_by_side(desk: Desk) -> None:
    block = await pinned(desk)
    await desk.issue_directly([(desk.member(1), 7)], bytes(32))
    answers = await asyncio.gather(*(block.partners([PARTNER]) for _ in range(12)))
    assert {one[PARTNER].net_issued for one in answers} == {0}
