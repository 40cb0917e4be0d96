"""LoyaltyToken as the backend sees it: calls, EIP-712 digests, events, errors, storage keys.

Everything is derived from the committed artifact. Addresses are 20 bytes, hashes 32, amounts whole tokens,
times Unix seconds. Decoded values that go to JSON are integers, booleans, text, and bytes as 0x-strings.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError

from mereau.chain.artifact import artifact, creation_code, storage_slot
from mereau.chain.hashing import keccak

UNLIMITED: Final = 2**56 - 1
"""An allowance or period cap that never binds."""

ZERO_ADDRESS: Final = bytes(20)

_DOMAIN_NAME: Final = "Mereau"
_DOMAIN_VERSION: Final = "1"
_SELECTOR_SIZE: Final = 4
_REDEMPTION_HEAD_SIZE: Final = 76


@dataclass(frozen=True, slots=True)
class Config:
    """The constructor's argument; the contract documents each field."""

    name: str
    symbol: str
    contract_uri: str
    decimals: int
    admin: bytes
    admin_delay_s: int
    partner_admin: bytes
    expirer: bytes
    pauser: bytes
    notice_period_s: int
    epoch_length_s: int
    cap_period_s: int
    transfers_open: bool

    def values(self) -> tuple[Any, ...]:
        """The fields in the constructor's order."""
        return tuple(getattr(self, field) for field in self.__slots__)


@dataclass(frozen=True, slots=True)
class PartnerTerms:
    """What `partnerOf` answers. A partner that was never registered has the zero signer."""

    signer: bytes
    sequence: int
    active: bool
    allowance: int
    period_cap: int
    net_issued: int
    period_issued: int
    period: int

    @property
    def known(self) -> bool:
        return self.signer != ZERO_ADDRESS


@dataclass(frozen=True, slots=True)
class Revert:
    """Why a call reverted: the error's name and its arguments by name, or `Unknown` with the raw data."""

    name: str
    args: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={_json(value)}' for name, value in self.args.items())})"


@dataclass(frozen=True, slots=True)
class Event:
    """A decoded log; `data` holds the arguments under their Solidity names, ready for JSON."""

    name: str
    data: dict[str, Any]


def _type_of(parameter: dict[str, Any]) -> str:
    kind: str = parameter["type"]
    if not kind.startswith("tuple"):
        return kind
    members = ",".join(_type_of(member) for member in parameter["components"])
    return f"({members}){kind.removeprefix('tuple')}"


@dataclass(frozen=True, slots=True)
class _Signature:
    """One ABI entry, prepared."""

    name: str
    types: tuple[str, ...]
    names: tuple[str, ...]
    indexed: tuple[bool, ...]
    outputs: tuple[str, ...]
    hash: bytes

    @classmethod
    def of(cls, entry: dict[str, Any]) -> "_Signature":
        inputs = entry.get("inputs", [])
        types = tuple(_type_of(parameter) for parameter in inputs)
        name = entry.get("name", "constructor")
        return cls(
            name,
            types,
            tuple(parameter["name"].rstrip("_") for parameter in inputs),
            tuple(bool(parameter.get("indexed")) for parameter in inputs),
            tuple(_type_of(parameter) for parameter in entry.get("outputs", [])),
            keccak(f"{name}({','.join(types)})".encode()),
        )


@cache
def _abi(kind: str) -> dict[str, _Signature]:
    entries = (_Signature.of(entry) for entry in artifact()["abi"] if entry["type"] == kind)
    return {signature.name: signature for signature in entries}


def encode_call(name: str, *args: Any) -> bytes:
    """Call data of the function `name`; addresses as bytes."""
    function = _abi("function")[name]
    return function.hash[:_SELECTOR_SIZE] + encode(function.types, args)


def encode_together(calls: Sequence[bytes]) -> bytes:
    """One call that executes all of these or none, in their order (Multicall); a single one stays as it is."""
    return calls[0] if len(calls) == 1 else encode_call("multicall", list(calls))


def decode_result(name: str, data: bytes) -> tuple[Any, ...]:
    """What the function `name` returned."""
    return decode(_abi("function")[name].outputs, data)


def decode_call(data: bytes) -> tuple[str, dict[str, Any]] | None:
    """The function and arguments of a call to this contract, or None where `data` is something else."""
    for function in _abi("function").values():
        if function.hash[:_SELECTOR_SIZE] == data[:_SELECTOR_SIZE]:
            values = decode(function.types, data[_SELECTOR_SIZE:])
            return function.name, dict(zip(function.names, values, strict=True))
    return None


def encode_deployment(config: Config) -> bytes:
    """What the creating transaction carries: the creation code and its encoded configuration."""
    return creation_code() + encode(_abi("constructor")["constructor"].types, (config.values(),))


def decode_partner(data: bytes) -> PartnerTerms:
    """The answer of `partnerOf`."""
    signer, *rest = decode_result("partnerOf", data)
    return PartnerTerms(bytes.fromhex(signer[2:]), *rest)


def encode_set_partner(
    partner: int, signer: bytes, *, allowance: int | None, period_cap: int | None, active: bool
) -> bytes:
    """Registers a partner or replaces its terms; None is no limit."""
    limits = (UNLIMITED if limit is None else limit for limit in (allowance, period_cap))
    return encode_call("setPartner", partner, signer, *limits, active)


def encode_publish_terms(terms_hash: bytes, uri: str, effective_at: int) -> bytes:
    """Announces programme terms that hold from the Unix second `effective_at`."""
    return encode_call("publishTerms", terms_hash, uri, effective_at)


def pack_list(items: Iterable[tuple[bytes, int]]) -> bytes:
    """Credits or debits as the contract reads them: `address(20) | amount(12)` per item."""
    return b"".join([wallet + amount.to_bytes(12, "big") for wallet, amount in items])


def unpack_list(packed: bytes) -> list[tuple[bytes, int]]:
    """The items of a packed list; its length must be a multiple of 32 bytes."""
    return [
        (packed[start : start + 20], int.from_bytes(packed[start + 20 : start + 32], "big"))
        for start in range(0, len(packed), 32)
    ]


@dataclass(frozen=True, slots=True)
class Redemption:
    """What a holder signs; `reference` is the order's commitment, `deadline` the last valid second."""

    member: bytes
    amount: int
    partner: int
    reference: bytes
    nonce: int
    deadline: int


def pack_redemptions(signed: Iterable[tuple[Redemption, bytes]]) -> bytes:
    """Records back to back, each with its signature, as `redeem` reads them."""
    return b"".join(
        [
            b"".join(
                (
                    order.member,
                    order.amount.to_bytes(8, "big"),
                    order.partner.to_bytes(4, "big"),
                    order.reference,
                    order.nonce.to_bytes(5, "big"),
                    order.deadline.to_bytes(5, "big"),
                    len(signature).to_bytes(2, "big"),
                    signature,
                )
            )
            for order, signature in signed
        ]
    )


def unpack_redemptions(packed: bytes) -> list[tuple[Redemption, bytes]]:
    """The records of a `redeem` call with their signatures."""
    records = []
    at = 0
    while at < len(packed):
        head = packed[at : at + _REDEMPTION_HEAD_SIZE]
        end = at + _REDEMPTION_HEAD_SIZE + int.from_bytes(head[74:], "big")
        amount, partner, nonce, deadline = (
            int.from_bytes(head[start:stop], "big") for start, stop in ((20, 28), (28, 32), (64, 69), (69, 74))
        )
        order = Redemption(head[:20], amount, partner, head[32:64], nonce, deadline)
        records.append((order, packed[at + _REDEMPTION_HEAD_SIZE : end]))
        at = end
    return records


_DOMAIN_TYPE: Final = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
_ISSUE_TYPE: Final = keccak(b"Issue(uint32 partner,uint64 sequence,bytes32 trailRoot,bytes credits)")
_REVERSE_TYPE: Final = keccak(b"Reverse(uint32 partner,uint64 sequence,bytes32 trailRoot,bytes debits)")
_EXPIRE_TYPE: Final = keccak(b"Expire(uint64 sequence,bytes32 trailRoot,bytes debits)")
_REDEEM_TYPE: Final = keccak(
    b"Redeem(address member,uint64 amount,uint32 partner,bytes32 reference,uint40 nonce,uint40 deadline)"
)


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def _address_word(address: bytes) -> bytes:
    return address.rjust(32, b"\0")


@dataclass(frozen=True)
class OrderDomain:
    """The chain and contract that every order's signature is bound to; gives the digests to sign."""

    chain_id: int
    contract: bytes

    @cached_property
    def separator(self) -> bytes:
        """The EIP-712 domain separator."""
        return keccak(
            _DOMAIN_TYPE
            + keccak(_DOMAIN_NAME.encode())
            + keccak(_DOMAIN_VERSION.encode())
            + _word(self.chain_id)
            + _address_word(self.contract)
        )

    def issue_digest(self, partner: int, sequence: int, trail_root: bytes, credits_packed: bytes) -> bytes:
        """What the partner signs to issue."""
        return self._digest(_ISSUE_TYPE + _word(partner) + _word(sequence) + trail_root + keccak(credits_packed))

    def reverse_digest(self, partner: int, sequence: int, trail_root: bytes, debits_packed: bytes) -> bytes:
        """What the partner signs to take back what it issued."""
        return self._digest(_REVERSE_TYPE + _word(partner) + _word(sequence) + trail_root + keccak(debits_packed))

    def expire_digest(self, sequence: int, trail_root: bytes, debits_packed: bytes) -> bytes:
        """What the expirer signs."""
        return self._digest(_EXPIRE_TYPE + _word(sequence) + trail_root + keccak(debits_packed))

    def redeem_digest(self, order: Redemption) -> bytes:
        """What the holder signs."""
        return self._digest(
            _REDEEM_TYPE
            + _address_word(order.member)
            + _word(order.amount)
            + _word(order.partner)
            + order.reference
            + _word(order.nonce)
            + _word(order.deadline)
        )

    def _digest(self, struct: bytes) -> bytes:
        return keccak(b"\x19\x01" + self.separator + keccak(struct))


def topic(name: str) -> bytes:
    """First topic of the event `name`."""
    return _abi("event")[name].hash


@cache
def _events_by_topic() -> dict[bytes, _Signature]:
    return {event.hash: event for event in _abi("event").values()}


def decode_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """A log of the contract as an event, or None where its first topic is unknown.

    Names are the Solidity ones without trailing underscore (`reference_` is `reference`).
    """
    event = _events_by_topic().get(topics[0]) if topics else None
    if event is None:
        return None
    in_topics = iter(topics[1:])
    in_data = iter(
        _values([kind for kind, indexed in zip(event.types, event.indexed, strict=True) if not indexed], data)
    )
    values: dict[str, Any] = {}
    for name, kind, indexed in zip(event.names, event.types, event.indexed, strict=True):
        values[name] = _json(_values([kind], next(in_topics))[0] if indexed else next(in_data))
    return Event(event.name, values)


_OF_WORD: Final[Mapping[str, Callable[[bytes], Any]]] = {
    "address": lambda word: "0x" + word[12:].hex(),
    "bool": lambda word: word != bytes(32),
    "bytes32": bytes,
} | {f"uint{bits}": lambda word: int.from_bytes(word, "big") for bits in range(8, 264, 8)}


def _values(kinds: Sequence[str], data: bytes) -> Sequence[Any]:
    """The ABI values of `data`. Most are single words, which eth_abi takes thirty times as long to read."""
    if len(data) == 32 * len(kinds) and _OF_WORD.keys() >= set(kinds):
        return [_OF_WORD[kind](data[32 * at : 32 * at + 32]) for at, kind in enumerate(kinds)]
    values: Sequence[Any] = decode(kinds, data)
    return values


def _json(value: Any) -> Any:
    return "0x" + value.hex() if isinstance(value, bytes) else value


_BUILT_IN_ERRORS: Final = (
    {"name": "Error", "inputs": [{"name": "message", "type": "string"}]},
    {"name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]},
)


@cache
def _errors_by_selector() -> dict[bytes, _Signature]:
    errors = (*_abi("error").values(), *map(_Signature.of, _BUILT_IN_ERRORS))
    return {error.hash[:_SELECTOR_SIZE]: error for error in errors}


def decode_revert(data: bytes | None) -> Revert:
    """Why a call reverted, from what it returned."""
    error = _errors_by_selector().get((data or b"")[:_SELECTOR_SIZE])
    if error is not None and data is not None:
        try:
            values = decode(error.types, data[_SELECTOR_SIZE:])
        except DecodingError:
            return Revert("Unknown", {"data": data})
        return Revert(error.name, dict(zip(error.names, values, strict=True)))
    return Revert("Unknown", {"data": data or b""})


def total_supply_slot() -> bytes:
    """Storage key of the supply."""
    return _word(storage_slot("_totalSupply"))


def account_slot(wallet: bytes) -> bytes:
    """Storage key of a wallet's word; its lowest 64 bits are the balance."""
    return keccak(_address_word(wallet) + _word(storage_slot("_accounts")))


def balance_in(word: bytes) -> int:
    """The balance in a wallet's storage word."""
    return int.from_bytes(word[-8:], "big")


def partner_slot(partner: int) -> bytes:
    """Storage key of the first of a partner's two words."""
    return keccak(_word(partner) + _word(storage_slot("_partners")))
