"""What the chain says: its identity, its code, its orders with their Transfers, its balances by proof."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Final

from mereau_verify.evm import from_hex, header_hash, keccak, masked, to_int
from mereau_verify.rpc import Node

ZERO: Final = bytes(20)
WINDOW_BLOCKS: Final = 2000
BALANCE_MASK: Final = 2**64 - 1
"""An account's word holds the balance in its lowest 64 bits."""

TRANSFER: Final = keccak(b"Transfer(address,address,uint256)")
ISSUED: Final = keccak(b"Issued(uint32,uint64,bytes32,uint256)")
REVERSED: Final = keccak(b"Reversed(uint32,uint64,bytes32,uint256)")
EXPIRED: Final = keccak(b"Expired(uint64,bytes32,uint256)")
REDEEMED: Final = keccak(b"Redeemed(address,uint32,uint40,bytes32)")
SUMMARIES: Final = {ISSUED: "issue", REVERSED: "reverse", EXPIRED: "expire"}


@dataclass(frozen=True, slots=True)
class Transfer:
    """One Transfer log; the zero address is mint or burn."""

    source: bytes
    target: bytes
    tokens: int


@dataclass(frozen=True, slots=True)
class ChainBatch:
    """One executed Issue, Reverse or Expire with the Transfers it made, in order."""

    kind: str
    partner: int | None
    sequence: int
    root: bytes
    total: int
    block: int
    transfers: tuple[Transfer, ...]


@dataclass(frozen=True, slots=True)
class ChainRedemption:
    """One executed Redeem with its burn."""

    member: bytes
    partner: int
    nonce: int
    reference: bytes
    tokens: int
    block: int


@dataclass(slots=True)
class ChainFacts:
    """All that the contract's logs up to the head say."""

    batches: dict[tuple[str, int | None, int], ChainBatch] = field(default_factory=dict)
    redemptions: dict[bytes, ChainRedemption] = field(default_factory=dict)
    balances: defaultdict[bytes, int] = field(default_factory=lambda: defaultdict(int))
    totals: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    transfers: int = 0
    doubled: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def artifact() -> dict[str, Any]:
    """The contract as built from source; a test rebuilds it byte for byte."""
    text = resources.files("mereau_verify").joinpath("artifacts/LoyaltyToken.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def code_matches(code: bytes) -> bool:
    """Whether deployed code is the build, immutables aside."""
    build = artifact()
    references = build["immutableReferences"]
    return masked(code, references) == masked(from_hex(build["deployedBytecode"]), references)


def storage_place(label: str) -> tuple[int, int]:
    """(slot, mask) of a state variable that starts at its slot's lowest bit, from the compiler's own layout."""
    layout = artifact()["storageLayout"]
    variable = next(item for item in layout["storage"] if item["label"] == label and item["offset"] == 0)
    return int(variable["slot"]), 2 ** (8 * int(layout["types"][variable["type"]]["numberOfBytes"])) - 1


def balance_slot(wallet: bytes, accounts_slot: int) -> bytes:
    """Storage slot of an account's word (Solidity mapping layout)."""
    return keccak(wallet.rjust(32, b"\0") + accounts_slot.to_bytes(32, "big"))


def _words(data: str) -> list[bytes]:
    raw = from_hex(data)
    return [raw[start : start + 32] for start in range(0, len(raw), 32)]


def _number(word: bytes) -> int:
    return int.from_bytes(word, "big")


class LogReader:
    """Folds the contract's logs, in order, into facts."""

    def __init__(self, facts: ChainFacts) -> None:
        self.facts = facts
        self._transaction = ""
        self._waiting: list[Transfer] = []

    def add(self, log: dict[str, Any]) -> None:
        """Take the next log; Transfers wait for the summary event that follows them in their transaction."""
        if log["transactionHash"] != self._transaction:
            self.close()
            self._transaction = log["transactionHash"]
        topics = [from_hex(topic) for topic in log["topics"]]
        block = to_int(log["blockNumber"])
        if not topics:
            return
        if topics[0] == TRANSFER:
            self._transfer(Transfer(topics[1][12:], topics[2][12:], _number(from_hex(log["data"]))))
        elif topics[0] in SUMMARIES:
            self._summary(SUMMARIES[topics[0]], topics, _words(log["data"]), block)
        elif topics[0] == REDEEMED:
            self._redeemed(topics, _words(log["data"]), block)

    def close(self) -> None:
        """End of a transaction: a mint or burn that no order explains, or a redemption without, is a finding."""
        if self._waiting:
            self.facts.lost.append(self._transaction)
            self._waiting = []

    def _transfer(self, transfer: Transfer) -> None:
        balances = self.facts.balances
        if transfer.source != ZERO:
            balances[transfer.source] -= transfer.tokens
        if transfer.target != ZERO:
            balances[transfer.target] += transfer.tokens
        self.facts.transfers += 1
        if ZERO in {transfer.source, transfer.target}:
            self._waiting.append(transfer)

    def _summary(self, kind: str, topics: list[bytes], words: list[bytes], block: int) -> None:
        partner = None if kind == "expire" else _number(topics[1])
        sequence = _number(topics[-1])
        key = (kind, partner, sequence)
        if key in self.facts.batches:
            self.facts.doubled.append(f"{kind} {partner}/{sequence}")
        root, total = words[0], _number(words[1])
        self.facts.batches[key] = ChainBatch(kind, partner, sequence, root, total, block, tuple(self._waiting))
        self.facts.totals[kind] += total
        self._waiting = []

    def _redeemed(self, topics: list[bytes], words: list[bytes], block: int) -> None:
        burn = self._waiting.pop() if self._waiting else Transfer(ZERO, ZERO, 0)
        if (burn.source, burn.target) != (topics[1][12:], ZERO):
            self.facts.lost.append(self._transaction)
        partner, nonce, reference = _number(words[0]), _number(words[1]), words[2]
        if reference in self.facts.redemptions:
            self.facts.doubled.append(f"redeem 0x{reference.hex()}")
        self.facts.redemptions[reference] = ChainRedemption(
            topics[1][12:], partner, nonce, reference, burn.tokens, block
        )
        self.facts.totals["redeem"] += burn.tokens


def read_facts(node: Node, contract: str, first: int, last: int, progress: Callable[[int, int], None]) -> ChainFacts:
    """Read every log of the contract between two blocks; `progress(done, all)` in blocks."""
    facts = ChainFacts()
    reader = LogReader(facts)
    for log in _all_logs(node, contract, first, last, progress):
        reader.add(log)
    reader.close()
    return facts


def _all_logs(
    node: Node, contract: str, first: int, last: int, progress: Callable[[int, int], None]
) -> Iterator[dict[str, Any]]:
    for start in range(first, last + 1, WINDOW_BLOCKS):
        end = min(start + WINDOW_BLOCKS - 1, last)
        logs = node.logs(contract, start, end)
        yield from sorted(logs, key=lambda log: (to_int(log["blockNumber"]), to_int(log["logIndex"])))
        progress(end - first + 1, last - first + 1)


def verified_header(node: Node, number: int) -> dict[str, str] | None:
    """A block's header whose hash was computed here; None where it is another block's, or hashes to another hash."""
    header = node.call("eth_getBlockByNumber", hex(number), False)
    if not isinstance(header, dict) or "0x" + header_hash(header).hex() != header.get("hash"):
        return None
    if to_int(header["number"]) != number:
        return None
    return {name: value for name, value in header.items() if isinstance(value, str)}
