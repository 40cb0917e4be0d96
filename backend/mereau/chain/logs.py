"""The contract's logs, read from the bytes that were proven: transfers as plain tuples, other events decoded."""

import re
import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from mereau.chain import rlp
from mereau.chain.contract import decode_event, topic
from mereau.chain.faults import NodeFaultError
from mereau.chain.receipts import ProvenReceipt

TransferRow = tuple[int, int, bytes, bytes, int]
"""block number, log index, source, target, tokens: the columns of chain_transfers."""

UNKNOWN_EVENT: Final = "Unknown"

_SAFE_INTEGERS: Final = 2**53
_ADDRESS_SIZE: Final = 20
_TRANSFER: Final = "Transfer"
# Past the list's prefix, the address and the first topic; past the twelve zeros that fill an address up to a word.
_TRANSFER_FIELDS: Final = struct.Struct(">58x13x20s13x20s25xq")


class EventRow(NamedTuple):
    """Any log but a Transfer. Integers of `data` from 2^53 on are decimal text, bytes are 0x-strings."""

    block_number: int
    log_index: int
    transaction_hash: bytes
    name: str
    data: dict[str, Any]


class LogReader:
    """Reads the logs of one contract."""

    def __init__(self, contract: bytes) -> None:
        self._contract = contract
        # A Transfer as consensus encodes it: a list of 155 bytes with an address, a list of 99 with three topics
        # of 32, and a word of data. Every field has its place, so that a run of them is read by one format.
        word = rb"\xa0\x00{12}.{20}"
        start = b"\xf8\x9b\x94" + contract + b"\xf8\x63\xa0" + topic(_TRANSFER)
        amount = rb"\xa0\x00{24}[\x00-\x7f].{7}"
        self._transfers = re.compile(b"(?:" + re.escape(start) + word + word + amount + b")+", re.DOTALL)

    def read(self, number: int, receipts: Sequence[ProvenReceipt]) -> tuple[list[TransferRow], list[EventRow]]:
        """The contract's logs in block `number`. Log indexes are counted here: the node's are not proven.

        Raises NodeFaultError for a transfer of 2^63 tokens or more, which no rightful contract lets happen.
        """
        transfers: list[TransferRow] = []
        events: list[EventRow] = []
        index = 0
        for receipt in receipts:
            logs, at = receipt.logs, 0
            while at < len(logs):
                run = self._transfers.match(logs, at)
                if run is not None:
                    fields = _TRANSFER_FIELDS.iter_unpack(run[0])
                    transfers += [(number, place, *moved) for place, moved in enumerate(fields, index)]
                    index, at = index + len(run[0]) // _TRANSFER_FIELDS.size, run.end()
                    continue
                start, end = rlp.payload(logs, at)
                if logs[start + 1 : start + 1 + _ADDRESS_SIZE] == self._contract:
                    name, data = _decode(number, logs[start:end])
                    events.append(EventRow(number, index, receipt.transaction_hash, name, data))
                index, at = index + 1, end
        return transfers, events


def _decode(number: int, log: bytes) -> tuple[str, dict[str, Any]]:
    topics_start, topics_end = rlp.payload(log, 1 + _ADDRESS_SIZE)
    topics = [log[at + 1 : at + 33] for at in range(topics_start, topics_end, 33)]
    start, end = rlp.payload(log, topics_end)
    event = decode_event(topics, log[start:end])
    if event is None:
        return UNKNOWN_EVENT, {"topics": ["0x" + word.hex() for word in topics], "data": "0x" + log[start:end].hex()}
    if event.name == _TRANSFER:
        raise NodeFaultError(f"block {number}: a transfer of {event.data['value']} tokens cannot be kept")
    return event.name, {name: _safe(value) for name, value in event.data.items()}


def _safe(value: Any) -> Any:
    """Every reader of JSON keeps integers below 2^53 exact (RFC 8259, section 6), and only those."""
    return str(value) if isinstance(value, int) and value >= _SAFE_INTEGERS else value
