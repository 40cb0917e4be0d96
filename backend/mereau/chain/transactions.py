"""Transactions (EIP-1559, and legacy ones with EIP-155) encoded, hashed, taken apart; signed by digest elsewhere."""

from dataclasses import dataclass
from typing import Final

from mereau.chain.hashing import keccak
from mereau.chain.rlp import integer, string, wrap

_TYPE: Final = b"\x02"
_NO_ACCESS_LIST: Final = wrap(b"")
_CALL_FIELDS: Final = 8  # up to the call data; the access list and the signature follow
_LEGACY_FIELDS: Final = 9  # nonce, price, gas, target, value, data, and the signature with its v
_REPLAY_OFFSET: Final = 35  # v of a signature bound to its chain is 2 x chain id + 35 + parity (EIP-155)
_STRING: Final = 0x80
_LIST: Final = 0xC0
_SHORT_MAX: Final = 55


@dataclass(frozen=True, slots=True)
class Fees:
    """Wei per gas: the most to pay in all, and the tip within it.

    A `legacy` transaction has one gas price, which stands for both (EIP-1559).
    """

    max_fee_per_gas_wei: int
    max_priority_fee_per_gas_wei: int
    legacy: bool = False


@dataclass(frozen=True, slots=True)
class UnsignedTransaction:
    """A call without value; `target` empty creates a contract from `data`."""

    chain_id: int
    nonce: int
    fees: Fees
    gas_limit: int
    target: bytes
    data: bytes

    def digest(self) -> bytes:
        """What the sender signs (EIP-2718 and EIP-1559, or EIP-155)."""
        if self.fees.legacy:
            return keccak(wrap(self._legacy_fields() + integer(self.chain_id) + integer(0) + integer(0)))
        return keccak(_TYPE + wrap(self._fields()))

    def signed(self, signature: bytes) -> "SignedTransaction":
        """With the 65-byte signature r || s || v, v in {27, 28}."""
        parity = signature[64] - 27
        r_and_s = b"".join(integer(int.from_bytes(half, "big")) for half in (signature[:32], signature[32:64]))
        if self.fees.legacy:
            v = integer(2 * self.chain_id + _REPLAY_OFFSET + parity)
            raw = wrap(self._legacy_fields() + v + r_and_s)
        else:
            raw = _TYPE + wrap(self._fields() + integer(parity) + r_and_s)
        return SignedTransaction(raw, keccak(raw))

    def _fields(self) -> bytes:
        return b"".join(
            (
                integer(self.chain_id),
                integer(self.nonce),
                integer(self.fees.max_priority_fee_per_gas_wei),
                integer(self.fees.max_fee_per_gas_wei),
                self._call_fields(),
                _NO_ACCESS_LIST,
            )
        )

    def _legacy_fields(self) -> bytes:
        return integer(self.nonce) + integer(self.fees.max_fee_per_gas_wei) + self._call_fields()

    def _call_fields(self) -> bytes:
        return b"".join((integer(self.gas_limit), string(self.target), integer(0), string(self.data)))


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """The bytes that are broadcast, always the same ones, and their hash."""

    raw: bytes
    hash: bytes


def decode_transaction(raw: bytes) -> UnsignedTransaction:
    """What was signed in `raw`, which `UnsignedTransaction.signed` made: nothing else is read safely."""
    if raw[0] >= _LIST:
        fields = _items(raw, 0, _LEGACY_FIELDS)
        nonce, price, gas_limit, v = (int.from_bytes(fields[place], "big") for place in (0, 1, 2, 6))
        chain_id = (v - _REPLAY_OFFSET) // 2
        return UnsignedTransaction(chain_id, nonce, Fees(price, price, legacy=True), gas_limit, fields[3], fields[5])
    fields = _items(raw, 1, _CALL_FIELDS)
    chain_id, nonce, tip, fee, gas_limit = (int.from_bytes(field, "big") for field in fields[:5])
    return UnsignedTransaction(chain_id, nonce, Fees(fee, tip), gas_limit, fields[5], fields[7])


def _items(raw: bytes, at: int, count: int) -> list[bytes]:
    """The first `count` strings of the list that begins at `at`."""
    at += _prefix_size(raw[at], _LIST)
    fields = []
    for _ in range(count):
        start = at + _prefix_size(raw[at], _STRING)
        at = start + _length(raw, at)
        fields.append(raw[start:at])
    return fields


def _prefix_size(lead: int, base: int) -> int:
    """Bytes before an RLP item's content (Yellow Paper, appendix B)."""
    if lead < _STRING:
        return 0
    return 1 if lead <= base + _SHORT_MAX else 1 + lead - base - _SHORT_MAX


def _length(raw: bytes, at: int) -> int:
    lead = raw[at]
    if lead < _STRING:
        return 1
    if lead <= _STRING + _SHORT_MAX:
        return lead - _STRING
    return int.from_bytes(raw[at + 1 : at + 1 + lead - _STRING - _SHORT_MAX], "big")
