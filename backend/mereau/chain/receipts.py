"""Receipts: encoded here as consensus does and held against the header's receipts root.

A log is written as hexadecimal text first, cut and joined from the node's own text, so a receipt of hundreds
of logs costs one conversion to bytes. The text is the node's, so every piece has its length checked: what
hashes to the root must also have been cut where the root's receipts are cut.
"""

from collections.abc import Sequence
from typing import Any, Final

from mereau.chain import rlp
from mereau.chain.faults import NodeFaultError
from mereau.chain.headers import Header
from mereau.chain.ordered_trie import ordered_root

_ADDRESS_TEXT: Final = 42
_WORD_TEXT: Final = 66
_BLOOM_SIZE: Final = 256
_ROOT_SIZE: Final = 32
_DEPOSIT: Final = 0x7E
_TOPICS_PREFIX: Final = tuple(rlp.list_prefix(33 * count).hex() for count in range(5))
_LOG_OVERHEAD: Final = 21  # The address with its prefix.

# A log of three topics and one word of data, as every ERC-20 Transfer is.
_TRANSFER_TOPICS: Final = 3
_TRANSFER_PREFIX: Final = rlp.list_prefix(_LOG_OVERHEAD + 101 + 33).hex() + "94"


def prove_receipts(header: Header, receipts: Any) -> None:
    """Hold the receipts of a block, in their order, against its header.

    Binds type, status, gas, and every log's address, topics and data. A receipt's `transactionHash` is not
    part of it and is only compared with the block's list. Raises NodeFaultError.
    """
    try:
        encoded = [encode_receipt(receipt) for receipt in receipts]
        named = tuple(receipt["transactionHash"] for receipt in receipts)
    except (KeyError, TypeError, ValueError, OverflowError, IndexError) as error:
        raise NodeFaultError(f"block {header.number}: a receipt cannot be read: {error!r}") from error
    if ordered_root(encoded) != header.receipts_root:
        raise NodeFaultError(f"block {header.number}: the receipts are not those of the header")
    if named != header.transactions:
        raise NodeFaultError(f"block {header.number}: receipts and transactions differ")


def encode_receipt(receipt: dict[str, Any]) -> bytes:
    """The consensus encoding of one JSON-RPC receipt: EIP-2718 envelope, status or (before Byzantium) root."""
    text = "".join([_log_text(log) for log in receipt["logs"]])
    logs = bytes.fromhex(text)
    if 2 * len(logs) != len(text):
        raise ValueError("white space inside a value")
    bloom = _sized(receipt["logsBloom"], _BLOOM_SIZE)
    members = [
        _outcome(receipt),
        rlp.integer(int(receipt["cumulativeGasUsed"], 16)),
        rlp.string(bloom),
        rlp.wrap(logs),
    ]
    kind = int(receipt.get("type", "0x0"), 16)
    if kind == _DEPOSIT and receipt.get("depositReceiptVersion") is not None:
        # Deposits of the OP stack carry two more fields since Canyon.
        members += [rlp.integer(int(receipt[name], 16)) for name in ("depositNonce", "depositReceiptVersion")]
    payload = rlp.wrap(b"".join(members))
    return payload if kind == 0 else bytes((kind,)) + payload


def _outcome(receipt: dict[str, Any]) -> bytes:
    status = receipt.get("status")
    if status is not None:
        return rlp.integer(int(status, 16))
    return rlp.string(_sized(receipt["root"], _ROOT_SIZE))


def _sized(text: str, size: int) -> bytes:
    value = bytes.fromhex(text[2:])
    if len(value) != size:
        raise ValueError(f"{len(value)} bytes where {size} belong")
    return value


def _log_text(log: dict[str, Any]) -> str:
    address: str = log["address"]
    topics: list[str] = log["topics"]
    data: str = log["data"]
    if len(address) != _ADDRESS_TEXT:
        raise ValueError("an address is not 20 bytes")
    for topic in topics:
        if len(topic) != _WORD_TEXT:
            raise ValueError("a topic is not 32 bytes")
    if len(topics) == _TRANSFER_TOPICS and len(data) == _WORD_TEXT:
        name, source, target = topics
        return f"{_TRANSFER_PREFIX}{address[2:]}f863a0{name[2:]}a0{source[2:]}a0{target[2:]}a0{data[2:]}"
    return _any_log_text(address, topics, data)


def _any_log_text(address: str, topics: Sequence[str], data: str) -> str:
    value = rlp.string(bytes.fromhex(data[2:])).hex()
    words = "".join([f"a0{topic[2:]}" for topic in topics])
    listed = f"{_TOPICS_PREFIX[len(topics)]}{words}"
    payload = f"94{address[2:]}{listed}{value}"
    return f"{rlp.list_prefix(len(payload) // 2).hex()}{payload}"
