"""Signed transactions: decoding, sender, and what they must pay before they run.

Types 0, 1, 2 and 4 (EIP-155, 2930, 1559, 7702). Blob transactions are refused: there is nobody here to keep
blobs. The attribute names are those that py-evm's executor reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from coincurve import PublicKey
from eth.vm.forks.prague.transactions import Authorization
from eth_hash.auto import keccak

from mereau.chain.embedded.blocks import TYPED_MAX
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
_ADDRESS, _WORD = 20, 32
_UINT64 = 8
_PAIR = 2
_AUTHORIZATION_FIELDS = 6
_CURVE_ORDER_HALF = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
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
    type_id = raw[0] if raw[0] <= TYPED_MAX else LEGACY
    if type_id not in _FIELDS or raw[0] == LEGACY:
        raise InvalidTransactionError("transaction type not supported")
    items = decode_list(raw if type_id == LEGACY else raw[1:])
    if len(items) != _FIELDS[type_id]:
        raise CodecError(f"a type {type_id} transaction has {_FIELDS[type_id]} fields")
    transaction = _legacy(items) if type_id == LEGACY else _typed(type_id, items)
    if transaction.chain_id is None:
        raise InvalidTransactionError("only replay-protected (EIP-155) transactions allowed over RPC")
    if transaction.chain_id != chain_id:
        raise InvalidTransactionError(f"invalid chain id for signer: have {transaction.chain_id} want {chain_id}")
    signed_by = sender or _recover(_unsigned(type_id, items, chain_id), transaction)
    return replace(transaction, sender=signed_by, hash=keccak(raw), raw=raw)


def _legacy(items: list[Decoded]) -> Transaction:
    price = decode_int(items[1])
    v = decode_int(items[6])
    to, value, data = _payload(items[3:6])
    return Transaction(
        type_id=LEGACY,
        chain_id=(v - _EIP155_OFFSET) // 2 if v >= _EIP155_OFFSET else None,
        nonce=decode_int(items[0], size_max=_UINT64),
        max_priority_fee_per_gas=price,
        max_fee_per_gas=price,
        gas=decode_int(items[2], size_max=_UINT64),
        to=to,
        value=value,
        data=data,
        v=v,
        r=decode_int(items[7]),
        s=decode_int(items[8]),
    )


def _typed(type_id: int, items: list[Decoded]) -> Transaction:
    fees = 1 if type_id == ACCESS_LIST else 2
    gas = 2 + fees
    to, value, data = _payload(items[gas + 1 : gas + 4])
    if type_id == SET_CODE and not to:
        raise CodecError("a set-code transaction needs a recipient")
    return Transaction(
        type_id=type_id,
        chain_id=decode_int(items[0], size_max=_UINT64),
        nonce=decode_int(items[1], size_max=_UINT64),
        max_priority_fee_per_gas=decode_int(items[2]),
        max_fee_per_gas=decode_int(items[1 + fees]),
        gas=decode_int(items[gas], size_max=_UINT64),
        to=to,
        value=value,
        data=data,
        access_list=_access_list(items[gas + 4]),
        authorization_list=_authorizations(items[gas + 5]) if type_id == SET_CODE else (),
        v=decode_int(items[-3], size_max=1),
        r=decode_int(items[-2]),
        s=decode_int(items[-1]),
    )


def _payload(items: list[Decoded]) -> tuple[bytes, int, bytes]:
    to, data = _bytes(items[0]), _bytes(items[2])
    if len(to) not in {0, _ADDRESS}:
        raise CodecError("the recipient is neither empty nor 20 bytes")
    return to, decode_int(items[1]), data


def _access_list(item: Decoded) -> AccessList:
    entries = []
    for entry in _list(item):
        account, keys = _pair(_list(entry))
        slots = [_bytes(key) for key in _list(keys)]
        if len(_bytes(account)) != _ADDRESS or any(len(slot) != _WORD for slot in slots):
            raise CodecError("an access list holds addresses and 32-byte slots")
        entries.append((_bytes(account), tuple(int.from_bytes(slot, "big") for slot in slots)))
    return tuple(entries)


def _authorizations(item: Decoded) -> tuple[Authorization, ...]:
    granted = []
    for member in _list(item):
        values = _list(member)
        if len(values) != _AUTHORIZATION_FIELDS or len(_bytes(values[1])) != _ADDRESS:
            raise CodecError("an authorization has six fields")
        chain_id, nonce, parity, r, s = [decode_int(values[index]) for index in (0, 2, 3, 4, 5)]
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
    if len(items) != _PAIR:
        raise CodecError("expected a pair")
    return items[0], items[1]


def _unsigned(type_id: int, items: list[Decoded], chain_id: int) -> bytes:
    if type_id == LEGACY:
        replay: list[Item] = [encode_int(chain_id), b"", b""]
        return keccak(encode([*items[:6], *replay]))
    return keccak(bytes((type_id,)) + encode(items[:-3]))


def _recover(digest: bytes, transaction: Transaction) -> bytes:
    r, s, v = transaction.r, transaction.s, transaction.v
    parity = (v - _EIP155_OFFSET) % 2 if transaction.type_id == LEGACY else v
    if not r or not 0 < s <= _CURVE_ORDER_HALF or parity > 1:
        raise InvalidTransactionError("invalid sender")
    signature = r.to_bytes(_WORD, "big") + s.to_bytes(_WORD, "big") + bytes((parity,))
    try:
        key = PublicKey.from_signature_and_message(signature, digest, hasher=None)
    except Exception as error:  # coincurve raises plain Exception when no key fits the signature
        raise InvalidTransactionError("invalid sender") from error
    return keccak(key.format(compressed=False)[1:])[12:]
