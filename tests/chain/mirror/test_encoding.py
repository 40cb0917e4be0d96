"""RLP, ordered tries, headers and receipts, each against an implementation that is not ours."""

import copy
from typing import Any

import pytest
import rlp as oracle
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st
from trie import HexaryTrie

from chain.mirror.kit import Token, address, holder, wallet
from mereau.chain import rlp
from mereau.chain.contract import encode_call
from mereau.chain.faults import NodeFaultError
from mereau.chain.headers import Header, bloom_marks, check_links, may_hold, read_header
from mereau.chain.ordered_trie import EMPTY_ROOT, ordered_root
from mereau.chain.receipts import encode_logs, encode_receipt, prove_receipts
from mereau.chain.rpc import quantity


@given(st.binary(max_size=70_000) | st.binary(max_size=3))
def test_strings_are_encoded_as_the_library_does(value: bytes) -> None:
    assert rlp.string(value) == oracle.encode(value)


@given(st.integers(min_value=0, max_value=2**256))
def test_integers_are_encoded_as_the_library_does(value: int) -> None:
    assert rlp.integer(value) == oracle.encode(value)


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_lists_are_encoded_as_the_library_does(members: list[bytes]) -> None:
    payload = b"".join(rlp.string(member) for member in members)
    assert rlp.wrap(payload) == oracle.encode(members)
    assert rlp.list_prefix(len(payload)) + payload == oracle.encode(members)


def trie_root(values: list[bytes]) -> bytes:
    trie = HexaryTrie({})
    for index, value in enumerate(values):
        trie[oracle.encode(index)] = value
    return bytes(trie.root_hash)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 16, 17, 127, 128, 129, 130, 255, 256, 257, 300])
def test_ordered_roots_are_those_of_the_library(count: int) -> None:
    """The keys change their length at 128 and 256."""
    values = [keccak(index.to_bytes(2, "big")) * (index % 3 + 1) for index in range(count)]
    assert ordered_root(values) == trie_root(values)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=140))
def test_short_values_are_embedded_in_their_parents(values: list[bytes]) -> None:
    assert ordered_root(values) == trie_root(values)


def test_nothing_has_the_well_known_root() -> None:
    assert EMPTY_ROOT.hex() == "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"


def test_another_order_is_another_root() -> None:
    assert ordered_root([b"a" * 40, b"b" * 40]) != ordered_root([b"b" * 40, b"a" * 40])


# Ethereum's block 0 (frontier) and a later one are public constants.
FRONTIER = {
    "number": "0x0",
    "hash": "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
    "parentHash": "0x" + "00" * 32,
    "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
    "miner": "0x" + "00" * 20,
    "stateRoot": "0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544",
    "transactionsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
    "receiptsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
    "logsBloom": "0x" + "00" * 256,
    "difficulty": "0x400000000",
    "gasLimit": "0x1388",
    "gasUsed": "0x0",
    "timestamp": "0x0",
    "extraData": "0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa",
    "mixHash": "0x" + "00" * 32,
    "nonce": "0x0000000000000042",
    "transactions": [],
}
LATER_FIELDS = {
    "baseFeePerGas": "0x7",
    "withdrawalsRoot": "0x" + "01" * 32,
    "blobGasUsed": "0x0",
    "excessBlobGas": "0x20000",
    "parentBeaconBlockRoot": "0x" + "02" * 32,
    "requestsHash": "0x" + "03" * 32,
    "blockAccessListHash": "0x" + "04" * 32,
    "slotNumber": "0x5",
}


def test_the_first_header_of_ethereum() -> None:
    header = read_header(FRONTIER)
    assert (header.number, header.timestamp_s, header.parent_hash) == (0, 0, bytes(32))


@pytest.mark.parametrize("fields", range(len(LATER_FIELDS) + 1))
def test_later_forks_append_their_fields(fields: int) -> None:
    answer = {**FRONTIER, **dict(list(LATER_FIELDS.items())[:fields])}
    names = [
        "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom",
        "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce",
        *list(LATER_FIELDS)[:fields],
    ]  # fmt: skip
    whole = {"extraData", "nonce", "mixHash", "miner", "logsBloom"}

    def value(name: str) -> bytes | int:
        text = str(answer[name])
        return bytes.fromhex(text[2:]) if name in whole or len(text) == 66 else int(text, 16)

    digest = keccak(oracle.encode([value(name) for name in names]))
    assert read_header({**answer, "hash": "0x" + digest.hex()}).hash == digest


@pytest.mark.parametrize("name", [*sorted(FRONTIER.keys() - {"transactions"}), "baseFeePerGas"])
def test_every_field_is_bound_by_the_hash(name: str) -> None:
    changed = {"0x1": "0x2"}
    text = str(FRONTIER.get(name, "0x"))
    answer = {**FRONTIER, name: changed.get(text) or text[:-1] + ("1" if text[-1] == "0" else "0")}
    if name == "baseFeePerGas":
        answer[name] = "0x7"
    with pytest.raises(NodeFaultError, match="does not hash to"):
        read_header(answer)


@pytest.mark.parametrize(
    "answer",
    [
        [],
        "block",
        {},
        {**FRONTIER, "miner": None},
        {**FRONTIER, "number": 0},
        {**FRONTIER, "stateRoot": "0x00"},
        {**FRONTIER, "extraData": "0xzz"},
        {**FRONTIER, "gasUsed": "-0x1"},
        {**FRONTIER, "transactions": None},
    ],
)
def test_what_is_no_header_is_the_nodes_fault(answer: Any) -> None:
    with pytest.raises(NodeFaultError, match="cannot be read"):
        read_header(answer)


def header(number: int, parent: bytes = b"", digest: bytes = b"") -> Header:
    return Header(number, digest, parent, 0, b"", b"", b"", ())


def test_links_hold_from_number_to_number_and_parent_to_child() -> None:
    chain = [header(4, b"p", b"a"), header(5, b"a", b"b")]
    check_links(chain, 4, b"p")
    check_links(chain, 4, None)


@pytest.mark.parametrize(
    ("chain", "parent", "words"),
    [
        ([header(5)], None, "asked for block 4"),
        ([header(4, b"x")], b"p", "does not follow"),
        ([header(4, b"p", b"a"), header(5, b"x")], b"p", "block 5 does not follow"),
    ],
)
def test_broken_links_are_the_nodes_fault(chain: list[Header], parent: bytes | None, words: str) -> None:
    with pytest.raises(NodeFaultError, match=words):
        check_links(chain, 4, parent)


async def block_and_receipts(token: Token, number: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    block, receipts = await token.rpc.batch(
        [("eth_getBlockByNumber", (quantity(number), False)), ("eth_getBlockReceipts", (quantity(number),))]
    )
    return block, receipts


async def prove_all(token: Token) -> int:
    """Every block from the deployment on: hash, link and receipts. Returns how many logs were proven."""
    logs = 0
    parent = None
    for number in range(token.deployment.block_number, await token.head() + 1):
        block, receipts = await block_and_receipts(token, number)
        found = read_header(block)
        check_links([found], number, parent)
        prove_receipts(found, receipts)
        here = any(log["address"] == "0x" + token.address.hex() for item in receipts for log in item["logs"])
        assert may_hold(found.bloom, bloom_marks(token.address)) or not here
        logs += sum(len(item["logs"]) for item in receipts)
        parent = found.hash
    return logs


async def history(token: Token) -> None:
    await token.issue([(wallet(number), number + 1) for number in range(120)])
    await token.issue([(address(holder(1)), 10)])
    await token.redeem([(holder(1), 5, b"\x05" * 32)])
    await token.send(encode_call("setContractURI", "https://example.org/" + "long/" * 40))
    await token.send(encode_call("pause"))


async def test_the_embedded_node_proves_its_blocks(token: Token) -> None:
    await history(token)
    assert await prove_all(token) > 125


@pytest.mark.node
async def test_anvil_proves_its_blocks(anvil_token: Token) -> None:
    await history(anvil_token)
    assert await prove_all(anvil_token) > 125


def encoded(receipt: dict[str, Any]) -> bytes:
    return encode_receipt(receipt, encode_logs(receipt["logs"]))


def test_receipts_of_every_envelope() -> None:
    """Legacy with a root instead of a status, typed ones, and the two more fields of OP deposits."""
    bloom, log = bytes(256), [b"\x01" * 20, [b"\x02" * 32] * 4, b"\x03" * 60]
    receipt = {
        "cumulativeGasUsed": "0x5208",
        "logsBloom": "0x" + bloom.hex(),
        "logs": [
            {
                "address": "0x" + log[0].hex(),
                "topics": ["0x" + topic.hex() for topic in log[1]],
                "data": "0x" + log[2].hex(),
            }
        ],
    }
    body = [0x5208, bloom, [log]]
    assert encoded({**receipt, "root": "0x" + "aa" * 32}) == oracle.encode([b"\xaa" * 32, *body])
    assert encoded({**receipt, "status": "0x0"}) == oracle.encode([0, *body])
    for kind in (1, 2, 3, 4):
        typed = encoded({**receipt, "status": "0x1", "type": hex(kind)})
        assert typed == bytes((kind,)) + oracle.encode([1, *body])
    deposit = {**receipt, "status": "0x1", "type": "0x7e", "depositNonce": "0x9", "depositReceiptVersion": "0x1"}
    assert encoded(deposit) == b"\x7e" + oracle.encode([1, *body, 9, 1])
    del deposit["depositReceiptVersion"]
    assert encoded(deposit) == b"\x7e" + oracle.encode([1, *body])


@given(st.integers(min_value=0, max_value=4), st.binary(max_size=300))
def test_logs_of_every_shape(topics: int, data: bytes) -> None:
    logs = [[b"\x01" * 20, [keccak(data)] * topics, data]]
    receipt = {
        "status": "0x1",
        "cumulativeGasUsed": "0x0",
        "logsBloom": "0x" + "00" * 256,
        "logs": [
            {
                "address": "0x" + "01" * 20,
                "topics": ["0x" + keccak(data).hex()] * topics,
                "data": "0x" + data.hex(),
            }
        ],
    }
    assert encoded(receipt) == oracle.encode([1, 0, bytes(256), logs])


def _shift(log: dict[str, Any]) -> None:
    """Cut two topics elsewhere: the same bytes in all but for the marks between them."""
    first, second = log["topics"][1], log["topics"][2]
    log["topics"][1] = first[:-2]
    log["topics"][2] = "0x" + first[-2:] + second[2:]


def _space(log: dict[str, Any]) -> None:
    log["data"] = log["data"][:-2] + "  "


LIES = {
    "amount": lambda log: log.update(data="0x" + f"{999:064x}"),
    "receiver": lambda log: log["topics"].__setitem__(2, "0x" + "00" * 12 + "77" * 20),
    "address": lambda log: log.update(address="0x" + "88" * 20),
    "short address": lambda log: log.update(address="0x88"),
    "shifted topics": _shift,
    "white space": _space,
    "no hex": lambda log: log.update(data="0xzz"),
    "number": lambda log: log.update(data=7),
    "no topics": lambda log: log.pop("topics"),
    "too many topics": lambda log: log.update(topics=log["topics"] * 2),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_changed_log_is_the_nodes_fault(token: Token, lie: str) -> None:
    await token.issue([(wallet(1), 5), (wallet(2), 6)])
    block, receipts = await block_and_receipts(token, await token.head())
    found = read_header(block)
    prove_receipts(found, receipts)
    changed = copy.deepcopy(receipts)
    LIES[lie](changed[0]["logs"][1])
    with pytest.raises(NodeFaultError):
        prove_receipts(found, changed)


@pytest.mark.parametrize("receipts", [[], None, "no", [None], [[]], {}])
async def test_no_receipts_are_the_nodes_fault(token: Token, receipts: Any) -> None:
    block, _ = await block_and_receipts(token, await token.head())
    with pytest.raises(NodeFaultError):
        prove_receipts(read_header(block), receipts)


async def test_a_renamed_transaction_is_the_nodes_fault(token: Token) -> None:
    block, receipts = await block_and_receipts(token, await token.head())
    receipts[0]["transactionHash"] = "0x" + "11" * 32
    with pytest.raises(NodeFaultError, match="differ"):
        prove_receipts(read_header(block), receipts)


@pytest.mark.parametrize("field", ["status", "cumulativeGasUsed", "logsBloom", "type"])
async def test_every_part_of_a_receipt_is_bound(token: Token, field: str) -> None:
    block, receipts = await block_and_receipts(token, await token.head())
    receipts[0][field] = "0x" + "01" * 256 if field == "logsBloom" else "0x4"
    with pytest.raises(NodeFaultError, match="not those of the header"):
        prove_receipts(read_header(block), receipts)


async def test_a_short_field_is_the_nodes_fault(token: Token) -> None:
    block, receipts = await block_and_receipts(token, await token.head())
    receipts[0]["logsBloom"] = "0x00"
    with pytest.raises(NodeFaultError, match="not those of the header"):
        prove_receipts(read_header(block), receipts)


@given(st.sets(st.binary(min_size=20, max_size=20), min_size=1, max_size=20))
def test_the_bloom_filter_never_hides_a_member(members: set[bytes]) -> None:
    bloom = bytearray(256)
    for member in members:
        for at, mask in bloom_marks(member):
            bloom[at] |= mask
    assert all(may_hold(bytes(bloom), bloom_marks(member)) for member in members)


def test_an_empty_bloom_filter_holds_nothing() -> None:
    assert not may_hold(bytes(256), bloom_marks(b"\x01" * 20))
