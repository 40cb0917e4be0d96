"""A block's transactions, encoded here as consensus does, so that a hash belongs to its place in the block.

A receipt does not name its transaction: only the transactions' own root binds the hash that a node puts beside
it. Types: legacy, 1 (EIP-2930), 2 (EIP-1559), 3 (EIP-4844), 4 (EIP-7702), and deposits of the OP stack.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mereau.chain import rlp
from mereau.chain.faults import NodeFaultError
from mereau.chain.hashing import keccak
from mereau.chain.headers import Header
from mereau.chain.ordered_trie import ordered_root

_Write = Callable[[Any], bytes]
_LEGACY: Final = 0


class UnknownTypeError(Exception):
    """A type of transaction that is not known here, as some chains have of their own."""


def prove_transactions(header: Header, body: Any) -> None:
    """Hold the transactions in `body`, a whole block, against its header, and its list of hashes against them.

    Raises NodeFaultError where they differ, UnknownTypeError where that cannot be told.
    """
    try:
        encoded = [encode_transaction(transaction) for transaction in body["transactions"]]
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, IndexError) as error:
        raise NodeFaultError(f"block {header.number}: a transaction cannot be read: {error!r}") from error
    if ordered_root(encoded) != header.transactions_root:
        raise NodeFaultError(f"block {header.number}: the transactions are not those of the header")
    if tuple("0x" + keccak(raw).hex() for raw in encoded) != header.transactions:
        raise NodeFaultError(f"block {header.number}: a transaction does not hash to its hash")


def encode_transaction(transaction: Mapping[str, Any]) -> bytes:
    """The signed bytes of a transaction as JSON-RPC shows it (EIP-2718)."""
    kind = int(transaction.get("type", "0x0"), 16)
    fields = _FIELDS.get(kind)
    if fields is None:
        raise UnknownTypeError(f"transactions of type {kind:#x}")
    payload = rlp.wrap(b"".join([write(transaction) for write in fields]))
    return payload if kind == _LEGACY else bytes((kind,)) + payload


def _integer(name: str) -> _Write:
    return lambda holder: rlp.integer(int(holder[name], 16))


def _bytes(name: str) -> _Write:
    return lambda holder: _string(holder[name])


def _string(text: str | None) -> bytes:
    """A value of its own length; what creates a contract goes to nobody."""
    return rlp.string(b"" if text is None else bytes.fromhex(text[2:]))


def _list(name: str, write: _Write) -> _Write:
    return lambda holder: rlp.wrap(b"".join([write(member) for member in holder[name]]))


def _parity(holder: Mapping[str, Any]) -> bytes:
    return rlp.integer(int(holder["yParity"] if "yParity" in holder else holder["v"], 16))


def _access(entry: Mapping[str, Any]) -> bytes:
    keys = rlp.wrap(b"".join([_string(key) for key in entry["storageKeys"]]))
    return rlp.wrap(_string(entry["address"]) + keys)


def _optional_integer(name: str) -> _Write:
    return lambda holder: rlp.integer(int(holder.get(name) or "0x0", 16))


def _flag(name: str) -> _Write:
    return lambda holder: rlp.integer(int(holder.get(name) or False))


_PLACE: Final = (_integer("chainId"), _integer("nonce"))
_CALL: Final = (_integer("gas"), _bytes("to"), _integer("value"), _bytes("input"))
_FEES: Final = (_integer("maxPriorityFeePerGas"), _integer("maxFeePerGas"))
_ACCESS: Final = _list("accessList", _access)
_SIGNATURE: Final = (_parity, _integer("r"), _integer("s"))
_PERMIT: Final = (_integer("chainId"), _bytes("address"), _integer("nonce"), *_SIGNATURE)


def _permit(entry: Mapping[str, Any]) -> bytes:
    return rlp.wrap(b"".join([write(entry) for write in _PERMIT]))


_FIELDS: Final[Mapping[int, Sequence[_Write]]] = {
    _LEGACY: (_integer("nonce"), _integer("gasPrice"), *_CALL, _integer("v"), _integer("r"), _integer("s")),
    1: (*_PLACE, _integer("gasPrice"), *_CALL, _ACCESS, *_SIGNATURE),
    2: (*_PLACE, *_FEES, *_CALL, _ACCESS, *_SIGNATURE),
    3: (
        *_PLACE, *_FEES, *_CALL, _ACCESS, _integer("maxFeePerBlobGas"), _list("blobVersionedHashes", _string),
        *_SIGNATURE,
    ),
    4: (*_PLACE, *_FEES, *_CALL, _ACCESS, _list("authorizationList", _permit), *_SIGNATURE),
    0x7E: (
        _bytes("sourceHash"), _bytes("from"), _bytes("to"), _optional_integer("mint"), _integer("value"),
        _integer("gas"), _flag("isSystemTx"), _bytes("input"),
    ),
}  # fmt: skip
