"""Blocks, receipts and logs as clients read them: every hash and root is recomputed from the answers."""

import itertools
from typing import Any

import pytest
import rlp
from eth_account.signers.local import LocalAccount
from eth_utils import keccak
from trie import HexaryTrie

from chain.embedded.assembler import COUNTER, creation, words
from chain.embedded.support import STRANGER, Client, RpcError, account, sign

HEADER_FIELDS = (
    "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom",
    "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce",
    "baseFeePerGas", "withdrawalsRoot", "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot",
    "requestsHash",
)  # fmt: skip
QUANTITIES = frozenset({
    "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas", "blobGasUsed",
    "excessBlobGas",
})  # fmt: skip


def integer(quantity: str) -> bytes:
    value = int(quantity, 16)
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def data(value: str) -> bytes:
    return bytes.fromhex(value[2:])


def header_hash(block: dict[str, Any]) -> str:
    fields = [(integer if name in QUANTITIES else data)(block[name]) for name in HEADER_FIELDS]
    return "0x" + keccak(rlp.encode(fields)).hex()


def root_of(values: list[bytes]) -> str:
    trie = HexaryTrie({})
    for index, value in enumerate(values):
        trie[rlp.encode(index)] = value
    return "0x" + trie.root_hash.hex()


def encoded_receipt(receipt: dict[str, Any]) -> bytes:
    logs = [
        [data(log["address"]), [data(topic) for topic in log["topics"]], data(log["data"])] for log in receipt["logs"]
    ]
    payload = rlp.encode(
        [integer(receipt["status"]), integer(receipt["cumulativeGasUsed"]), data(receipt["logsBloom"]), logs]
    )
    kind = int(receipt["type"], 16)
    return payload if kind == 0 else bytes((kind,)) + payload


@pytest.fixture(scope="module")
def filled(rpc: Client) -> dict[str, Any]:
    """Two blocks of logs by one counter contract: words 1-3, then 2 and 9."""
    owner = account(299)
    counter = rpc.deploy(owner, creation(COUNTER))
    first = rpc.mine(owner, to=counter, data=words(1, 2, 3))
    second = rpc.mine(owner, to=counter, data=words(2, 9), type=1, maxFeePerGas=None,
                      maxPriorityFeePerGas=None, gasPrice=10**10, accessList=[])  # fmt: skip
    assert first["status"] == second["status"] == "0x1"
    return {"counter": counter, "first": first, "second": second}


def test_a_client_can_hash_the_header_itself(rpc: Client, filled: dict[str, Any]) -> None:
    for number in ("earliest", filled["first"]["blockNumber"], filled["second"]["blockNumber"]):
        block = rpc("eth_getBlockByNumber", number, False)
        assert header_hash(block) == block["hash"]


@pytest.mark.parametrize("name", HEADER_FIELDS)
def test_a_header_with_one_changed_field_hashes_to_something_else(
    rpc: Client, filled: dict[str, Any], name: str
) -> None:
    block = rpc("eth_getBlockByNumber", filled["first"]["blockNumber"], False)
    changed = dict(block)
    if name in QUANTITIES:
        changed[name] = hex(int(block[name], 16) + 1)
    else:
        body = bytearray(data(block[name]) or b"\0")
        body[-1] ^= 1
        changed[name] = "0x" + body.hex()
    assert header_hash(changed) != block["hash"]


def test_blocks_are_linked_by_their_hashes(rpc: Client, filled: dict[str, Any]) -> None:
    head = int(filled["second"]["blockNumber"], 16)
    blocks = [rpc("eth_getBlockByNumber", hex(number), False) for number in range(head + 1)]
    for parent, child in itertools.pairwise(blocks):
        assert child["parentHash"] == parent["hash"]
        assert int(child["timestamp"], 16) > int(parent["timestamp"], 16)
        assert int(child["number"], 16) == int(parent["number"], 16) + 1


def test_the_receipts_root_follows_from_the_block_receipts(rpc: Client, filled: dict[str, Any]) -> None:
    for receipt in (filled["first"], filled["second"]):
        receipts = rpc("eth_getBlockReceipts", receipt["blockNumber"])
        block = rpc("eth_getBlockByNumber", receipt["blockNumber"], False)
        assert root_of([encoded_receipt(each) for each in receipts]) == block["receiptsRoot"]
        assert receipts == [receipt]
        receipts[0]["logs"][0]["data"] = "0x" + "ff" * 32
        assert root_of([encoded_receipt(each) for each in receipts]) != block["receiptsRoot"]


def test_the_transactions_root_follows_from_the_raw_transactions(rpc: Client, sender: LocalAccount) -> None:
    raw = sign(sender, value=3)
    block_hash = rpc("eth_getTransactionReceipt", rpc("eth_sendRawTransaction", raw))["blockHash"]
    block = rpc("eth_getBlockByHash", block_hash, False)
    assert root_of([data(raw)]) == block["transactionsRoot"]
    assert root_of([data(raw) + b"\0"]) != block["transactionsRoot"]


def test_a_full_block_holds_what_the_hash_only_block_names(rpc: Client, filled: dict[str, Any]) -> None:
    number = filled["second"]["blockNumber"]
    full, plain = (rpc("eth_getBlockByNumber", number, wanted) for wanted in (True, False))
    assert [transaction["hash"] for transaction in full["transactions"]] == plain["transactions"]
    assert {**full, "transactions": plain["transactions"]} == plain
    assert full["transactions"][0] == rpc("eth_getTransactionByHash", plain["transactions"][0])
    assert full["transactions"][0]["type"] == "0x1"


def test_a_receipt_says_what_the_transaction_did(rpc: Client, filled: dict[str, Any]) -> None:
    receipt = filled["first"]
    transaction = rpc("eth_getTransactionByHash", receipt["transactionHash"])
    block = rpc("eth_getBlockByHash", receipt["blockHash"])
    assert receipt["from"] == transaction["from"]
    assert receipt["to"] == transaction["to"] == filled["counter"]
    assert receipt["contractAddress"] is None
    assert int(receipt["gasUsed"], 16) == int(block["gasUsed"], 16)
    fee = int(block["baseFeePerGas"], 16) + int(transaction["maxPriorityFeePerGas"], 16)
    assert int(receipt["effectiveGasPrice"], 16) == fee == int(transaction["gasPrice"], 16)
    assert [log["logIndex"] for log in receipt["logs"]] == ["0x0", "0x1", "0x2"]
    assert all(log["blockHash"] == receipt["blockHash"] for log in receipt["logs"])
    assert receipt["logs"][0]["topics"] == ["0x" + words(value).hex() for value in (7, 1, 1)]


def test_a_failed_transaction_is_mined_with_status_zero_and_no_logs(
    rpc: Client, sender: LocalAccount, filled: dict[str, Any]
) -> None:
    receipt = rpc.mine(sender, to=filled["counter"], data=words(*range(40, 60)), gas=60_000)
    assert receipt["status"] == "0x0"
    assert receipt["logs"] == []
    assert int(receipt["gasUsed"], 16) == 60_000
    assert int(receipt["logsBloom"], 16) == 0


def test_the_created_address_is_that_of_sender_and_nonce(rpc: Client, sender: LocalAccount) -> None:
    receipt = rpc.mine(sender, to=None, data=creation(COUNTER), gas=1_000_000)
    expected = keccak(rlp.encode([data(sender.address), b""]))[12:]
    assert data(receipt["contractAddress"]) == expected
    assert rpc("eth_getCode", receipt["contractAddress"], "latest") == "0x" + COUNTER.hex()
    assert rpc("eth_getCode", STRANGER, "latest") == "0x"


def logs(rpc: Client, **criteria: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = rpc("eth_getLogs", criteria)
    return found


def topic(value: int) -> str:
    return "0x" + words(value).hex()


@pytest.mark.parametrize(
    ("topics", "indexes"),
    [
        ([], [0, 1, 2, 3, 4]),
        ([topic(7)], [0, 1, 2, 3, 4]),
        ([None, topic(2)], [1, 3]),
        ([None, [topic(1), topic(9)]], [0, 4]),
        ([topic(7), topic(2), topic(2)], [3]),
        ([topic(7), None, topic(1)], [0, 1, 2, 4]),
        ([topic(8)], []),
        ([None, topic(2), topic(9)], []),
        ([topic(7), None, None, topic(1)], []),
        ([[topic(7), topic(8)], [], None], [0, 1, 2, 3, 4]),
        ([None, [topic(9), None]], [0, 1, 2, 3, 4]),
    ],
)
def test_logs_are_filtered_by_topics(
    rpc: Client, filled: dict[str, Any], topics: list[Any], indexes: list[int]
) -> None:
    everything = [*filled["first"]["logs"], *filled["second"]["logs"]]
    found = logs(
        rpc,
        fromBlock=filled["first"]["blockNumber"],
        toBlock=filled["second"]["blockNumber"],
        address=filled["counter"],
        topics=topics,
    )
    assert found == [everything[index] for index in indexes]


def test_logs_are_filtered_by_addresses(rpc: Client, filled: dict[str, Any]) -> None:
    span = {"fromBlock": filled["first"]["blockNumber"], "toBlock": filled["second"]["blockNumber"]}
    assert len(logs(rpc, **span, address=[STRANGER, filled["counter"]])) == 5
    assert logs(rpc, **span, address=STRANGER) == []
    assert len(logs(rpc, **span, address=[])) == 5


def test_logs_of_one_block_by_its_hash(rpc: Client, filled: dict[str, Any]) -> None:
    assert logs(rpc, blockHash=filled["second"]["blockHash"]) == filled["second"]["logs"]
    with pytest.raises(RpcError, match="unknown block"):
        logs(rpc, blockHash="0x" + "00" * 32)
    with pytest.raises(RpcError, match="blockHash stands alone"):
        logs(rpc, blockHash=filled["second"]["blockHash"], fromBlock="0x0")


def test_a_range_beyond_the_head_ends_at_the_head(rpc: Client, filled: dict[str, Any]) -> None:
    found = logs(rpc, fromBlock=filled["second"]["blockNumber"], toBlock="0xffffff",
                 address=filled["counter"])  # fmt: skip
    assert found[:2] == filled["second"]["logs"]
    assert logs(rpc, fromBlock="0xfffff0", toBlock="0xffffff") == []


def test_a_range_that_ends_before_it_starts_is_refused(rpc: Client, filled: dict[str, Any]) -> None:
    with pytest.raises(RpcError, match="invalid block range") as refusal:
        logs(rpc, fromBlock="0x2", toBlock="0x1")
    assert refusal.value.code == -32602


def test_unknown_things_are_null(rpc: Client, filled: dict[str, Any]) -> None:
    missing = "0x" + "ab" * 32
    assert rpc("eth_getBlockByHash", missing, False) is None
    assert rpc("eth_getBlockByNumber", "0xffffff", False) is None
    assert rpc("eth_getTransactionByHash", missing) is None
    assert rpc("eth_getTransactionReceipt", missing) is None
    assert rpc("eth_getBlockReceipts", "0xffffff") is None
    assert rpc("eth_getBlockReceipts", missing) is None
    assert rpc("eth_getBlockTransactionCountByNumber", "0xffffff") is None


def test_receipts_of_a_block_are_found_by_every_name_of_it(rpc: Client, filled: dict[str, Any]) -> None:
    number, digest = filled["first"]["blockNumber"], filled["first"]["blockHash"]
    names = [number, digest, {"blockHash": digest}, {"blockNumber": number}]
    assert all(rpc("eth_getBlockReceipts", name) == [filled["first"]] for name in names)
    assert rpc("eth_getBlockTransactionCountByNumber", number) == "0x1"


@pytest.mark.parametrize("tag", ["latest", "pending", "safe", "finalized"])
def test_every_tag_of_the_head_names_the_head(rpc: Client, filled: dict[str, Any], tag: str) -> None:
    block = rpc("eth_getBlockByNumber", tag, False)
    assert block["number"] == rpc("eth_blockNumber")
    assert rpc("eth_getBalance", STRANGER, tag) == rpc("eth_getBalance", STRANGER, block["number"])


def test_state_is_read_at_any_block(rpc: Client, filled: dict[str, Any]) -> None:
    first, second = filled["first"], filled["second"]

    def slot(block: Any) -> int:
        return int(rpc("eth_getStorageAt", filled["counter"], "0x2", block), 16)

    assert slot(first["blockNumber"]) == 1
    assert slot(second["blockNumber"]) == slot("latest") == 2
    assert slot({"blockHash": first["blockHash"], "requireCanonical": True}) == 1
    assert slot({"blockNumber": second["blockNumber"]}) == 2
    assert slot("earliest") == 0


@pytest.mark.parametrize(
    ("block", "code"),
    [
        ("0xffffff", -32000),
        ({"blockHash": "0x" + "11" * 32}, -32000),
        ({"blockHash": "0x11"}, -32602),
        ({}, -32602),
        ({"blockHash": "0x" + "11" * 32, "blockNumber": "0x1"}, -32602),
        ({"blockNumber": "0x1", "requireCanonical": "yes"}, -32602),
        ("newest", -32602),
        ("0x01", -32602),
        (1, -32602),
        (["latest"], -32602),
    ],
)
def test_a_block_that_is_none_is_refused(rpc: Client, block: Any, code: int) -> None:
    with pytest.raises(RpcError) as refusal:
        rpc("eth_getBalance", STRANGER, block)
    assert refusal.value.code == code
    if code == -32000:
        assert refusal.value.message == "header not found"


def test_the_chain_says_who_it_is(rpc: Client) -> None:
    assert rpc("eth_chainId") == "0x515a"
    assert rpc("net_version") == "20826"
    assert rpc("eth_syncing") is False
    assert rpc("eth_accounts") == []
    assert "mereau" in rpc("web3_clientVersion")


def test_fees_are_what_the_next_block_asks(rpc: Client, sender: LocalAccount) -> None:
    rpc.mine(sender)
    history = rpc("eth_feeHistory", "0x3", "latest", [10, 50, 90])
    block = rpc("eth_getBlockByNumber", "latest", False)
    assert len(history["baseFeePerGas"]) == 4
    assert history["baseFeePerGas"][2] == block["baseFeePerGas"]
    assert history["gasUsedRatio"][2] == int(block["gasUsed"], 16) / int(block["gasLimit"], 16)
    assert int(history["oldestBlock"], 16) == int(block["number"], 16) - 2
    assert [len(reward) for reward in history["reward"]] == [3, 3, 3]
    tip = int(rpc("eth_maxPriorityFeePerGas"), 16)
    assert int(rpc("eth_gasPrice"), 16) == int(history["baseFeePerGas"][3], 16) + tip
    receipt = rpc.mine(sender)
    assert rpc("eth_getBlockByHash", receipt["blockHash"])["baseFeePerGas"] == history["baseFeePerGas"][3]


def test_a_short_fee_history_and_none(rpc: Client) -> None:
    history = rpc("eth_feeHistory", 10, "earliest")
    assert history["oldestBlock"] == "0x0"
    assert len(history["gasUsedRatio"]) == 1
    assert "reward" not in history
    assert rpc("eth_feeHistory", 0, "latest")["gasUsedRatio"] == []
