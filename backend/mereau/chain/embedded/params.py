"""JSON-RPC parameters into domain values. Every function raises InvalidParamsError for what does not fit."""

import re
from collections.abc import Sequence
from typing import Any

from mereau.chain.embedded.errors import InvalidParamsError
from mereau.chain.embedded.transactions import AccessList, Transaction

_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*\Z")
_QUANTITY = re.compile(r"0x(?:0|[1-9a-fA-F][0-9a-fA-F]{0,63})\Z")
_TOPICS_MAX = 4
_ALTERNATIVES_MAX = 1_000
_CALL_FIELDS = frozenset({
    "from", "to", "gas", "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "value", "data", "input",
    "nonce", "chainId", "accessList", "type",
})  # fmt: skip


def data(value: Any, *, size: int | None = None) -> bytes:
    """Bytes of 0x-prefixed hex, of exactly `size` bytes if given."""
    if not isinstance(value, str) or not _HEX.match(value):
        raise InvalidParamsError("expected 0x-prefixed hex of whole bytes")
    decoded = bytes.fromhex(value[2:])
    if size is not None and len(decoded) != size:
        raise InvalidParamsError(f"expected {size} bytes, found {len(decoded)}")
    return decoded


def address(value: Any) -> bytes:
    return data(value, size=20)


def digest(value: Any) -> bytes:
    return data(value, size=32)


def quantity(value: Any) -> int:
    """A hex quantity without leading zeros, below 2^256."""
    if not isinstance(value, str) or not _QUANTITY.match(value):
        raise InvalidParamsError("expected a 0x-prefixed hex quantity without leading zeros")
    return int(value, 16)


def slot(value: Any) -> int:
    """A storage key: a quantity or up to 32 bytes with leading zeros, as clients send both."""
    if not isinstance(value, str) or not re.match(r"0x[0-9a-fA-F]{1,64}\Z", value):
        raise InvalidParamsError("expected a storage key of at most 32 bytes")
    return int(value, 16)


def boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidParamsError("expected a boolean")
    return value


def mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidParamsError("expected an object")
    return value


def sequence(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidParamsError("expected an array")
    return value


def transaction(value: Any, *, gas: int) -> Transaction:
    """A call object. `gas` is the limit where it names none, and the most that it may name."""
    fields = {key: member for key, member in mapping(value).items() if member is not None}
    unknown = sorted(set(fields) - _CALL_FIELDS)
    if unknown:
        raise InvalidParamsError(f"unknown field {unknown[0]!r} in the call object")
    payload = fields.get("input", fields.get("data", "0x"))
    if fields.get("data", payload) != payload:
        raise InvalidParamsError('both "data" and "input" are set and not equal')
    return Transaction(
        sender=address(fields.get("from", "0x" + "00" * 20)),
        to=address(fields["to"]) if "to" in fields else b"",
        gas=min(quantity(fields["gas"]), gas) if "gas" in fields else gas,
        value=quantity(fields.get("value", "0x0")),
        data=data(payload),
        access_list=_access_list(fields.get("accessList", [])),
    )


def _access_list(value: Any) -> AccessList:
    entries = []
    for member in sequence(value):
        entry = mapping(member)
        slots = [int.from_bytes(digest(key), "big") for key in sequence(entry.get("storageKeys", []))]
        entries.append((address(entry.get("address")), tuple(slots)))
    return tuple(entries)


def addresses(value: Any) -> frozenset[bytes]:
    """The `address` of a log filter: none, one or a list."""
    if value is None:
        return frozenset()
    return frozenset(address(member) for member in _alternatives(value))


def topics(value: Any) -> tuple[frozenset[bytes], ...]:
    """The `topics` of a log filter: by position, an empty set matches anything."""
    if value is None:
        return ()
    positions: Sequence[Any] = sequence(value)
    if len(positions) > _TOPICS_MAX:
        raise InvalidParamsError(f"a log has at most {_TOPICS_MAX} topics")
    return tuple(_position(member) for member in positions)


def _position(value: Any) -> frozenset[bytes]:
    alternatives = _alternatives(value)
    wanted = frozenset(digest(member) for member in alternatives if member is not None)
    # As in geth, null matches anything, alone or among others.
    return frozenset() if None in alternatives else wanted


def _alternatives(value: Any) -> list[Any]:
    alternatives = value if isinstance(value, list) else [value]
    if len(alternatives) > _ALTERNATIVES_MAX:
        raise InvalidParamsError(f"more than {_ALTERNATIVES_MAX} alternatives in a filter")
    return alternatives
