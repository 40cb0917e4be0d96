"""What an Ethereum client hashes: keccak, RLP, block headers. Written from the specifications alone.

Sources: Yellow Paper appendix B (RLP), EIPs 1559, 4895, 4844, 4788 and 7685 (header fields).
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import sha3

Rlp: TypeAlias = "bytes | list[Rlp]"

_STRING: Final = 0x80
_LIST: Final = 0xC0
_SHORT_MAX: Final = 55

HEADER_FIELDS: Final = (
    ("parentHash", False), ("sha3Uncles", False), ("miner", False), ("stateRoot", False),
    ("transactionsRoot", False), ("receiptsRoot", False), ("logsBloom", False), ("difficulty", True),
    ("number", True), ("gasLimit", True), ("gasUsed", True), ("timestamp", True), ("extraData", False),
    ("mixHash", False), ("nonce", False), ("baseFeePerGas", True), ("withdrawalsRoot", False),
    ("blobGasUsed", True), ("excessBlobGas", True), ("parentBeaconBlockRoot", False), ("requestsHash", False),
)  # fmt: skip
"""Header fields in order; True marks an integer. The later ones exist from their fork on."""


def keccak(data: bytes) -> bytes:
    """Keccak-256 as Ethereum uses it (not NIST SHA3-256)."""
    return bytes(sha3.keccak_256(data).digest())


def from_hex(text: str) -> bytes:
    """Bytes of a 0x-prefixed hex string; raises ValueError where it is none."""
    if not text.startswith("0x"):
        message = f"not a 0x hex string: {text[:20]!r}"
        raise ValueError(message)
    return bytes.fromhex(text[2:])


def to_int(text: str) -> int:
    """An RPC quantity."""
    return int(text, 16)


def _head(length: int, offset: int) -> bytes:
    if length <= _SHORT_MAX:
        return bytes([offset + length])
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([offset + _SHORT_MAX + len(size)]) + size


def rlp_encode(item: Rlp) -> bytes:
    """Canonical RLP of bytes and lists."""
    if isinstance(item, bytes):
        return item if len(item) == 1 and item[0] < _STRING else _head(len(item), _STRING) + item
    payload = b"".join(rlp_encode(part) for part in item)
    return _head(len(payload), _LIST) + payload


def _take(data: bytes, start: int) -> tuple[Rlp, int]:
    first = data[start]
    if first < _STRING:
        return data[start : start + 1], start + 1
    offset = _LIST if first >= _LIST else _STRING
    length, body = first - offset, start + 1
    if length > _SHORT_MAX:
        size = length - _SHORT_MAX
        length, body = int.from_bytes(data[body : body + size], "big"), body + size
    end = body + length
    if end > len(data):
        message = "RLP ends too early"
        raise ValueError(message)
    if offset == _STRING:
        return data[body:end], end
    items: list[Rlp] = []
    while body < end:
        item, body = _take(data, body)
        items.append(item)
    if body != end:
        message = "RLP list overruns its length"
        raise ValueError(message)
    return items, end


def rlp_decode(data: bytes) -> Rlp:
    """The one item that `data` encodes; raises ValueError on anything else."""
    try:
        item, end = _take(data, 0)
    except IndexError as error:
        message = "RLP ends too early"
        raise ValueError(message) from error
    except RecursionError as error:
        message = "RLP nests too deep"
        raise ValueError(message) from error
    if end != len(data):
        message = "bytes after the RLP item"
        raise ValueError(message)
    return item


def header_hash(header: Mapping[str, str]) -> bytes:
    """The block's hash, computed from the fields that the node gave rather than believed."""
    fields: list[Rlp] = []
    for name, is_integer in HEADER_FIELDS:
        text = header.get(name)
        if text is None:
            break
        if is_integer:
            value = to_int(text)
            fields.append(value.to_bytes((value.bit_length() + 7) // 8, "big"))
        else:
            fields.append(from_hex(text))
    return keccak(rlp_encode(fields))


def masked(code: bytes, references: Mapping[str, Sequence[Mapping[str, int]]]) -> bytes:
    """Deployed code with every immutable's place zeroed: what two honest builds have in common."""
    buffer = bytearray(code)
    for places in references.values():
        for place in places:
            start, length = place["start"], place["length"]
            buffer[start : start + length] = bytes(length)
    return bytes(buffer)
