"""EIP-1559 transactions (type 2): encoded, hashed and taken apart here, signed by digest elsewhere."""

from dataclasses import dataclass
from typing import Final

from mereau.chain.hashing import keccak
from mereau.chain.rlp import integer, string, wrap

_TYPE: Final = b"\x02"
_NO_ACCESS_LIST: Final = wrap(b"")
_CALL_FIELDS: Final = 8  # up to the call data; the access list and the signature follow
_STRING: Final = 0x80
_LIST: Final = 0xC0
_SHORT_MAX: Final = 55


@dataclass(frozen=True, slots=True)
class Fees:
    """Wei per gas: the most to pay in all, and the tip within it."""

    max_fee_per_gas_wei: int
    max_priority_fee_per_gas_wei: int


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
        """What the sender signs (EIP-2718, EIP-1559)."""
        return keccak(_TYPE + wrap(self._fields()))

    def signed(self, signature: bytes) -> "SignedTransaction":
        """With the 65-byte signature r || s || v, v in {27, 28}."""
        parity, r, s = signature[64] - 27, signature[:32], signature[32:64]
        raw = _TYPE + wrap(
            self._fields() + integer(parity) + integer(int.from_bytes(r, "big")) + integer(int.from_bytes(s, "big"))
        )
        return SignedTransaction(raw, keccak(raw))

    def _fields(self) -> bytes:
        return b"".join(
            (
                integer(self.chain_id),
                integer(self.nonce),
                integer(self.fees.max_priority_fee_per_gas_wei),
                integer(self.fees.max_fee_per_gas_wei),
                integer(self.gas_limit),
                string(self.target),
                integer(0),
                string(self.data),
                _NO_ACCESS_LIST,
            )
        )


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """The bytes that are broadcast, always the same ones, and their hash."""

    raw: bytes
    hash: bytes


def decode_transaction(raw: bytes) -> UnsignedTransaction:
    """What was signed in `raw`, which `UnsignedTransaction.signed` made: nothing else is read safely."""
    at = 1 + _prefix_size(raw[1], _LIST)
    fields = []
    for _ in range(_CALL_FIELDS):
        start = at + _prefix_size(raw[at], _STRING)
        at = start + _length(raw, at)
        fields.append(raw[start:at])
    chain_id, nonce, tip, fee, gas_limit = (int.from_bytes(field, "big") for field in fields[:5])
    return UnsignedTransaction(chain_id, nonce, Fees(fee, tip), gas_limit, fields[5], fields[7])


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
