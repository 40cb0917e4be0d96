"""Signed transactions: decoding, sender, and what they must pay before they run.

Types 0, 1, 2 and 4 (EIP-155, 2930, 1559, 7702). Blob transactions are refused: there is nobody here to keep
blobs. The attribute names are those that py-evm's executor reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

from coincurve import PublicKey
from eth.vm.forks.prague.transactions import Authorization
from eth_hash.auto import keccak

from mereau.chain.embedded.codec import (
    CodecError,
    Decoded,
    Item,
    decode_int,
    decode_list,
    encode,
    encode_int,
)
from mereau.chain.embedded.errors import InvalidTransactionError

LEGACY, ACCESS_LIST, DYNAMIC_FEE, BLOB, SET_CODE = range(5)
AccessList = tuple[tuple[bytes, tuple[int, ...]], ...]

_FIELDS = {LEGACY: 9, ACCESS_LIST: 11, DYNAMIC_FEE: 12, SET_CODE: 13}
_ADDRESS = 20
_UINT64 = 8
_CURVE_ORDER_HALF = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_TYPED_MAX = 0x7F
_EIP155_OFFSET = 35

_GAS_BASE = 21_000
_GAS_CREATE = 32_000
_GAS_ZERO, _GAS_NONZERO = 4, 16
_GAS_FLOOR_TOKEN = 10
_GAS_ADDRESS, _GAS_SLOT = 2_400, 1_900
_GAS_AUTHORIZATION = 25_000
_GAS_INITCODE_WORD = 2


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """One transaction, signed or (for calls) only described. Fees are wei per gas; legacy sets both alike."""

    type_id: int = DYNAMIC_FEE
    chain_id: int | None = None
    nonce: int = 0
    max_priority_fee_per_gas: int = 0
    max_fee_per_gas: int = 0
    gas: int = 0
    to: bytes = b""
    value: int = 0
    data: bytes = b""
    access_list: AccessList = ()
    authorization_list: Sequence[Authorization] = ()
    v: int = 0
    r: int = 0
    s: int = 0
    sender: bytes = b""
    hash: bytes = b""
    raw: bytes = field(default=b"", repr=False)

    @cached_property
    def intrinsic_gas(self) -> int:
        zeros = self.data.count(0)
        return (
            _GAS_BASE
            + zeros * _GAS_ZERO
            + (len(self.data) - zeros) * _GAS_NONZERO
            + (0 if self.to else _GAS_CREATE)
            + sum(_GAS_ADDRESS + _GAS_SLOT * len(slots) for _, slots in self.access_list)
            + _GAS_AUTHORIZATION * len(self.authorization_list)
        )

    @property
    def initcode_gas(self) -> int:
        """What EIP-3860 takes for a creation; the executor takes it apart from the intrinsic gas."""
        return 0 if self.to else _GAS_INITCODE_WORD * ((len(self.data) + 31) // 32)

    @property
    def floor_gas(self) -> int:
        """The least a transaction pays for its data (EIP-7623)."""
        zeros = self.data.count(0)
        return _GAS_BASE + _GAS_FLOOR_TOKEN * (zeros + 4 * (len(self.data) - zeros))

    @property
    def cost_max(self) -> int:
        return self.gas * self.max_fee_per_gas + self.value

    def price(self, base_fee: int) -> int:
        """Wei per gas that it pays in a block with this base fee (EIP-1559)."""
        return min(self.max_fee_per_gas, base_fee + self.max_priority_fee_per_gas)


def decode_transaction(raw: bytes, *, chain_id: int) -> Transaction:
    """The transaction that `raw` encodes, its sender recovered.

    Raises InvalidTransactionError for bytes that are no transaction, another chain's id or a bad signature.
    """
    try:
        return _decode(raw, chain_id)
    except CodecError as error:
        raise InvalidTransactionError(f"rlp: {error}") from error


def decode_mined(raw: bytes, sender: bytes, chain_id: int) -> Transaction:
    """As `decode_transaction`, for a transaction whose sender is on record: no signature work."""
    return _decode(raw, chain_id, sender)


def _decode(raw: bytes, chain_id: int, sender: bytes = b"") -> Transaction:
    if not raw:
        raise InvalidTransactionError("typed transaction too short")
    type_id = raw[0] if raw[0] <= _TYPED_MAX else LEGACY
    if type_id not in _FIELDS or (raw[0] <= _TYPED_MAX and type_id == LEGACY):
        raise InvalidTransactionError("transaction type not supported")
    items = decode_list(raw if type_id == LEGACY else raw[1:])
    if len(items) != _FIELDS[type_id]:
        raise CodecError(f"a type {type_id} transaction has {_FIELDS[type_id]} fields")
    fields = _legacy(items) if type_id == LEGACY else _typed(type_id, items)
    if fields["chain_id"] != chain_id:
        raise _wrong_chain(cast("int | None", fields["chain_id"]), chain_id)
    if not sender:
        unsigned = _unsigned(type_id, items, chain_id)
        sender = _recover(unsigned, cast("int", fields.pop("parity")), items[-2], items[-1])
    fields.pop("parity", None)
    return Transaction(type_id=type_id, sender=sender, hash=keccak(raw), raw=raw, **fields)  # type: ignore[arg-type] # one table for four types


def _wrong_chain(have: int | None, want: int) -> InvalidTransactionError:
    if have is None:
        return InvalidTransactionError("only replay-protected (EIP-155) transactions allowed over RPC")
    return InvalidTransactionError(f"invalid chain id for signer: have {have} want {want}")


def _legacy(items: list[Decoded]) -> dict[str, object]:
    price = decode_int(items[1])
    v = decode_int(items[6])
    return {
        "nonce": decode_int(items[0], size_max=_UINT64),
        "max_priority_fee_per_gas": price,
        "max_fee_per_gas": price,
        "gas": decode_int(items[2], size_max=_UINT64),
        **_payload(items[3:6]),
        "chain_id": (v - _EIP155_OFFSET) // 2 if v >= _EIP155_OFFSET else None,
        "parity": (v - _EIP155_OFFSET) % 2,
        **_signature(items),
    }


def _typed(type_id: int, items: list[Decoded]) -> dict[str, object]:
    fees = 1 if type_id == ACCESS_LIST else 2
    rest = 2 + fees
    fields: dict[str, object] = {
        "chain_id": decode_int(items[0], size_max=_UINT64),
        "nonce": decode_int(items[1], size_max=_UINT64),
        "max_priority_fee_per_gas": decode_int(items[2]),
        "max_fee_per_gas": decode_int(items[1 + fees]),
        "gas": decode_int(items[rest], size_max=_UINT64),
        **_payload(items[rest + 1 : rest + 4]),
        "access_list": _access_list(items[rest + 4]),
        "parity": decode_int(items[-3], size_max=1),
        **_signature(items),
    }
    if type_id == SET_CODE:
        fields["authorization_list"] = _authorizations(items[rest + 5])
        if not fields["to"]:
            raise CodecError("a set-code transaction needs a recipient")
    return fields


def _payload(items: list[Decoded]) -> dict[str, object]:
    to, data = _bytes(items[0]), _bytes(items[2])
    if len(to) not in {0, _ADDRESS}:
        raise CodecError("the recipient is neither empty nor 20 bytes")
    return {"to": to, "value": decode_int(items[1]), "data": data}


def _signature(items: list[Decoded]) -> dict[str, object]:
    return {"v": decode_int(items[-3]), "r": decode_int(items[-2]), "s": decode_int(items[-1])}


def _access_list(item: Decoded) -> AccessList:
    entries = []
    for member in _list(item):
        address, slots = _pair(_list(member))
        if len(_bytes(address)) != _ADDRESS or any(len(_bytes(slot)) != 32 for slot in _list(slots)):  # noqa: PLR2004
            raise CodecError("an access list holds addresses and 32-byte slots")
        entries.append((_bytes(address), tuple(int.from_bytes(_bytes(slot), "big") for slot in slots)))
    return tuple(entries)


def _authorizations(item: Decoded) -> tuple[Authorization, ...]:
    granted = []
    for member in _list(item):
        values = _list(member)
        if len(values) != 6 or len(_bytes(values[1])) != _ADDRESS:  # noqa: PLR2004 - EIP-7702's tuple
            raise CodecError("an authorization has six fields")
        chain_id, nonce, parity, r, s = (decode_int(values[index]) for index in (0, 2, 3, 4, 5))
        granted.append(Authorization(chain_id, _bytes(values[1]), nonce, parity, r, s))
    if not granted:
        raise CodecError("a set-code transaction needs an authorization")
    return tuple(granted)


def _bytes(item: Decoded) -> bytes:
    if not isinstance(item, bytes):
        raise CodecError("expected a string, found a list")
    return item


def _list(item: Decoded) -> list[Decoded]:
    if isinstance(item, bytes):
        raise CodecError("expected a list, found a string")
    return item


def _pair(items: list[Decoded]) -> tuple[Decoded, Decoded]:
    if len(items) != 2:  # noqa: PLR2004
        raise CodecError("expected a pair")
    return items[0], items[1]


def _unsigned(type_id: int, items: list[Decoded], chain_id: int) -> bytes:
    if type_id == LEGACY:
        replay: list[Item] = [encode_int(chain_id), b"", b""]
        return keccak(encode([*items[:6], *replay]))
    return keccak(bytes((type_id,)) + encode(items[:-3]))


def _recover(digest: bytes, parity: int, r: Decoded, s: Decoded) -> bytes:
    low_s = 0 < decode_int(s) <= _CURVE_ORDER_HALF
    if not low_s or parity > 1 or not decode_int(r):
        raise InvalidTransactionError("invalid sender")
    signature = _bytes(r).rjust(32, b"\0") + _bytes(s).rjust(32, b"\0") + bytes((parity,))
    try:
        key = PublicKey.from_signature_and_message(signature, digest, hasher=None)
    except Exception as error:  # coincurve raises plain Exception when no key fits the signature
        raise InvalidTransactionError("invalid sender") from error
    return keccak(key.format(compressed=False)[1:])[12:]
