"""Block headers: hashed here from their fields, so that a node cannot name a hash that it made up.

Every fork's header is the former one with fields appended, so the fields that a node shows decide the fork:
London adds the base fee (EIP-1559), Shanghai withdrawals (4895), Cancun blob gas and the beacon root (4844,
4788), Prague requests (7685), Amsterdam the access list and the slot (7928, 7843).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from mereau.chain import rlp
from mereau.chain.faults import NodeFaultError
from mereau.chain.hashing import keccak

_BLOOM_SIZE: Final = 256
_BLOOM_BITS: Final = 2048

# Field and size in bytes; an integer where the size is None.
_FIELDS: Final[Sequence[tuple[str, int | None]]] = (
    ("parentHash", 32),
    ("sha3Uncles", 32),
    ("miner", 20),
    ("stateRoot", 32),
    ("transactionsRoot", 32),
    ("receiptsRoot", 32),
    ("logsBloom", 256),
    ("difficulty", None),
    ("number", None),
    ("gasLimit", None),
    ("gasUsed", None),
    ("timestamp", None),
)
_SEAL: Final[Sequence[tuple[str, int | None]]] = (("mixHash", 32), ("nonce", 8))
_LATER: Final[Sequence[tuple[str, int | None]]] = (
    ("baseFeePerGas", None),
    ("withdrawalsRoot", 32),
    ("blobGasUsed", None),
    ("excessBlobGas", None),
    ("parentBeaconBlockRoot", 32),
    ("requestsHash", 32),
    ("blockAccessListHash", 32),
    ("slotNumber", None),
)


class Header(NamedTuple):
    """What the mirror keeps of a header whose hash it computed.

    `transactions` are the node's word, until they are held against `transactions_root`.
    """

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp_s: int
    receipts_root: bytes
    bloom: bytes
    transactions: tuple[str, ...]
    transactions_root: bytes


def read_header(answer: Any) -> Header:
    """The header in an answer to eth_getBlockByNumber (hashes of transactions only).

    Raises NodeFaultError where a field is missing or malformed, or the fields do not hash to the stated hash.
    """
    try:
        digest = keccak(_encode(answer))
        header = Header(
            number=int(answer["number"], 16),
            hash=digest,
            parent_hash=bytes.fromhex(answer["parentHash"][2:]),
            timestamp_s=int(answer["timestamp"], 16),
            receipts_root=bytes.fromhex(answer["receiptsRoot"][2:]),
            bloom=bytes.fromhex(answer["logsBloom"][2:]),
            transactions=tuple(answer["transactions"]),
            transactions_root=bytes.fromhex(answer["transactionsRoot"][2:]),
        )
        stated = bytes.fromhex(answer["hash"][2:])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise NodeFaultError(f"the node sent a block that cannot be read: {error!r}") from error
    if stated != digest:
        raise NodeFaultError(f"block {header.number} does not hash to 0x{stated.hex()} but 0x{digest.hex()}")
    return header


def check_links(headers: Sequence[Header], first: int, parent_hash: bytes | None) -> None:
    """Hold that `headers` are the blocks `first`, `first + 1`, ..., each naming the one before as its parent.

    `parent_hash` is the hash of block `first - 1`, None where it is not known. Raises NodeFaultError.
    """
    for number, header in enumerate(headers, first):
        if header.number != number:
            raise NodeFaultError(f"asked for block {number}, the node sent block {header.number}")
        if parent_hash is not None and header.parent_hash != parent_hash:
            raise NodeFaultError(f"block {number} does not follow the block before it")
        parent_hash = header.hash


def bloom_marks(member: bytes) -> tuple[tuple[int, int], ...]:
    """Where the 2048-bit filter marks `member`: (byte, bit mask), three times (Yellow Paper, 4.3.1)."""
    digest = keccak(member)
    bits = [int.from_bytes(digest[at : at + 2], "big") % _BLOOM_BITS for at in (0, 2, 4)]
    return tuple((_BLOOM_SIZE - 1 - bit // 8, 1 << bit % 8) for bit in bits)


def may_hold(bloom: bytes, marks: Sequence[tuple[int, int]]) -> bool:
    """Whether a block may have logs of the member that left `marks`. False is certain."""
    return all(bloom[at] & mask for at, mask in marks)


def _encode(answer: Mapping[str, str]) -> bytes:
    members = [_field(answer[name], size) for name, size in _FIELDS]
    members.append(rlp.string(bytes.fromhex(answer["extraData"][2:])))
    members += [_field(answer[name], size) for name, size in _SEAL]
    members += [_field(answer[name], size) for name, size in _LATER if answer.get(name) is not None]
    return rlp.wrap(b"".join(members))


def _field(text: str, size: int | None) -> bytes:
    if size is None:
        return rlp.integer(int(text, 16))
    value = bytes.fromhex(text[2:])
    if len(value) != size:
        raise ValueError(f"{len(value)} bytes where {size} belong")
    return rlp.string(value)
