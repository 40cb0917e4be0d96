"""The mirror follows a real chain and holds exactly what the chain holds."""

from datetime import timedelta
from itertools import pairwise

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from chain.mirror.kit import EPOCH_S, Token, address, deploy, holder, register_call, root, wallet
from chain.mirror.proxy import Proxy, Refusal
from chain.mirror.world import World, mirror_of
from fixtures.chain import ChainNode
from mereau.chain.contract import UNLIMITED, ZERO_ADDRESS, encode_call, topic
from mereau.chain.faults import OvertakenError
from mereau.chain.mirror import StepOutcome
from mereau.chain.models import Block, ChainEvent, Transfer
from mereau.chain.pace import Pace
from mereau.chain.rpc import RpcClient, hex_bytes, quantity
from mereau.core.db import transaction


async def node_logs(token: Token) -> list[dict[str, str]]:
    """What the node itself answers to eth_getLogs: the oracle for what the mirror took from receipts."""
    criteria = {
        "address": token.address,
        "fromBlock": quantity(token.deployment.block_number),
        "toBlock": "latest",
    }
    answer: list[dict[str, str]] = await token.rpc.call("eth_getLogs", criteria)
    return answer


async def live(token: Token) -> dict[bytes, int]:
    """A history with every kind of order and the balances that it must end with."""
    rich, poor = holder(1), holder(2)
    await token.issue([(address(rich), 100), (address(poor), 40), (wallet(3), 7)], root("one"))
    await token.reverse([(wallet(3), 2)], root("two"))
    await token.redeem([(rich, 30, root("r1")), (poor, 40, root("r2"))])
    await token.issue([(address(token.admin), 50)], root("three"))
    await token.send(encode_call("transfer", wallet(4), 20))
    await token.send(encode_call("transfer", address(token.admin), 5))
    await token.rpc.call("evm_increaseTime", 3 * EPOCH_S)
    await token.expire([(address(rich), 10)], root("four"))
    return {address(rich): 60, wallet(3): 5, address(token.admin): 30, wallet(4): 20}


async def test_every_kind_of_order_reaches_the_balances(world: World) -> None:
    expected = await live(world.token)
    progress = await world.mirror.step()
    assert progress.outcome is StepOutcome.ADVANCED
    assert await world.balances() == expected
    state = await world.state()
    assert state.supply == sum(expected.values()) == await world.token.supply()
    assert state.head_number == state.final_number == progress.head_number == await world.token.head()
    for account, tokens in expected.items():
        assert await world.token.balance(account) == tokens


async def test_the_logs_are_those_of_the_node(world: World) -> None:
    await live(world.token)
    await world.mirror.step()
    logs = await node_logs(world.token)
    places = {(int(log["blockNumber"], 16), int(log["logIndex"], 16)): log for log in logs}
    transfers, events = await world.rows(Transfer), await world.rows(ChainEvent)
    assert {(row.block_number, row.log_index) for row in [*transfers, *events]} == set(places)
    transfer_topic = "0x" + topic("Transfer").hex()
    for row in transfers:
        log = places[row.block_number, row.log_index]
        padding = "0x" + "00" * 12
        assert log["topics"] == [transfer_topic, padding + row.source.hex(), padding + row.target.hex()]
        assert int(log["data"], 16) == row.tokens
    for event in events:
        log = places[event.block_number, event.log_index]
        assert log["topics"][0] == "0x" + topic(event.name).hex()
        assert hex_bytes(log["transactionHash"]) == event.transaction_hash


async def test_events_are_decoded_for_json(world: World) -> None:
    """Integers beyond 2^53 are text, bytes are hex, and the constructor's events are there."""
    member = holder(1)
    await world.token.issue([(address(member), 9)], root("a"))
    await world.token.redeem([(member, 4, root("reference"))])
    await world.mirror.step()
    events = {event.name: event.data for event in await world.rows(ChainEvent)}
    assert events["Issued"] == {
        "partner": 1, "sequence": 1, "trailRoot": "0x" + root("a").hex(), "total": 9,
    }  # fmt: skip
    assert events["Redeemed"] == {
        "member": member.address.lower(), "partner": 1, "nonce": 0, "reference": "0x" + root("reference").hex(),
    }  # fmt: skip
    assert events["PartnerSet"] == {
        "partner": 1, "signer": world.token.partner.address.lower(), "allowance": str(UNLIMITED),
        "periodCap": str(UNLIMITED), "active": True,
    }  # fmt: skip
    assert "RoleGranted" in events


async def test_blocks_are_stored_without_gaps_from_the_deployment_on(world: World) -> None:
    await live(world.token)
    await world.mirror.step()
    blocks = sorted(await world.rows(Block), key=lambda block: block.number)
    first = world.token.deployment
    assert (blocks[0].number, blocks[0].hash) == (first.block_number, first.block_hash)
    for before, after in pairwise(blocks):
        assert (after.number, after.parent_hash) == (before.number + 1, before.hash)


async def test_the_size_of_chunks_changes_nothing(engine: AsyncEngine, world: World) -> None:
    await live(world.token)
    one_by_one = mirror_of(engine, world.token, pace=Pace(blocks=1, blocks_max=1))
    await one_by_one.mirror.step()
    deltas = one_by_one.deltas
    assert [delta.head_number for delta in deltas] == list(
        range(world.token.deployment.block_number, await world.token.head() + 1)
    )
    contents = await one_by_one.contents()
    async with transaction(engine) as session:
        for table in ("chain_blocks", "chain_transfers", "chain_events", "chain_balances", "chain_mirror"):
            await (await session.connection()).exec_driver_sql(f"truncate {table}")
    await world.mirror.step()
    assert len(world.deltas) < len(deltas)
    assert await world.contents() == contents


async def test_one_step_goes_only_so_far(engine: AsyncEngine, token: Token) -> None:
    """Thirty-two chunks, so that a stop is heard on a long way; the next step goes on."""
    for _ in range(40):
        await token.rpc.call("evm_mine")
    slow = mirror_of(engine, token, pace=Pace(blocks=1, blocks_max=1))
    assert (await slow.mirror.step()).blocks == 32
    assert (await slow.mirror.step()).head_number == await token.head()


async def test_a_restarted_mirror_goes_on_where_it_stood(engine: AsyncEngine, world: World) -> None:
    await world.token.issue([(wallet(1), 5)])
    await world.mirror.step()
    before = await world.contents()
    await world.token.issue([(wallet(1), 6)])
    again = mirror_of(engine, world.token)
    progress = await again.mirror.step()
    assert (progress.blocks, progress.events) == (1, 2)
    assert await again.balances() == {wallet(1): 11}
    assert before["blocks"] < (await again.contents())["blocks"]


async def test_nothing_new_writes_nothing_until_the_clock_says_so(world: World) -> None:
    await world.mirror.step()
    first = await world.state()
    handed_on = len(world.deltas)
    world.clock.advance(timedelta(seconds=4))
    assert (await world.mirror.step()).outcome is StepOutcome.IDLE
    assert (await world.state()).checked_at == first.checked_at
    world.clock.advance(timedelta(seconds=1))
    await world.mirror.step()
    assert (await world.state()).checked_at == world.clock.now()
    assert len(world.deltas) == handed_on


async def test_another_contract_leaves_no_trace(world: World, rpc: RpcClient, chain_node: ChainNode) -> None:
    stranger = await deploy(rpc, chain_node.accounts[0], chain_node.accounts[1])
    await stranger.issue([(wallet(8), 1000)])
    await world.mirror.step()
    assert await world.balances() == {}
    assert {event.block_number for event in await world.rows(ChainEvent)} < set(range(stranger.deployment.block_number))


async def test_blocks_without_our_logs_need_no_receipts(engine: AsyncEngine, token: Token, proxy: Proxy) -> None:
    async with RpcClient(proxy.url) as rpc:
        world = mirror_of(engine, token, rpc=rpc)
        await world.mirror.step()
        proxy.methods.clear()
        await token.rpc.call("evm_mine")
        assert (await world.mirror.step()).blocks == 1
        assert "eth_getBlockReceipts" not in proxy.methods
        await token.issue([(wallet(1), 1)])
        await world.mirror.step()
        assert proxy.methods.count("eth_getBlockReceipts") == 1


async def test_a_node_without_block_receipts_is_asked_for_each(engine: AsyncEngine, token: Token, proxy: Proxy) -> None:
    def without(method: str, params: list[object], result: object) -> object:
        if method == "eth_getBlockReceipts":
            raise Refusal(-32601, "the method eth_getBlockReceipts does not exist/is not available")
        return result

    expected = await live(token)
    proxy.alter = without
    async with RpcClient(proxy.url) as rpc:
        world = mirror_of(engine, token, rpc=rpc)
        await world.mirror.step()
        assert await world.balances() == expected
        proxy.methods.clear()
        await token.issue([(wallet(1), 1)])
        await world.mirror.step()
    assert "eth_getBlockReceipts" not in proxy.methods
    assert proxy.methods.count("eth_getTransactionReceipt") == 1


async def test_a_receiver_that_fails_voids_the_whole_chunk(engine: AsyncEngine, world: World) -> None:
    async def refuse(session: object, delta: object) -> None:
        raise RuntimeError("the ledger could not settle")

    await world.token.issue([(wallet(1), 5)])
    broken = mirror_of(engine, world.token)
    broken.mirror._on_progress = refuse
    with pytest.raises(RuntimeError, match="could not settle"):
        await broken.mirror.step()
    assert await world.rows(Block) == await world.rows(Transfer) == []
    await world.mirror.step()
    assert await world.balances() == {wallet(1): 5}


async def test_waiters_hear_of_every_chunk(world: World, database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as listener:
        await listener.execute("listen mereau_blocks")
        await world.mirror.step()
        heard = [notice.payload async for notice in listener.notifies(timeout=5, stop_after=1)]
    assert heard == [str(await world.token.head())]


async def test_two_mirrors_never_write_on_one_head(engine: AsyncEngine, world: World) -> None:
    """The second mirror read the chain before the first wrote it; its chunk must not be added twice."""
    await world.token.issue([(wallet(1), 5)])
    rival = mirror_of(engine, world.token)
    await rival.mirror._load()
    reading = rival.mirror._read

    async def read_then_lose(head: object, target: int) -> object:
        blocks = await reading(head, target)
        await world.mirror.step()
        return blocks

    rival.mirror._read = read_then_lose
    with pytest.raises(OvertakenError):
        await rival.mirror.step()
    assert await world.balances() == {wallet(1): 5}
    assert (await world.state()).supply == 5


async def test_a_partner_can_be_registered_and_changed(world: World) -> None:
    await world.token.send(register_call(wallet(1), number=2, allowance=500))
    await world.token.send(register_call(wallet(2), number=2, allowance=900))
    await world.mirror.step()
    seen = [event.data for event in await world.rows(ChainEvent) if event.data.get("partner") == 2]
    assert [(row["signer"], row["allowance"]) for row in seen] == [
        ("0x" + wallet(1).hex(), 500),
        ("0x" + wallet(2).hex(), 900),
    ]


async def test_zero_is_nobodys_wallet(world: World) -> None:
    await live(world.token)
    await world.mirror.step()
    assert ZERO_ADDRESS not in await world.balances()
    sources = {row.source for row in await world.rows(Transfer)}
    assert ZERO_ADDRESS in sources
