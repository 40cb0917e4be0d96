"""The rules of `online-retail` once more, written from their description with plain dictionaries and Decimals.

Shares nothing with the importer: it reads the whole file into memory and walks it once.
"""

import csv
import gzip
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from pathlib import Path


@dataclass
class Sold:
    invoice: str
    units: int
    tokens: int
    back: int = 0

    def bring_back(self, units: int) -> int:
        before = self.tokens * self.back // self.units
        self.back += units
        return self.tokens * self.back // self.units - before


@dataclass
class Outcome:
    """What the programme must end with: tokens by customer, and the counts that a report must show."""

    tokens: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    credited: int = 0
    reversed: int = 0
    credits: int = 0
    reversals: int = 0
    unmatched_lines: int = 0
    unmatched_units: int = 0
    without_customer: int = 0
    sales: int = 0
    returns: int = 0


def read(path: Path) -> list[dict[str, str]]:
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def customer_of(row: dict[str, str]) -> str:
    return row["CustomerID"].split(".")[0]


def shares(total: int, weights: list[int]) -> list[int]:
    """Largest remainders, by handing out the rest one by one to the largest fraction, the first of equals."""
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    exact = [Decimal(total) * weight / whole for weight in weights]
    parts = [int(part) for part in exact]
    rest = [(total * weight) % whole for weight in weights]
    for _ in range(total - sum(parts)):
        best = max(range(len(weights)), key=lambda i: (rest[i], -i))
        parts[best] += 1
        rest[best] = -1
    return parts


def expect(path: Path) -> Outcome:
    outcome = Outcome()
    invoices: dict[str, list[dict[str, str]]] = {}
    for row in read(path):
        outcome.without_customer += not row["CustomerID"]
        invoices.setdefault(row["InvoiceNo"], []).append(row)
    # Python's sort keeps the file's order among equals.
    ordered = sorted(invoices.values(), key=lambda rows: rows[0]["InvoiceDate"])
    shelf: dict[tuple[str, str, Decimal], list[list[Sold]]] = defaultdict(list)
    for rows in ordered:
        if rows[0]["InvoiceNo"].startswith("C"):
            take_back(rows, shelf, outcome)
        else:
            sell(rows, shelf, outcome)
    return outcome


def sell(rows: list[dict[str, str]], shelf: dict[tuple[str, str, Decimal], list[list[Sold]]], outcome: Outcome) -> None:
    goods = [row for row in rows if int(row["Quantity"]) > 0 and Decimal(row["UnitPrice"]) >= 0]
    if not goods:
        return
    outcome.sales += 1
    customer = customer_of(goods[0])
    cents = []
    for row in goods:
        amount = Decimal(row["Quantity"]) * Decimal(row["UnitPrice"]) * 100
        cents.append(int(amount.quantize(Decimal(1), rounding=ROUND_DOWN)) if row["CustomerID"] else 0)
    tokens = sum(cents) // 100
    outcome.tokens[customer] += tokens
    outcome.credited += tokens
    outcome.credits += tokens > 0
    by_goods: dict[tuple[str, str, Decimal], list[Sold]] = defaultdict(list)
    for row, share in zip(goods, shares(tokens, cents), strict=True):
        key = (customer, row["StockCode"], Decimal(row["UnitPrice"]))
        by_goods[key].append(Sold(row["InvoiceNo"], int(row["Quantity"]), share))
    for key, lines in by_goods.items():
        shelf[key].append(lines)


def take_back(
    rows: list[dict[str, str]], shelf: dict[tuple[str, str, Decimal], list[list[Sold]]], outcome: Outcome
) -> None:
    outcome.returns += 1
    due: dict[str, int] = defaultdict(int)
    for row in rows:
        if not row["CustomerID"]:
            continue
        customer, units = customer_of(row), -int(row["Quantity"])
        for lines in reversed(shelf[customer, row["StockCode"], Decimal(row["UnitPrice"])]):
            for line in reversed(lines):
                taken = min(units, line.units - line.back)
                if taken:
                    due[line.invoice] += line.bring_back(taken)
                    units -= taken
        outcome.unmatched_lines += units > 0
        outcome.unmatched_units += units
    if rows[0]["CustomerID"]:
        outcome.tokens[customer_of(rows[0])] -= sum(due.values())
    outcome.reversed += sum(due.values())
    outcome.reversals += sum(tokens > 0 for tokens in due.values())
