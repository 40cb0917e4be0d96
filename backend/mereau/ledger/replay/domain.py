"""What the lots must be, told from the entries and from what each debit took. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from mereau.ledger.domain import EntryKind

Figure = Literal["remaining", "held", "spent", "expired"]
FIGURES: Final[tuple[Figure, ...]] = ("remaining", "held", "spent", "expired")


@dataclass(frozen=True, slots=True)
class Credited:
    """A credit as its entry says: how many tokens there are of it, 0 where it was cancelled or refused."""

    entry_id: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What an accepted debit took of one credit. `is_mined` matters for redemptions: what burned is spent."""

    lot_entry_id: str
    kind: str
    tokens: int
    is_mined: bool = False


@dataclass(frozen=True, slots=True)
class Replayed:
    """A lot's tokens by what became of them. `reversed` leaves out what was never issued."""

    entry_id: str
    issued: int
    remaining: int
    held: int = 0
    spent: int = 0
    expired: int = 0
    reversed: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of a lot that the entries do not bear out."""

    entry_id: str
    figure: str
    replayed: int
    stored: int

    def __str__(self) -> str:
        return f"lot {self.entry_id}: {self.figure} is {self.stored}, its entries say {self.replayed}"


def replay(credits_: Iterable[Credited], taken: Iterable[Taken]) -> dict[str, Replayed]:
    """Credit -> its lot, in whichever order the debits are told.

    What is left may be below 0 here, where debits took more than there was: the caller finds it as a difference.
    A refused credit keeps those debits that the chain executes and no other lot could carry: their tokens left
    the wallet, so `remaining` counts no less than 0 for it. KeyError for a debit of an unknown credit.
    """
    lots = {item.entry_id: Replayed(item.entry_id, item.tokens, item.tokens) for item in credits_}
    for item in taken:
        lot = lots[item.lot_entry_id]
        figure = _figure(item)
        changes = {figure: getattr(lot, figure) + item.tokens, "remaining": lot.remaining - item.tokens}
        lots[item.lot_entry_id] = replace(lot, **changes)
    return {key: lot if lot.issued else replace(lot, remaining=0) for key, lot in lots.items()}


def _figure(item: Taken) -> str:
    if item.kind == EntryKind.REDEEM:
        return "spent" if item.is_mined else "held"
    return {EntryKind.REVERSE: "reversed", EntryKind.EXPIRE: "expired"}[EntryKind(item.kind)]


def differences(replayed: Mapping[str, Replayed], stored: Mapping[str, Mapping[str, int]]) -> Iterator[Difference]:
    """Where the stored figures of the lots, by credit, are not the replayed ones; a lot that is missing has none."""
    for key in sorted(replayed.keys() | stored.keys()):
        told, found = replayed.get(key, Replayed(key, 0, 0)), stored.get(key, {})
        for figure in FIGURES:
            expected, seen = getattr(told, figure), found.get(figure, 0)
            if expected != seen or expected < 0:
                yield Difference(key, figure, expected, seen)
