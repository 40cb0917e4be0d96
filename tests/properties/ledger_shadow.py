"""The ledger and its chain retold in a few plain dictionaries: what the real ones are compared with."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

FAR = datetime.max.replace(tzinfo=UTC)


@dataclass
class ShadowLot:
    """One credit. `uses` says what each debit that was not undone took of it."""

    id: str
    member: int
    partner: int
    tokens: int
    activates_at: datetime
    expires_at: datetime | None
    pending: bool
    refused: bool = False
    cancelled: int = 0
    unmet: int = 0
    uses: dict[str, int] = field(default_factory=dict)

    @property
    def free(self) -> int:
        return 0 if self.refused else self.tokens - self.cancelled - sum(self.uses.values())

    @property
    def spendable(self) -> int:
        return 0 if self.pending else self.free

    def rank(self) -> tuple[datetime, datetime, str]:
        return self.expires_at or FAR, self.activates_at, self.id


@dataclass
class ShadowOrder:
    """What the chain is to do. state: queued -> sealed -> mined -> final, or undone."""

    id: str
    kind: str
    member: int
    partner: int | None
    tokens: int
    state: str = "queued"
    batch: str | None = None

    @property
    def sign(self) -> int:
        return 1 if self.kind == "issue" else -1


class Shadow:
    """The whole state. Methods that refuse return None or False and change nothing."""

    def __init__(self) -> None:
        self.lots: dict[str, ShadowLot] = {}
        self.orders: dict[str, ShadowOrder] = {}
        self.chain: dict[int, int] = {}
        self.debt: dict[int, int] = {}

    def of(self, member: int) -> Iterator[ShadowLot]:
        return (lot for lot in self.lots.values() if lot.member == member)

    def counters(self, member: int) -> tuple[int, int, int, int]:
        """(available, pending, held, debt) as the API shows them."""
        free = sum(lot.spendable for lot in self.of(member))
        pending = sum(lot.free for lot in self.of(member) if lot.pending)
        held = sum(
            tokens
            for lot in self.of(member)
            for key, tokens in lot.uses.items()
            if self.orders[key].kind == "redeem" and self.orders[key].state in {"queued", "sealed"}
        )
        debt = self.debt.get(member, 0)
        return max(0, free - debt), pending, held, debt

    def sealed_debits(self, member: int) -> int:
        """Tokens of burns that were signed and not mined."""
        return sum(
            order.tokens
            for order in self.orders.values()
            if order.member == member and order.kind != "issue" and order.state == "sealed"
        )

    def credit(self, lot: ShadowLot) -> None:
        self.lots[lot.id] = lot
        if not lot.pending:
            self.orders[lot.id] = ShadowOrder(lot.id, "issue", lot.member, lot.partner, lot.tokens)

    def activate(self, now: datetime) -> None:
        for lot in self.lots.values():
            if lot.pending and lot.activates_at <= now and lot.free:
                lot.pending = False
                self.orders[lot.id] = ShadowOrder(lot.id, "issue", lot.member, lot.partner, lot.free)

    def take(self, key: str, member: int, tokens: int) -> int:
        """Let a debit take tokens, earliest expiry first; how many it did not get."""
        for lot in sorted(self.of(member), key=ShadowLot.rank):
            if part := min(lot.spendable, tokens):
                lot.uses[key] = lot.uses.get(key, 0) + part
                tokens -= part
        return tokens

    def returned(self, lot: ShadowLot) -> int:
        """What earlier returns asked for of a lot."""
        reversed_ = sum(n for key, n in lot.uses.items() if self.orders[key].kind == "reverse")
        return reversed_ + lot.cancelled + lot.unmet

    def reverse(self, key: str, lot: ShadowLot, tokens: int) -> tuple[int, int, int, int]:
        """(cancelled, reversed, debt, forgiven) under the policy `debt`."""
        if lot.refused:
            return tokens, 0, 0, 0
        got = min(tokens, lot.free)
        if lot.pending:
            lot.cancelled += got
        elif got:
            lot.uses[key] = got
            self.orders[key] = ShadowOrder(key, "reverse", lot.member, lot.partner, got)
        consumed = sum(n for debit, n in lot.uses.items() if self.orders[debit].kind == "redeem")
        debt = max(0, min(lot.unmet + tokens - got, consumed) - lot.unmet)
        lot.unmet += tokens - got
        self.debt[lot.member] = self.debt.get(lot.member, 0) + debt
        return (got, 0, debt, tokens - got - debt) if lot.pending else (0, got, debt, tokens - got - debt)

    def undo_debit(self, key: str) -> None:
        self.orders[key].state = "undone"
        for lot in self.lots.values():
            lot.uses.pop(key, None)

    def refuse(self, key: str) -> None:
        """The chain will not execute an order."""
        if self.orders[key].kind != "issue":
            self.undo_debit(key)
            return
        lot = self.lots[key]
        self.orders[key].state = "undone"
        for debit in [debit for debit in lot.uses if self.orders[debit].state == "queued"]:
            self.undo_debit(debit)
        lot.refused = True
        carried, lot.uses = lot.uses, {}
        short = {debit: left for debit, n in carried.items() if (left := self.take(debit, lot.member, n))}
        if short:
            for order in list(self.orders.values()):
                if order.member == lot.member and order.kind != "issue" and order.state == "queued":
                    self.undo_debit(order.id)
            assert all(self.take(debit, lot.member, n) == 0 for debit, n in short.items())

    def expire(self, now: datetime, key_of: dict[str, str], allowed: dict[int, int]) -> None:
        """Expire free tokens past their life; `key_of` gives the ledger's ids of the expiries by lot."""
        for lot in sorted(self.lots.values(), key=ShadowLot.rank):
            if lot.expires_at is None or lot.expires_at > now:
                continue
            if tokens := min(lot.spendable, max(0, allowed[lot.member])):
                allowed[lot.member] -= tokens
                key = key_of[lot.id]
                lot.uses[key] = tokens
                self.orders[key] = ShadowOrder(key, "expire", lot.member, None, tokens)

    def move_on_chain(self, orders: list[ShadowOrder], direction: int) -> None:
        for order in orders:
            self.chain[order.member] = self.chain.get(order.member, 0) + direction * order.sign * order.tokens
