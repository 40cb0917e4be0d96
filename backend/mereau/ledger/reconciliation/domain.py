"""The comparison of chain, mirror and ledger at one block. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Figures:
    """What the three say, in tokens by wallet, all at one block.

    `ledger` is what the ledger expects on chain: free and held tokens, less credits and plus reversals and
    expiries that are ordered and not mined. Redemptions under way are held until they are mined.
    """

    chain: Mapping[bytes, int]
    mirror: Mapping[bytes, int]
    ledger: Mapping[bytes, int]
    supply_chain: int
    supply_mirror: int


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure that is not what the chain says; `wallet` is None for the supply."""

    kind: Literal["mirror", "ledger", "supply", "sum"]
    wallet: bytes | None
    chain_tokens: int
    found_tokens: int

    def __str__(self) -> str:
        subject = "the supply" if self.wallet is None else f"0x{self.wallet.hex()}"
        return f"{self.kind}: {subject} is {self.chain_tokens} on chain, {self.found_tokens} here"


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome at one block. `drift_tokens` sums the differences; 0 means that the three agree."""

    block_number: int
    block_hash: bytes
    supply_chain: int
    supply_mirror: int
    accounts_checked: int
    drift_tokens: int
    differences: Sequence[Difference]


def differences(figures: Figures) -> Iterator[Difference]:
    """Where mirror or ledger differ from the chain, wallet by wallet, and where the supply does."""
    for wallet in sorted(figures.chain.keys() | figures.mirror.keys() | figures.ledger.keys()):
        tokens = figures.chain.get(wallet, 0)
        for kind, found in (("mirror", figures.mirror), ("ledger", figures.ledger)):
            if found.get(wallet, 0) != tokens:
                yield Difference("mirror" if kind == "mirror" else "ledger", wallet, tokens, found.get(wallet, 0))
    if figures.supply_mirror != figures.supply_chain:
        yield Difference("supply", None, figures.supply_chain, figures.supply_mirror)
    if (total := sum(figures.chain.values())) != figures.supply_chain:
        yield Difference("sum", None, figures.supply_chain, total)


def report(block_number: int, block_hash: bytes, figures: Figures) -> Report:
    """Compare all figures."""
    found = list(differences(figures))
    return Report(
        block_number=block_number,
        block_hash=block_hash,
        supply_chain=figures.supply_chain,
        supply_mirror=figures.supply_mirror,
        accounts_checked=len(figures.chain),
        drift_tokens=sum(abs(item.chain_tokens - item.found_tokens) for item in found),
        differences=found,
    )
