"""Header hashes of Ethereum's forks, deep or broken encodings, and masks."""

import sys

import pytest
import rlp
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from mereau_verify.evm import HEADER_FIELDS, header_hash, masked, rlp_decode, rlp_encode, to_int

FORKS = {"Frontier": 15, "London": 16, "Shanghai": 17, "Cancun": 20, "Prague": 21}
"""Fields of a header since each fork."""
WIDTHS = {"miner": 20, "logsBloom": 256, "extraData": 5, "nonce": 8}


def header(count: int, number: int = 300) -> tuple[dict[str, str], list[object]]:
    """A header as a node tells it and the list that is hashed."""
    told: dict[str, str] = {}
    fields: list[object] = []
    for place, (name, is_integer) in enumerate(HEADER_FIELDS[:count]):
        raw = bytes([place + 1]) * WIDTHS.get(name, 32)
        told[name] = hex(number + place) if is_integer else f"0x{raw.hex()}"
        fields.append(number + place if is_integer else raw)
    return told, fields


@pytest.mark.parametrize("count", FORKS.values(), ids=FORKS.keys())
@pytest.mark.parametrize("number", [0, 1, 127, 128, 2**64, 2**255])
def test_a_header_of_each_fork(count: int, number: int) -> None:
    told, fields = header(count, number)
    assert header_hash(told) == keccak(rlp.encode(fields))


@pytest.mark.parametrize("place", range(21))
def test_every_field_counts(place: int) -> None:
    told, _ = header(21)
    name, is_integer = HEADER_FIELDS[place]
    changed = told | {name: hex(to_int(told[name]) + 1) if is_integer else told[name][:-1] + "0"}
    assert header_hash(changed) != header_hash(told)


def test_fields_outside_the_header_do_not_count() -> None:
    told, _ = header(21)
    beside = told | {"hash": "0x00", "size": "0x1", "totalDifficulty": "0x2"}
    assert header_hash(beside) == header_hash(told)


@pytest.mark.parametrize("count", [15, 16, 17])
def test_an_absent_field_ends_the_header(count: int) -> None:
    """Nodes tell null, or nothing, for what a fork has not brought yet."""
    told, fields = header(21)
    absent = HEADER_FIELDS[count][0]
    for shorter in (told | {absent: None}, {name: value for name, value in told.items() if name != absent}):
        assert header_hash(shorter) == keccak(rlp.encode(fields[:count]))


def test_mainnets_genesis() -> None:
    """A known answer from outside: the block that all of Ethereum starts from."""
    empty = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
    told = {
        "parentHash": "0x" + "00" * 32, "miner": "0x" + "00" * 20, "transactionsRoot": empty, "receiptsRoot": empty,
        "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
        "stateRoot": "0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544",
        "logsBloom": "0x" + "00" * 256, "difficulty": "0x400000000", "number": "0x0", "gasLimit": "0x1388",
        "gasUsed": "0x0", "timestamp": "0x0", "mixHash": "0x" + "00" * 32, "nonce": "0x0000000000000042",
        "extraData": "0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa",
    }  # fmt: skip
    assert header_hash(told).hex() == "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"


@pytest.mark.parametrize("text", ["", "0x", "0xz", "soon"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        to_int(text)


@pytest.mark.parametrize("size", [0, 1, 55, 56, 255, 256, 65_535, 65_536])
def test_lengths_around_their_limits(size: int) -> None:
    for item in (b"\x81" * size, [b"\x01"] * size):
        assert rlp_encode(item) == rlp.encode(item)
        assert rlp_decode(rlp_encode(item)) == item


def test_nesting_without_end_is_refused() -> None:
    nested = b"\xc0"
    for _ in range(20_000):
        head = bytes([0xC0 + len(nested)]) if len(nested) < 56 else b"\xfa" + len(nested).to_bytes(3, "big")
        nested = head + nested
    before = sys.getrecursionlimit()  # other libraries of this process raise it
    sys.setrecursionlimit(2000)
    try:
        with pytest.raises(ValueError, match="too deep"):
            rlp_decode(nested)
    finally:
        sys.setrecursionlimit(before)


@given(st.binary(min_size=1, max_size=60), st.integers(0, 59), st.integers(1, 60))
def test_masks_compare_all_but_their_places(code: bytes, start: int, length: int) -> None:
    start %= len(code)
    length = min(length, len(code) - start)
    references = {"1": [{"start": start, "length": length}]}
    blank = masked(code, references)
    assert blank == code[:start] + bytes(length) + code[start + length :]
    for place in range(len(code)):
        other = bytearray(code)
        other[place] ^= 1
        assert (masked(bytes(other), references) == blank) is (start <= place < start + length)


def test_no_mask_changes_nothing() -> None:
    assert masked(b"code", {}) == b"code"
