"""What the network and crashes do: lost replies, refused broadcasts, restarts between any two writes."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from chain.relayer.kit import Desk, frozen, seconds
from chain.relayer.proxy import Fault, FaultProxy, let_pass
from mereau.chain import relayer_store
from mereau.chain.errors import RpcUnavailableError
from mereau.chain.orders import OrderKind
from mereau.chain.rpc import RpcClient
from mereau.core.db import transaction

SEND = "eth_sendRawTransaction"


class Killed(BaseException):
    """The process dies here; nothing after this line runs."""


async def queue_three(desk: Desk) -> list[bytes]:
    members = [desk.member(number) for number in range(3)]
    await desk.enqueue(*(desk.order(OrderKind.ISSUE, member, 7) for member in members))
    return members


async def assert_executed_once(desk: Desk, members: list[bytes]) -> None:
    assert [await desk.balance(member) for member in members] == [7, 7, 7]
    assert (await desk.read("totalSupply"))[0] == 21
    assert await desk.sequence() == 1
    assert [batch.state for batch in await desk.batches()] == ["final"]
    assert set((await desk.states()).values()) == {"sealed"}


async def test_a_reply_lost_after_the_broadcast_does_no_harm(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient
) -> None:
    members = await queue_three(desk)
    proxy.fail_once(SEND, Fault(hang_up=True))
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        with pytest.raises(RpcUnavailableError):
            await relayer.step()
        await desk.cycle(relayer, 2)
    assert len(proxy.sent) == 1
    await assert_executed_once(desk, members)


async def test_a_broadcast_that_never_arrived_is_repeated_byte_for_byte(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient
) -> None:
    members = await queue_three(desk)
    proxy.fail_once(SEND, Fault(forward=False, hang_up=True))
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        with pytest.raises(RpcUnavailableError):
            await relayer.step()
        await desk.cycle(relayer, 2)
    assert len(proxy.sent) == 2
    assert proxy.sent[0] == proxy.sent[1]
    await assert_executed_once(desk, members)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=502, body=b"<html>Bad Gateway</html>"),
        Fault(body=b'{"jsonrpc": "2.0", "id": 1, "resu'),
        Fault(status=429, body=b'{"message": "slow down"}'),
        Fault(body=b"null"),
    ],
    ids=["gateway", "cut short", "rate limit", "null"],
)
async def test_spoilt_replies_to_a_broadcast_are_an_unknown_outcome(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient, fault: Fault
) -> None:
    members = await queue_three(desk)
    proxy.fail_once(SEND, fault)
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        with pytest.raises(RpcUnavailableError):
            await relayer.step()
        await desk.cycle(relayer, 2)
    await assert_executed_once(desk, members)


async def test_already_known_is_a_success(desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient) -> None:
    members = await queue_three(desk)
    proxy.fail_once(SEND, Fault(error={"code": -32000, "message": "already known"}))
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        assert (await relayer.step()).broadcasts == 1
        (attempt,) = await desk.rows("select broadcast_at from chain_attempts")
        assert attempt.broadcast_at is not None
        await desk.cycle(relayer)
    await assert_executed_once(desk, members)


async def test_nonce_too_low_decides_nothing(desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient) -> None:
    """The node has executed the transaction and says so in a way that looks like a failure."""
    members = await queue_three(desk)
    proxy.fail_once(SEND, Fault(error={"code": -32000, "message": "nonce too low: next nonce 1, tx nonce 0"}))
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        await relayer.step()
        assert [batch.state for batch in await desk.batches()] == ["sealed"]
        await desk.cycle(relayer, 2)
    assert len(proxy.sent) == 1
    await assert_executed_once(desk, members)


async def test_no_gas_money_is_waited_for(desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient) -> None:
    members = await queue_three(desk)
    refusal = {"code": -32000, "message": "insufficient funds for gas * price + value"}
    proxy.fail_always(SEND, Fault(forward=False, error=refusal))
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        await desk.cycle(relayer, 3)
        assert [batch.state for batch in await desk.batches()] == ["sealed"]
        proxy.rule = let_pass
        await desk.cycle(relayer, 2)
    assert len(set(proxy.sent)) == 1
    await assert_executed_once(desk, members)


async def test_an_underpriced_attempt_is_bumped_on_its_nonce(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient
) -> None:
    members = await queue_three(desk)
    refusal = {"code": -32000, "message": "replacement transaction underpriced"}
    proxy.fail_once(SEND, Fault(forward=False, error=refusal))
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        await desk.cycle(relayer, 3)
    attempts = await desk.rows("select * from chain_attempts order by max_fee_per_gas_wei")
    assert len(attempts) == 2
    assert len(await desk.rows("select 1 from chain_transactions")) == 1
    for column in ("max_fee_per_gas_wei", "max_priority_fee_per_gas_wei"):
        low, high = (getattr(attempt, column) for attempt in attempts)
        assert high * 8 >= low * 9
    await assert_executed_once(desk, members)


BOUNDARIES = ("seal", "open_transaction", "mark_broadcast")


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_crash_at_a_write_boundary_changes_nothing_in_the_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, boundary: str, moment: str
) -> None:
    members = await queue_three(desk)
    async with desk.relayer() as relayer:
        with monkeypatch.context() as patch:
            patch.setattr(relayer_store, boundary, dying(getattr(relayer_store, boundary), moment))
            with pytest.raises(Killed):
                await relayer.step()
    # Whatever the first process wrote in the transaction that it died in is gone with it.
    async with desk.relayer() as successor:
        await desk.cycle(successor, 3)
    await assert_executed_once(desk, members)


async def test_a_crash_between_two_commits_changes_nothing_in_the_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the batch is committed and before its nonce is stored: another process finishes the batch."""
    members = await queue_three(desk)
    async with desk.relayer() as relayer:
        with monkeypatch.context() as patch:
            patch.setattr(relayer_store, "open_transaction", dying(relayer_store.open_transaction, "before"))
            with pytest.raises(Killed):
                await relayer.step()
        assert [batch.state for batch in await desk.batches()] == ["sealed"]
        assert await desk.rows("select 1 from chain_transactions") == []
    async with desk.relayer() as successor:
        assert (await desk.cycle(successor)).orders == 0
    await assert_executed_once(desk, members)


def dying(function: Callable[..., Any], moment: str) -> Callable[..., Any]:
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        if moment == "after":
            await function(*args, **kwargs)
        raise Killed

    return wrapped


async def test_a_node_behind_what_was_seen_decides_nothing(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient
) -> None:
    members = await queue_three(desk)
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        await desk.cycle(relayer)
        old = await desk.rpc.call("eth_getBlockByNumber", "0x1", False)
        await desk.enqueue(desk.order(OrderKind.ISSUE, members[0], 1))
        proxy.fail_once("eth_getBlockByNumber", Fault(result=old))
        progress = await relayer.step()
        assert progress.waits_for == "the node is behind what was seen before"
        assert (await desk.cycle(relayer)).orders == 1
    assert await desk.balance(members[0]) == 8


async def test_a_frozen_mirror_stops_sealing(desk: Desk) -> None:
    members = await queue_three(desk)
    async with desk.relayer() as relayer:
        await desk.cycle(relayer)
        await run(desk, "update chain_mirror set frozen_reason = 'a deep reorganisation'")
        await desk.enqueue(desk.order(OrderKind.ISSUE, members[0], 1))
        assert (await relayer.step()).waits_for == "a deep reorganisation"
        await run(desk, "update chain_mirror set frozen_reason = null")
        assert (await relayer.step()).orders == 1


async def run(desk: Desk, statement: str) -> None:
    async with transaction(desk.engine) as session:
        await session.execute(text(statement))


async def test_clocks_that_jump_do_not_double_anything(desk: Desk) -> None:
    clock = frozen(desk)
    members = await queue_three(desk)
    async with desk.relayer() as relayer:
        await relayer.step()
        for jump in (3_600, -7_200, 86_400):
            clock.advance(seconds(jump))
            await relayer.step()
        await desk.cycle(relayer)
    await assert_executed_once(desk, members)
