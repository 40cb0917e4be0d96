"""Histories made up whole: what the chain would log of them, and what an honest operator would tell.

Encodings come from eth_abi and eth_utils, so that the verifier's own readings are held against another's.
"""

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from eth_abi import encode
from eth_utils import keccak
from hypothesis import strategies as st

from fixtures.onchain import Operation, canonical, standard_tree_root
from mereau_verify import checks
from mereau_verify.chain import ChainFacts, LogReader
from mereau_verify.report import Report
from mereau_verify.trail import BalanceLine, batches_and_balances

Log = dict[str, Any]
Line = dict[str, Any]

CONTRACT = "0x" + "c0" * 20
NOBODY = bytes(20)
WALLETS = [bytes([0xA0 + number]) * 20 for number in range(5)]
SIGNATURES = {
    "transfer": "Transfer(address,address,uint256)",
    "issue": "Issued(uint32,uint64,bytes32,uint256)",
    "reverse": "Reversed(uint32,uint64,bytes32,uint256)",
    "expire": "Expired(uint64,bytes32,uint256)",
    "redeem": "Redeemed(address,uint32,uint40,bytes32)",
}
TOPICS = {name: "0x" + keccak(text=signature).hex() for name, signature in SIGNATURES.items()}
TOTALS = {"issued": "issue", "reversed": "reverse", "redeemed": "redeem", "expired": "expire"}


def word(value: int | bytes) -> str:
    """A 32-byte topic: numbers and addresses stand at its end."""
    raw = value if isinstance(value, bytes) else value.to_bytes(32, "big")
    return "0x" + raw.rjust(32, b"\0").hex()


def flipped(text: str, place: int) -> str:
    """A hex string with one digit changed."""
    at = 2 + place % (len(text) - 2)
    return f"{text[:at]}{int(text[at], 16) ^ 1:x}{text[at + 1 :]}"


def log_of(name: str, topics: list[int | bytes], types: list[str], values: list[Any], **place: int) -> Log:
    """A log as a node answers it; `place` may name block, transaction and index."""
    return {
        "address": CONTRACT,
        "topics": [TOPICS[name], *[word(topic) for topic in topics]],
        "data": "0x" + encode(types, values).hex(),
        "blockNumber": hex(place.get("block", 1)),
        "transactionHash": word(place.get("transaction", 1)),
        "logIndex": hex(place.get("index", 0)),
    }


def transfer_log(source: bytes, target: bytes, tokens: int, **place: int) -> Log:
    return log_of("transfer", [source, target], ["uint256"], [tokens], **place)


def summary_log(kind: str, partner: int | None, sequence: int, root: bytes, total: int, **place: int) -> Log:
    topics: list[int | bytes] = [sequence] if partner is None else [partner, sequence]
    return log_of(kind, topics, ["bytes32", "uint256"], [root, total], **place)


def redeemed_log(member: bytes, partner: int, nonce: int, reference: bytes, **place: int) -> Log:
    return log_of("redeem", [member], ["uint32", "uint40", "bytes32"], [partner, nonce, reference], **place)


def batch_line(kind: str, partner: int | None, sequence: int | None, root: bytes | None, block: int, size: int) -> Line:
    return {
        "type": "batch", "kind": kind, "partner": partner, "sequence": sequence,
        "root": None if root is None else "0x" + root.hex(), "block": block, "operations": size,
    }  # fmt: skip


def operation_line(index: int, operation: Operation, *, erased: bool) -> Line:
    return {
        "type": "operation", "index": index, "id": operation.id, "wallet": operation.wallet,
        "tokens": operation.tokens, "commitment": "0x" + operation.commitment.hex(),
        "salt": None if erased else "0x" + operation.salt.hex(), "record": None if erased else operation.record,
    }  # fmt: skip


@dataclass
class Story:
    """A history under way; every method executes one order of the transaction that is open."""

    logs: list[Log] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    balances: Counter[bytes] = field(default_factory=Counter)
    totals: Counter[str] = field(default_factory=Counter)
    sequences: Counter[int | None] = field(default_factory=Counter)
    nonces: Counter[bytes] = field(default_factory=Counter)
    redeemed: dict[int, list[Line]] = field(default_factory=dict)
    block: int = 1
    transaction: int = 0
    made: int = 0

    @property
    def _place(self) -> dict[str, int]:
        return {"block": self.block, "transaction": self.transaction, "index": len(self.logs)}

    def begin(self, *, new_block: bool) -> None:
        """Open the next transaction."""
        self.transaction += 1
        self.block += new_block

    def _operation(self, kind: str, wallet: bytes, tokens: int, partner: int | None) -> Operation:
        self.made += 1
        told = f"0x{wallet.hex()}"
        record = {
            "id": f"ent_{self.made:026d}", "kind": kind, "wallet": told, "tokens": tokens, "partner": partner, "v": 1,
        }  # fmt: skip
        return Operation(str(record["id"]), told, tokens, record, self.made.to_bytes(16, "big"))

    def order(self, kind: str, partner: int, amounts: list[tuple[bytes, int]], *, erased: bool, told: bool) -> None:
        """An issue, reversal or expiry; without amounts it voids its sequence, which need not be told."""
        line_of = None if kind == "expire" else partner
        self.sequences[line_of] += 1
        sign = 1 if kind == "issue" else -1
        operations = []
        for wallet, asked in amounts:
            tokens = asked if kind == "issue" else min(asked, self.balances[wallet])
            if tokens:
                self.balances[wallet] += sign * tokens
                operations.append(self._operation(kind, wallet, tokens, line_of))
                source, target = (NOBODY, wallet) if kind == "issue" else (wallet, NOBODY)
                self.logs.append(transfer_log(source, target, tokens, **self._place))
        root = standard_tree_root([operation.leaf(index) for index, operation in enumerate(operations)])
        total = sum(operation.tokens for operation in operations)
        self.totals[kind] += total
        self.logs.append(summary_log(kind, line_of, self.sequences[line_of], root, total, **self._place))
        if operations or told:
            self.lines.append(batch_line(kind, line_of, self.sequences[line_of], root, self.block, len(operations)))
        self.lines += [operation_line(index, item, erased=erased) for index, item in enumerate(operations)]

    def redeem(self, partner: int, amounts: list[tuple[bytes, int]], *, erased: bool) -> None:
        """Members' own orders, each a burn and its event."""
        for wallet, asked in amounts:
            tokens = min(asked, self.balances[wallet])
            if tokens:
                operation = self._operation("redeem", wallet, tokens, partner)
                self.balances[wallet] -= tokens
                self.totals["redeem"] += tokens
                self.logs.append(transfer_log(wallet, NOBODY, tokens, **self._place))
                self.logs.append(
                    redeemed_log(wallet, partner, self.nonces[wallet], operation.commitment, **self._place)
                )
                self.nonces[wallet] += 1
                lines = self.redeemed.setdefault(self.block, [])
                lines.append(operation_line(len(lines), operation, erased=erased))

    def move(self, amounts: list[tuple[bytes, int]]) -> None:
        """Members send one another tokens."""
        for (source, asked), (target, _) in pairwise(amounts):
            tokens = min(asked, self.balances[source])
            self.balances[source] -= tokens
            self.balances[target] += tokens
            self.logs.append(transfer_log(source, target, tokens, **self._place))

    def trail(self) -> list[Line]:
        """All lines; a fifth of each wallet's tokens is held for a redemption under way."""
        redeemed = [
            line
            for block, lines in self.redeemed.items()
            for line in (batch_line("redeem", None, None, None, block, len(lines)), *lines)
        ]
        figures = [
            {
                "type": "balance", "wallet": f"0x{wallet.hex()}", "tokens": tokens, "available": tokens - tokens // 5,
                "held": tokens // 5, "lots": tokens, "open": 0,
            }
            for wallet, tokens in sorted(self.balances.items())
        ]  # fmt: skip
        return [*self.lines, *redeemed, *figures]

    def told_totals(self) -> dict[str, int]:
        """The manifest's totals."""
        return {name: self.totals[kind] for name, kind in TOTALS.items()} | {"supply": sum(self.balances.values())}


amounts = st.lists(st.tuples(st.sampled_from(WALLETS), st.integers(1, 60)), max_size=3)
steps = st.tuples(
    st.sampled_from(["issue", "issue", "reverse", "expire", "redeem", "redeem", "move"]),
    st.integers(0, 7),
    amounts,
)


def tell(chosen: list[tuple[str, int, list[tuple[bytes, int]]]]) -> Story:
    """A history from steps; the bits of a step's number say how it shares transactions and blocks."""
    story = Story()
    story.begin(new_block=True)
    story.order("issue", 1, [(wallet, 50) for wallet in WALLETS[:3]], erased=False, told=True)
    for kind, bits, chosen_amounts in chosen:
        if not bits & 1:
            story.begin(new_block=bool(bits & 2))
        partner, erased = 1 + (bits >> 2), bits == 7
        if kind == "move":
            story.move(chosen_amounts)
        elif kind == "redeem":
            story.redeem(partner, chosen_amounts, erased=erased)
        else:
            story.order(kind, partner, chosen_amounts, erased=erased, told=bits != 5)
    return story


stories = st.lists(steps, min_size=1, max_size=6).map(tell)


def facts_of(logs: list[Log]) -> ChainFacts:
    reader = LogReader(ChainFacts())
    for log in logs:
        reader.add(log)
    reader.close()
    return reader.facts


def judge(folder: Path, logs: list[Log], lines: list[Line], totals: dict[str, int]) -> Report:
    """Every rule that needs no node, in the verifier's order."""
    (folder / "trail.jsonl").write_text("".join(canonical(line) + "\n" for line in lines))
    report, facts = Report(), facts_of(logs)
    checks.check_sequences(facts, report)
    seen: set[tuple[str, int | None, int]] = set()
    redeemed: set[bytes] = set()
    balances: list[BalanceLine] = []
    for item in batches_and_balances(folder, report):
        if isinstance(item, BalanceLine):
            balances.append(item)
        else:
            checks.check_batch(item, facts, seen, redeemed, report)
    checks.check_complete(facts, seen, redeemed, report)
    checks.check_balances(balances, facts, report)
    checks.check_supply(facts, {"totals": totals}, report)
    return report
