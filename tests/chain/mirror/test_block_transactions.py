"""Transactions of every type, held against the other implementation's hashes and roots."""

from typing import Any

import pytest
import rlp as oracle
from eth_account import Account
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine
from trie import HexaryTrie

from chain.mirror.batches import admin
from chain.mirror.kit import Token, root, wallet
from chain.mirror.lies import on, recovers, refuse, unmoved
from chain.mirror.proxy import Proxy
from chain.mirror.world import World, mirror_of
from fixtures.chain import ANVIL_KEY, running_anvil
from mereau.chain import alarms
from mereau.chain.block_transactions import UnknownTypeError, encode_transaction, prove_transactions
from mereau.chain.errors import RpcError
from mereau.chain.faults import NodeBehindError, NodeFaultError
from mereau.chain.headers import Header, read_header
from mereau.chain.models import ChainEvent
from mereau.chain.rpc import RpcClient, quantity
from mereau.core.db import snapshot

SENDER = Account.from_key(ANVIL_KEY)
PRICE = {"gasPrice": 10**10}
FEES = {"maxFeePerGas": 10**10, "maxPriorityFeePerGas": 1}
ACCESS = [{"address": "0x" + "22" * 20, "storageKeys": [0, 7]}, {"address": "0x" + "33" * 20, "storageKeys": []}]


def hexed(value: int | bytes) -> str:
    return hex(value) if isinstance(value, int) else "0x" + value.hex()


async def body_of(rpc: RpcClient, number: int) -> tuple[Header, dict[str, Any]]:
    header = read_header(await rpc.call("eth_getBlockByNumber", quantity(number), False))
    body: dict[str, Any] = await rpc.call("eth_getBlockByHash", header.hash, True)
    return header, body


@pytest.mark.node
async def test_anvils_blocks_of_every_type_are_bound() -> None:
    permit = Account.from_key(b"\x33" * 32).sign_authorization({"chainId": 31337, "address": b"\x44" * 20, "nonce": 0})
    sent: list[dict[str, Any]] = [
        PRICE,
        {**PRICE, "to": None, "data": b"\x60\x00"},
        {**PRICE, "type": 1, "accessList": ACCESS},
        {**FEES, "type": 2, "accessList": ACCESS},
        {**FEES, "type": 2},
        {**FEES, "type": 4, "authorizationList": [permit]},
    ]
    with running_anvil("--hardfork", "prague") as url:
        async with RpcClient(url) as rpc:
            await rpc.call("evm_setAutomine", False)
            for nonce, fields in enumerate(sent):
                whole = {"to": b"\x11" * 20, **fields, "nonce": nonce, "gas": 200_000, "value": 0, "chainId": 31337}
                raw = SENDER.sign_transaction({key: value for key, value in whole.items() if value is not None})
                await rpc.call("eth_sendRawTransaction", bytes(raw.raw_transaction))
            await rpc.call("evm_mine")
            header, body = await body_of(rpc, 1)
    prove_transactions(header, body)
    assert [one["type"] for one in body["transactions"]] == ["0x0", "0x0", "0x1", "0x2", "0x2", "0x4"]
    for at, transaction in enumerate(body["transactions"]):
        changed = [*body["transactions"]]
        changed[at] = {**transaction, "value": "0x1"}
        with pytest.raises(NodeFaultError, match="not those of the header"):
            prove_transactions(header, {"transactions": changed})


async def test_the_embedded_nodes_blocks_are_bound(token: Token) -> None:
    await token.issue([(wallet(1), 5)])
    for number in range(await token.head() + 1):
        prove_transactions(*await body_of(token.rpc, number))


numbers = st.integers(0, 2**64)


@given(st.binary(min_size=20, max_size=20), st.binary(max_size=80), st.lists(numbers, min_size=11, max_size=11))
def test_blob_transactions_and_deposits_are_encoded_as_elsewhere(to: bytes, data: bytes, drawn: list[int]) -> None:
    names = ("chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas", "value", "maxFeePerBlobGas",
             "yParity", "r", "s", "mint")  # fmt: skip
    of = dict(zip(names, drawn, strict=True))
    blob = {name: hexed(value) for name, value in of.items()} | {
        "type": "0x3", "to": hexed(to), "input": hexed(data), "accessList": [],
        "blobVersionedHashes": ["0x" + "01" * 32],
    }  # fmt: skip
    assert encode_transaction(blob) == b"\x03" + oracle.encode([
        *drawn[:5], to, of["value"], data, [], of["maxFeePerBlobGas"], [b"\x01" * 32], *drawn[7:10],
    ])  # fmt: skip
    deposit = blob | {"type": "0x7e", "sourceHash": "0x" + "05" * 32, "from": hexed(to), "isSystemTx": True}
    fields = [b"\x05" * 32, to, to, of["mint"], of["value"], of["gas"], True, data]
    assert encode_transaction(deposit) == b"\x7e" + oracle.encode([int(one) if one is True else one for one in fields])


@pytest.mark.parametrize(
    "junk", [{}, {"transactions": None}, {"transactions": [None]}, {"transactions": [{}]}, {"transactions": ["0x"]}, 5]
)
async def test_what_is_no_block_is_the_nodes_fault(token: Token, junk: Any) -> None:
    header, _ = await body_of(token.rpc, await token.head())
    with pytest.raises(NodeFaultError):
        prove_transactions(header, junk)


async def test_a_list_of_other_hashes_is_the_nodes_fault(token: Token) -> None:
    header, body = await body_of(token.rpc, await token.head())
    with pytest.raises(NodeFaultError, match="does not hash to its hash"):
        prove_transactions(header._replace(transactions=("0x" + "11" * 32,)), body)


def test_a_type_of_another_chain_cannot_be_told() -> None:
    trie = HexaryTrie({})
    header = Header(1, bytes(32), bytes(32), 0, bytes(32), bytes(256), (), bytes(trie.root_hash))
    with pytest.raises(UnknownTypeError, match="0x6a"):
        prove_transactions(header, {"transactions": [{"type": "0x6a"}]})


async def test_a_consistent_lie_about_a_hash_is_not_believed(lying: World, proxy: Proxy) -> None:
    """Block and receipts name the same wrong transaction, as a node would that wants an outcome believed."""
    head = await lying.token.head()
    true = (await lying.token.rpc.call("eth_getBlockByNumber", quantity(head), False))["transactions"][0]
    false = "0x" + keccak(b"another").hex()
    await lying.add(*admin(keccak(b"another")))

    def alter(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getBlockByNumber" and result and result["transactions"] == [true]:
            return {**result, "transactions": [false]}
        if method == "eth_getBlockReceipts" and result and result[0]["transactionHash"] == true:
            return [{**result[0], "transactionHash": false}]
        return result

    proxy.alter = alter
    await unmoved(lying, NodeFaultError, "does not hash to its hash")
    await recovers(lying, proxy)


async def test_a_body_that_is_not_there_is_waited_for(lying: World, proxy: Proxy) -> None:
    proxy.alter = on("eth_getBlockByHash", lambda _: None)
    await unmoved(lying, NodeBehindError, "does not have the transactions")
    proxy.alter = on("eth_getBlockByHash", refuse(-32000, "boom"))
    await unmoved(lying, RpcError, "boom")
    await recovers(lying, proxy)


async def test_types_of_another_chain_stand_as_an_alarm(engine: AsyncEngine, token: Token, proxy: Proxy) -> None:
    """The events are proven all the same; only which transaction they came from is the node's word."""

    def strange(body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "transactions": [{**one, "type": "0x6a"} for one in body["transactions"]]}

    proxy.alter = on("eth_getBlockByHash", strange)
    async with RpcClient(proxy.url) as rpc:
        world = mirror_of(engine, token, rpc=rpc)
        await token.issue([(wallet(1), 5)], root("first"))
        await world.mirror.step()
    assert await world.balances() == {wallet(1): 5}
    assert any(event.name == "Issued" for event in await world.rows(ChainEvent))
    async with snapshot(engine) as session:
        (alarm,) = await alarms.alarms(session)
    assert alarm.name == alarms.UNBOUND_HASHES
    assert "0x6a" in alarm.detail
    assert not alarm.makes_unready
