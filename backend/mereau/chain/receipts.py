"""Receipts: encoded here as consensus does and held against the header's receipts root.

A log is written as hexadecimal text first, cut and joined from the node's own text, so a receipt of hundreds
of logs costs one conversion to bytes. Nobody reads the node's text afterwards: what is handed on are the bytes
that hash to the root, and those can be cut in one way only.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from mereau.chain import rlp
from mereau.chain.faults import NodeFaultError
from mereau.chain.headers import Header
from mereau.chain.ordered_trie import ordered_root

_WORD_TEXT: Final = 66
_DEPOSIT: Final = 0x7E

# A log of three topics and one word of data, as every ERC-20 Transfer is: 155 bytes after the list's prefix,
# of which the topics take 99.
_TRANSFER_TOPICS: Final = 3


class ProvenReceipt(NamedTuple):
    """What a receipt says. `logs` are the encoded members of its list of logs.

    `transaction_hash` is no part of a receipt: it is the node's word until the transactions are proven, too.
    """

    transaction_hash: bytes
    succeeded: bool
    logs: bytes


def prove_receipts(header: Header, receipts: Any) -> list[ProvenReceipt]:
    """Hold the receipts of a block, in their order, against its header.

    Binds type, status, gas, and every log's address, topics and data. Raises NodeFaultError.
    """
    try:
        logs = [encode_logs(receipt["logs"]) for receipt in receipts]
        encoded = [encode_receipt(receipt, mine) for receipt, mine in zip(receipts, logs, strict=True)]
        named = tuple(receipt["transactionHash"] for receipt in receipts)
        proven = [
            ProvenReceipt(bytes.fromhex(receipt["transactionHash"][2:]), _succeeded(receipt), mine)
            for receipt, mine in zip(receipts, logs, strict=True)
        ]
    except (KeyError, TypeError, ValueError, OverflowError, IndexError) as error:
        raise NodeFaultError(f"block {header.number}: a receipt cannot be read: {error!r}") from error
    if ordered_root(encoded) != header.receipts_root:
        raise NodeFaultError(f"block {header.number}: the receipts are not those of the header")
    if named != header.transactions:
        raise NodeFaultError(f"block {header.number}: receipts and transactions differ")
    return proven


def encode_logs(logs: Sequence[dict[str, Any]]) -> bytes:
    """The members of a receipt's list of logs, one after the other."""
    return bytes.fromhex("".join([_log_text(log["address"], log["topics"], log["data"]) for log in logs]))


def encode_receipt(receipt: dict[str, Any], logs: bytes) -> bytes:
    """The consensus encoding of one JSON-RPC receipt: EIP-2718 envelope, status or (before Byzantium) root."""
    status = receipt.get("status")
    members = [
        rlp.string(bytes.fromhex(receipt["root"][2:])) if status is None else rlp.integer(int(status, 16)),
        rlp.integer(int(receipt["cumulativeGasUsed"], 16)),
        rlp.string(bytes.fromhex(receipt["logsBloom"][2:])),
        rlp.wrap(logs),
    ]
    kind = int(receipt.get("type", "0x0"), 16)
    if kind == _DEPOSIT and receipt.get("depositReceiptVersion") is not None:
        # Deposits of the OP stack carry two more fields since Canyon.
        members += [rlp.integer(int(receipt[name], 16)) for name in ("depositNonce", "depositReceiptVersion")]
    payload = rlp.wrap(b"".join(members))
    return payload if kind == 0 else bytes((kind,)) + payload


def _succeeded(receipt: dict[str, Any]) -> bool:
    return int(receipt.get("status") or "0x0", 16) == 1


def _log_text(address: str, topics: Sequence[str], data: str) -> str:
    if len(topics) == _TRANSFER_TOPICS and len(data) == _WORD_TEXT:
        name, source, target = topics
        return f"f89b94{address[2:]}f863a0{name[2:]}a0{source[2:]}a0{target[2:]}a0{data[2:]}"
    words = "".join([f"a0{topic[2:]}" for topic in topics])
    listed = rlp.list_prefix(len(words) // 2).hex() + words
    payload = f"94{address[2:]}{listed}{rlp.string(bytes.fromhex(data[2:])).hex()}"
    return rlp.list_prefix(len(payload) // 2).hex() + payload
