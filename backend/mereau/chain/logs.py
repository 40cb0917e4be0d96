"""The contract's logs in proven receipts: transfers as plain tuples, every other event decoded."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from mereau.chain.contract import decode_event, topic

TransferRow = tuple[int, int, bytes, bytes, int]
"""block number, log index, source, target, tokens: the columns of chain_transfers."""

UNKNOWN_EVENT: Final = "Unknown"

_SAFE_INTEGERS: Final = 2**53
_TRANSFER_TOPIC: Final = "0x" + topic("Transfer").hex()
_ADDRESS_IN_WORD: Final = 26


class EventRow(NamedTuple):
    """Any log but a Transfer. Integers of `data` from 2^53 on are decimal text, bytes are 0x-strings."""

    block_number: int
    log_index: int
    transaction_hash: bytes
    name: str
    data: dict[str, Any]


def read_logs(
    number: int, receipts: Sequence[Mapping[str, Any]], contract: str
) -> tuple[list[TransferRow], list[EventRow]]:
    """The logs of `contract` (lower-case 0x-string) in block `number`.

    The receipts must have been proven. Log indexes are counted here: the node's are not proven.
    """
    transfers: list[TransferRow] = []
    events: list[EventRow] = []
    numbered = enumerate((receipt, log) for receipt in receipts for log in receipt["logs"])
    for index, (receipt, log) in numbered:
        if log["address"].lower() != contract:
            continue
        topics = log["topics"]
        if topics and topics[0].lower() == _TRANSFER_TOPIC:
            source = bytes.fromhex(topics[1][_ADDRESS_IN_WORD:])
            target = bytes.fromhex(topics[2][_ADDRESS_IN_WORD:])
            transfers.append((number, index, source, target, int(log["data"], 16)))
        else:
            transaction_hash = bytes.fromhex(receipt["transactionHash"][2:])
            events.append(EventRow(number, index, transaction_hash, *_decode(log)))
    return transfers, events


def _decode(log: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
    event = decode_event(topics, bytes.fromhex(log["data"][2:]))
    if event is None:
        return UNKNOWN_EVENT, {"topics": log["topics"], "data": log["data"]}
    return event.name, {name: _safe(value) for name, value in event.data.items()}


def _safe(value: Any) -> Any:
    """Every reader of JSON keeps integers below 2^53 exact (RFC 8259, section 6), and only those."""
    return str(value) if isinstance(value, int) and value >= _SAFE_INTEGERS else value
