"""Gas of the token's orders, measured on py-evm with OpenZeppelin's ERC-20 as the yardstick beside it.

Every figure is whole-transaction gas divided by the number of items, rounded up: what one credit, debit or
redemption costs its share of the batch. Holders are random addresses and amounts random from 1 to 100,000 tokens,
drawn from a fixed seed. `max` is the largest batch that fits the gas cap of one transaction (EIP-7825); calldata
limits of a node's mempool are not counted here, and they bind sooner for redemptions.
"""

import math
import random
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from eth_utils import to_checksum_address

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from contracts.harness import EPOCH_S, GAS_LIMIT, Chain, Redemption, Token, key  # noqa: E402

SIZES = (1, 50, 200)
KINDS = ("issue_existing", "issue_new", "reverse", "redeem", "expire")
# More than any kind fits into one transaction.
HOLDERS = 2_400
REDEEMERS = 1_200
NEW_HOLDERS_PER_CALL = 600
AMOUNT_MAX = 100_000
HOUR_S = 3_600
# What py-evm's block takes: room to measure a batch that does not fit the cap.
BLOCK_GAS = 30_000_000


class Meter:
    """A token with one unlimited partner and many funded holders; every measurement starts from the same state."""

    def __init__(self) -> None:
        self.random = random.Random("mereau gas")  # noqa: S311 - a benchmark needs repeatable draws, not secrets.
        self.chain = Chain()
        self.token = Token(self.chain)
        self.partner = key("gas partner")
        self.token.register(1, self.partner.address)
        # The expiry line's first order writes a fresh field; the figures are those of every later one.
        self.token.run(self.token.expire(self.token.roles.expirer, 1, []))
        self.redeemers = [key(f"gas member {number}") for number in range(REDEEMERS)]
        self.items = {
            "existing": self.drawn([self.address() for _ in range(HOLDERS)]),
            "new": self.drawn([self.address() for _ in range(HOLDERS)]),
        }
        self.sequence = 0
        self.fund([member for member, _ in self.items["existing"]])
        self.fund([signer.address for signer in self.redeemers])
        self.redemption = cache(self.signed_redemption)

    def address(self) -> str:
        return str(to_checksum_address(self.random.randbytes(20)))

    def drawn(self, holders: Sequence[str]) -> list[tuple[str, int]]:
        return [(holder, self.random.randint(1, AMOUNT_MAX)) for holder in holders]

    def fund(self, holders: Sequence[str]) -> None:
        """Credits each holder more than any measured debit takes."""
        for start in range(0, len(holders), NEW_HOLDERS_PER_CALL):
            self.sequence += 1
            items = [(holder, AMOUNT_MAX) for holder in holders[start : start + NEW_HOLDERS_PER_CALL]]
            self.chain.mine(self.token.issue(self.partner, 1, self.sequence, items), self.token.roles.relayer)

    def gas(self, call: Any) -> int:
        """What the call's transaction uses; the state is as before afterwards."""
        start = self.chain.snapshot()
        used = int(self.chain.mine(call, self.token.roles.relayer, BLOCK_GAS)["gasUsed"])
        self.chain.revert(start)
        return used

    def measured(self, kind: str, count: int) -> int:
        """Whole-transaction gas of one order of `count` items."""
        return self.gas(self.redeem(count) if kind == "redeem" else self.batch(kind, count))

    def batch(self, kind: str, count: int) -> Any:
        items = self.items["new" if kind == "issue_new" else "existing"][:count]
        if kind == "expire":
            return self.token.expire(self.token.roles.expirer, 2, items)
        order = self.token.reverse if kind == "reverse" else self.token.issue
        return order(self.partner, 1, self.sequence + 1, items)

    def redeem(self, count: int) -> Any:
        return self.token.call.redeem(b"".join(self.redemption(number) for number in range(count)))

    def signed_redemption(self, number: int) -> bytes:
        signer = self.redeemers[number]
        order = Redemption(
            member=signer.address,
            amount=self.random.randint(1, AMOUNT_MAX),
            partner=1,
            nonce=0,
            deadline=self.chain.now() + HOUR_S,
            reference=self.random.randbytes(32),
        )
        return self.token.redemption(signer, order)


def measure() -> dict[str, int]:
    """Gas per item by `kind_size`, the largest batch by `kind_max_n`, and the yardstick's figures."""
    meter = Meter()
    figures: dict[str, int] = {}
    for kind in KINDS:
        if kind == "expire":
            meter.chain.travel(meter.chain.now() + 2 * EPOCH_S)
        figures |= sized(meter, kind) | largest(meter, kind)
    return figures | yardstick(meter)


def sized(meter: Meter, kind: str) -> dict[str, int]:
    """One kind of order at the standing sizes, gas per item."""
    return {f"{kind}_{size}": math.ceil(meter.measured(kind, size) / size) for size in SIZES}


def largest(meter: Meter, kind: str) -> dict[str, int]:
    """The largest batch under the gas cap. Gas grows almost along a line, so a few steps of secant find the edge."""
    totals = {size: meter.measured(kind, size) for size in (50, 200)}
    slope = (totals[200] - totals[50]) / 150
    count = 200 + int((GAS_LIMIT - totals[200]) / slope)
    totals[count] = meter.measured(kind, count)
    while step := math.floor((GAS_LIMIT - totals[count]) / slope):
        count += step
        totals[count] = meter.measured(kind, count)
    while (total := meter.measured(kind, count + 1)) <= GAS_LIMIT:
        count += 1
        totals[count] = total
    return {f"{kind}_max": math.ceil(totals[count] / count), f"{kind}_max_n": count}


def yardstick(meter: Meter) -> dict[str, int]:
    """OpenZeppelin's ERC-20: single mints, and a loop over arrays at 200."""
    contract = meter.chain.deploy("BatchMint")
    items = meter.items["existing"][:200]
    members, amounts = [member for member, _ in items], [amount for _, amount in items]
    loop = contract.functions.mintMany(members, amounts)
    single = contract.functions.mint(members[0], amounts[0])
    figures = {"oz_single_new": meter.gas(single), "oz_loop_new_200": math.ceil(meter.gas(loop) / 200)}
    meter.chain.mine(loop, meter.token.roles.relayer)
    figures |= {"oz_single_existing": meter.gas(single), "oz_loop_existing_200": math.ceil(meter.gas(loop) / 200)}
    return figures


def run(json_only: bool) -> dict[str, int]:
    """Measures, prints a table to stderr unless only the figures are wanted, and returns the figures."""
    figures = measure()
    if not json_only:
        sys.stderr.write(table(figures))
    return figures


def table(figures: dict[str, int]) -> str:
    """The figures for people: one line per kind, one column per size."""
    columns = [*(str(size) for size in SIZES), "max", "max_n"]
    kinds = list(dict.fromkeys(name.removesuffix("_1") for name in figures if name.endswith("_1")))
    lines = [f"{'gas each':<16}" + "".join(f"{column:>9}" for column in columns)]
    lines += [f"{kind:<16}" + "".join(f"{figures[f'{kind}_{column}']:>9,}" for column in columns) for kind in kinds]
    lines += [f"{name:<25}{value:>9,}" for name, value in figures.items() if name.startswith("oz_")]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run(json_only=False)
