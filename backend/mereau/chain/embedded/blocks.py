"""Headers, bodies and receipts: their consensus encoding, and the rules that bind a header to its parent."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

from eth_hash.auto import keccak

from mereau.chain.embedded.codec import Item, decode_int, decode_list, encode, encode_int
from mereau.chain.embedded.trie import BLANK_ROOT

BLOCK_GAS_LIMIT = 60_000_000
TRANSACTION_GAS_LIMIT = 16_777_216  # EIP-7825
BASE_FEE_GENESIS_WEI = 1_000_000_000

NO_UNCLES = keccak(encode([]))
NO_REQUESTS = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
TYPED_MAX = 0x7F  # EIP-2718: a first byte up to here is a type
_ZERO_HASH = bytes(32)
_ELASTICITY = 2
_FEE_CHANGE_DENOMINATOR = 8
_BLOOM_BITS = 2048
_BLOOM_SIZE = 256

Log = tuple[bytes, Sequence[bytes], bytes]


class Header(NamedTuple):
    """A Prague header, less the fields that are the same in every block here."""

    parent_hash: bytes
    state_root: bytes
    transactions_root: bytes
    receipts_root: bytes
    bloom: bytes
    number: int
    gas_limit: int
    gas_used: int
    timestamp: int
    base_fee: int
    coinbase: bytes = bytes(20)

    def encode(self) -> bytes:
        """The RLP of all 21 fields, whose keccak-256 is the block's hash."""
        return encode([
            self.parent_hash, NO_UNCLES, self.coinbase, self.state_root, self.transactions_root,
            self.receipts_root, self.bloom, b"", encode_int(self.number), encode_int(self.gas_limit),
            encode_int(self.gas_used), encode_int(self.timestamp), b"", _ZERO_HASH, bytes(8),
            encode_int(self.base_fee), BLANK_ROOT, b"", b"", _ZERO_HASH, NO_REQUESTS,
        ])  # fmt: skip

    @classmethod
    def decode(cls, encoded: bytes) -> "Header":
        items = decode_list(encoded)
        parent, _, coinbase, state, transactions, receipts, bloom = cast("list[bytes]", items[:7])
        number, gas_limit, gas_used, timestamp = (decode_int(item) for item in items[8:12])
        return cls(
            parent, state, transactions, receipts, bloom, number, gas_limit, gas_used, timestamp,
            decode_int(items[15]), coinbase,
        )  # fmt: skip


class Receipt(NamedTuple):
    """What a transaction did. Gas is cumulative within the block, as the consensus encoding has it."""

    type_id: int
    status: int
    cumulative_gas: int
    bloom: bytes
    logs: Sequence[Log]

    def encode(self) -> bytes:
        logs: list[Item] = [[address, list(topics), data] for address, topics, data in self.logs]
        payload = encode([encode_int(self.status), encode_int(self.cumulative_gas), self.bloom, logs])
        return payload if self.type_id == 0 else bytes((self.type_id,)) + payload

    @classmethod
    def decode(cls, encoded: bytes) -> "Receipt":
        type_id = encoded[0] if encoded[0] <= TYPED_MAX else 0
        status, gas, bloom, logs = decode_list(encoded[1:] if type_id else encoded)
        return cls(type_id, decode_int(status), decode_int(gas), cast("bytes", bloom), cast("Sequence[Log]", logs))


class MinedTransaction(NamedTuple):
    raw: bytes
    sender: bytes


def encode_body(transactions: Iterable[MinedTransaction]) -> bytes:
    return encode([list(transaction) for transaction in transactions])


def decode_body(encoded: bytes) -> list[MinedTransaction]:
    return [MinedTransaction(*cast("list[bytes]", item)) for item in decode_list(encoded)]


def decode_receipts(encoded: bytes) -> list[Receipt]:
    return [Receipt.decode(cast("bytes", item)) for item in decode_list(encoded)]


def bloom_bits(member: bytes) -> int:
    digest = keccak(member)
    bits = 0
    for index in (0, 2, 4):
        bits |= 1 << (int.from_bytes(digest[index : index + 2], "big") % _BLOOM_BITS)
    return bits


def bloom_of(logs: Sequence[Log]) -> bytes:
    """The 2048-bit filter over the addresses and topics of `logs`."""
    members = {address for address, _, _ in logs}
    for _, topics, _ in logs:
        members.update(topics)
    bits = 0
    for member in members:
        bits |= bloom_bits(member)
    return bits.to_bytes(_BLOOM_SIZE, "big")


def union(blooms: Iterable[bytes]) -> bytes:
    bits = 0
    for bloom in blooms:
        bits |= int.from_bytes(bloom, "big")
    return bits.to_bytes(_BLOOM_SIZE, "big")


def next_base_fee(parent: Header) -> int:
    """The base fee after `parent` in wei per gas (EIP-1559)."""
    target = parent.gas_limit // _ELASTICITY
    delta = parent.gas_used - target
    change = parent.base_fee * abs(delta) // target // _FEE_CHANGE_DENOMINATOR
    return parent.base_fee + max(change, 1) if delta > 0 else parent.base_fee - change
