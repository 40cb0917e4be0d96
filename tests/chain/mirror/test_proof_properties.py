"""Headers and receipts of any content: what an independent encoder hashes is proven, and nothing else is."""

import copy
from typing import Any

import pytest
import rlp as oracle
from eth_utils import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from trie import HexaryTrie

from mereau.chain.faults import NodeFaultError
from mereau.chain.headers import Header, check_links, read_header
from mereau.chain.receipts import prove_receipts

FEWER = settings(max_examples=25)
SIZES = {
    "parentHash": 32, "sha3Uncles": 32, "miner": 20, "stateRoot": 32, "transactionsRoot": 32, "receiptsRoot": 32,
    "logsBloom": 256, "difficulty": 0, "number": 0, "gasLimit": 0, "gasUsed": 0, "timestamp": 0, "extraData": -1,
    "mixHash": 32, "nonce": 8,
}  # fmt: skip
LATER = {
    "baseFeePerGas": 0, "withdrawalsRoot": 32, "blobGasUsed": 0, "excessBlobGas": 0, "parentBeaconBlockRoot": 32,
    "requestsHash": 32, "blockAccessListHash": 32, "slotNumber": 0,
}  # fmt: skip
FORKS = {"frontier": 0, "london": 1, "shanghai": 2, "cancun": 5, "prague": 6, "amsterdam": 8}
JUNK: list[Any] = [None, 5, -1, [], {}, "zz", "", "0x", "0xzz", [None], {"x": 1}, True]
HUGE_INTEGER = 2**64


def hexed(value: bytes | int) -> str:
    return hex(value) if isinstance(value, int) else "0x" + value.hex()


def value_of(size: int) -> st.SearchStrategy[bytes | int]:
    if size == 0:
        return st.integers(0, HUGE_INTEGER)
    return st.binary(min_size=1, max_size=32) if size < 0 else st.binary(min_size=size, max_size=size)


@st.composite
def blocks(draw: st.DrawFn, number: int | None = None, parent: bytes | None = None) -> dict[str, Any]:
    """A node's answer for a block of any fork, hashed by the other encoder."""
    names = {**SIZES, **dict(list(LATER.items())[: draw(st.sampled_from(list(FORKS.values())))])}
    fields = {name: draw(value_of(size)) for name, size in names.items()}
    if number is not None:
        fields["number"] = number
    if parent is not None:
        fields["parentHash"] = parent
    answer: dict[str, Any] = {name: hexed(value) for name, value in fields.items()}
    return {**answer, "hash": hexed(keccak(oracle.encode(list(fields.values())))), "transactions": []}


@FEWER
@given(block=blocks())
def test_any_header_of_any_fork_hashes_as_elsewhere(block: dict[str, Any]) -> None:
    header = read_header(block)
    assert hexed(header.hash) == block["hash"]
    assert (hex(header.number), hex(header.timestamp_s)) == (block["number"], block["timestamp"])
    assert (hexed(header.parent_hash), hexed(header.receipts_root)) == (block["parentHash"], block["receiptsRoot"])


@FEWER
@given(block=blocks(), data=st.data())
def test_no_field_can_be_swapped_for_rubbish(block: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(set(block) - {"transactions"})))
    with pytest.raises(NodeFaultError):
        read_header({**block, name: data.draw(st.sampled_from(JUNK))})


@FEWER
@given(block=blocks(), data=st.data())
def test_no_field_can_be_left_out(block: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(block)))
    with pytest.raises(NodeFaultError):
        read_header({label: value for label, value in block.items() if label != name})


@FEWER
@given(block=blocks(), other=blocks())
def test_no_block_goes_under_anothers_hash(block: dict[str, Any], other: dict[str, Any]) -> None:
    if block["hash"] == other["hash"]:
        return
    with pytest.raises(NodeFaultError, match="does not hash"):
        read_header({**block, "hash": other["hash"]})


@pytest.mark.parametrize("answer", JUNK)
def test_what_is_no_block_is_the_nodes_fault(answer: Any) -> None:
    with pytest.raises(NodeFaultError):
        read_header(answer)


@settings(max_examples=12)
@given(data=st.data(), first=st.integers(0, 10_000), length=st.integers(2, 5))
def test_a_chain_holds_in_its_order_and_no_other(data: st.DataObject, first: int, length: int) -> None:
    headers: list[Header] = []
    for number in range(first, first + length):
        parent = headers[-1].hash if headers else None
        headers.append(read_header(data.draw(blocks(number, parent))))
    check_links(headers, first, headers[0].parent_hash)
    check_links(headers, first, None)
    place = data.draw(st.integers(0, length - 2))
    swapped = [*headers[:place], headers[place + 1], headers[place], *headers[place + 2 :]]
    stranger = read_header(data.draw(blocks(first + place, keccak(b"elsewhere"))))
    for broken in (swapped, headers[1:], [*headers[:place], stranger, *headers[place + 1 :]]):
        with pytest.raises(NodeFaultError):
            check_links(broken, first, headers[0].parent_hash)


@st.composite
def receipts_of(draw: st.DrawFn) -> tuple[list[dict[str, Any]], Header]:
    """Receipts as a node shows them, and a header whose root the other implementations computed."""
    word = st.binary(min_size=32, max_size=32)
    logs = st.tuples(
        st.binary(min_size=20, max_size=20),
        st.lists(word, min_size=1, max_size=4),
        st.one_of(word, st.binary(min_size=1, max_size=70)),
    )
    rows = draw(
        st.lists(
            st.tuples(st.sampled_from([0, 1, 2, 3, 4]), st.integers(0, 1), st.lists(logs, min_size=1, max_size=3)),
            min_size=1,
            max_size=4,
        )
    )
    answers, root = [], HexaryTrie({})
    for index, (kind, status, listed) in enumerate(rows):
        bloom = draw(st.binary(min_size=256, max_size=256))
        body = oracle.encode([status, 21_000 * (index + 1), bloom, listed])
        root[oracle.encode(index)] = body if kind == 0 else bytes([kind]) + body
        shown = [
            {"address": hexed(address), "topics": [hexed(topic) for topic in topics], "data": hexed(data)}
            for address, topics, data in listed
        ]
        answers.append(
            {
                "type": hex(kind), "status": hex(status), "cumulativeGasUsed": hex(21_000 * (index + 1)),
                "logsBloom": hexed(bloom), "logs": shown, "transactionHash": hexed(keccak(bytes([index]))),
            }
        )  # fmt: skip
    named = tuple(answer["transactionHash"] for answer in answers)
    return answers, Header(1, bytes(32), bytes(32), 0, bytes(root.root_hash), bytes(256), named, bytes(32))


@FEWER
@given(case=receipts_of())
def test_any_receipts_are_proven_by_their_root(case: tuple[list[dict[str, Any]], Header]) -> None:
    receipts, header = case
    prove_receipts(header, receipts)


@FEWER
@given(case=receipts_of(), data=st.data())
def test_nothing_in_a_receipt_can_be_swapped_for_rubbish(
    case: tuple[list[dict[str, Any]], Header], data: st.DataObject
) -> None:
    receipts, header = copy.deepcopy(case[0]), case[1]
    receipt = data.draw(st.sampled_from(receipts))
    target = data.draw(st.sampled_from([receipt, *receipt["logs"]]))
    target[data.draw(st.sampled_from(sorted(target)))] = data.draw(st.sampled_from(JUNK))
    with pytest.raises(NodeFaultError):
        prove_receipts(header, receipts)


@FEWER
@given(case=receipts_of(), data=st.data())
def test_no_bit_of_a_log_can_be_turned(case: tuple[list[dict[str, Any]], Header], data: st.DataObject) -> None:
    receipts, header = copy.deepcopy(case[0]), case[1]
    log = data.draw(st.sampled_from(data.draw(st.sampled_from(receipts))["logs"]))
    name = data.draw(st.sampled_from(["address", "data"]))
    value = bytearray.fromhex(log[name][2:])
    value[data.draw(st.integers(0, len(value) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    log[name] = hexed(bytes(value))
    with pytest.raises(NodeFaultError, match="not those of the header"):
        prove_receipts(header, receipts)


@FEWER
@given(case=receipts_of())
def test_none_is_missing_doubled_or_out_of_order(case: tuple[list[dict[str, Any]], Header]) -> None:
    receipts, header = case
    wrong = [receipts[1:], receipts[:-1], [*receipts, receipts[-1]]]
    if receipts != receipts[::-1]:
        wrong.append(receipts[::-1])
    for given_receipts in wrong:
        with pytest.raises(NodeFaultError):
            prove_receipts(header, given_receipts)
