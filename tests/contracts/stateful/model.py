"""The token as its rules say it, in plain Python.

Protection is kept as what each member was credited in each epoch, not as the contract's two rolling counters, so that
the two can only agree by both being right.
"""

import copy
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from contracts.harness import ROOT_HASH, U56_MAX, U64_MAX, ZERO, Event, transfer

Items = Sequence[tuple[str, int]]


class RefusedError(Exception):
    """The contract's custom error, by name and arguments."""

    def __init__(self, name: str, **arguments: Any) -> None:
        super().__init__(name, arguments)
        self.event: Event = (name, arguments)


@dataclass
class Partner:
    signer: str
    allowance: int
    period_cap: int
    active: bool
    sequence: int = 0
    net_issued: int = 0
    issued_in: Counter[int] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A signed list. `signed_by` is whose valid signature it carries over exactly these fields; None for a forgery."""

    kind: str
    sequence: int
    items: tuple[tuple[str, int], ...]
    signed_by: str | None
    partner: int = 0
    expirer: str = ZERO


@dataclass(frozen=True, kw_only=True)
class Spending:
    """A signed redemption; `authorised` is whether the member's own signature covers exactly these fields."""

    member: str
    amount: int
    partner: int
    nonce: int
    deadline: int
    reference: bytes
    authorised: bool


@dataclass
class Model:
    epoch_length_s: int
    cap_period_s: int
    balances: Counter[str] = field(default_factory=Counter)
    nonces: Counter[str] = field(default_factory=Counter)
    credited: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    partners: dict[int, Partner] = field(default_factory=dict)
    expirers: set[str] = field(default_factory=set)
    expiry_sequence: int = 0
    paused: bool = False
    moved: Counter[str] = field(default_factory=Counter)

    def copy(self) -> "Model":
        return copy.deepcopy(self)

    @property
    def supply(self) -> int:
        return sum(self.balances.values())

    def guaranteed(self, member: str, now_s: int) -> int:
        epoch = now_s // self.epoch_length_s
        return self.credited[member][epoch] + self.credited[member][epoch - 1]

    def expirable(self, member: str, now_s: int) -> int:
        return max(0, self.balances[member] - self.guaranteed(member, now_s))

    def execute(self, batch: Batch, now_s: int) -> list[Event]:
        self.refuse_if_paused()
        if batch.kind == "Expire":
            self.admit_expiry(batch)
        else:
            self.admit(batch)
        supply_left = U64_MAX - self.supply
        events = [
            self.credit(member, amount, now_s)
            if batch.kind == "Issue"
            else self.debit(member, amount, batch.kind, now_s)
            for member, amount in batch.items
        ]
        total = sum(amount for _, amount in batch.items)
        if batch.kind == "Issue" and total > supply_left:
            raise RefusedError("LoyaltySupply", left=supply_left, asked=total)
        self.moved[batch.kind] += total
        summary: dict[str, Any] = {"sequence": batch.sequence, "trailRoot": ROOT_HASH, "total": total}
        if batch.kind == "Issue":
            self.count_issued(batch.partner, total, now_s)
        if batch.kind == "Reverse":
            self.count_reversed(batch.partner, total)
        if batch.kind != "Expire":
            summary["partner"] = batch.partner
        return [*events, ({"Issue": "Issued", "Reverse": "Reversed", "Expire": "Expired"}[batch.kind], summary)]

    def admit(self, batch: Batch) -> None:
        partner = self.partners.get(batch.partner)
        if batch.kind == "Issue" and (partner is None or not partner.active):
            raise RefusedError("LoyaltyPartnerInactive", partner=batch.partner)
        if partner is None:
            raise RefusedError("LoyaltyPartnerUnknown", partner=batch.partner)
        if batch.sequence != partner.sequence + 1:
            raise RefusedError("LoyaltySequence", expected=partner.sequence + 1, given=batch.sequence)
        if batch.signed_by != partner.signer:
            raise RefusedError("LoyaltySignature", signer=partner.signer)
        partner.sequence += 1

    def admit_expiry(self, batch: Batch) -> None:
        if batch.expirer not in self.expirers:
            raise RefusedError("AccessControlUnauthorizedAccount", account=batch.expirer)
        if batch.sequence != self.expiry_sequence + 1:
            raise RefusedError("LoyaltySequence", expected=self.expiry_sequence + 1, given=batch.sequence)
        if batch.signed_by != batch.expirer:
            raise RefusedError("LoyaltySignature", signer=batch.expirer)
        self.expiry_sequence += 1

    def credit(self, member: str, amount: int, now_s: int) -> Event:
        if member == ZERO:
            raise RefusedError("ERC20InvalidReceiver", receiver=ZERO)
        if not 0 < amount <= U64_MAX:
            raise RefusedError("LoyaltyAmount", member=member, amount=amount)
        self.balances[member] += amount
        self.credited[member][now_s // self.epoch_length_s] += amount
        return transfer(ZERO, member, amount)

    def debit(self, member: str, amount: int, kind: str, now_s: int) -> Event:
        limit = self.expirable(member, now_s) if kind == "Expire" else self.balances[member]
        if 0 < amount <= limit:
            self.balances[member] -= amount
            return transfer(member, ZERO, amount)
        if member == ZERO:
            raise RefusedError("ERC20InvalidSender", sender=ZERO)
        if not 0 < amount <= U64_MAX:
            raise RefusedError("LoyaltyAmount", member=member, amount=amount)
        if kind == "Expire":
            raise RefusedError("LoyaltyProtected", member=member, expirable=limit, asked=amount)
        raise RefusedError("ERC20InsufficientBalance", sender=member, balance=limit, needed=amount)

    def count_issued(self, number: int, total: int, now_s: int) -> None:
        partner = self.partners[number]
        left = max(0, partner.allowance - partner.net_issued)
        if total > left:
            raise RefusedError("LoyaltyAllowance", partner=number, left=left, asked=total)
        period = now_s // self.cap_period_s
        left = max(0, partner.period_cap - partner.issued_in[period])
        if total > left:
            raise RefusedError("LoyaltyPeriodCap", partner=number, left=left, asked=total)
        partner.net_issued += total
        partner.issued_in[period] += total
        assert partner.net_issued <= max(partner.allowance, partner.net_issued - total) <= U56_MAX

    def count_reversed(self, number: int, total: int) -> None:
        partner = self.partners[number]
        if total > partner.net_issued:
            raise RefusedError("LoyaltyReversal", partner=number, left=partner.net_issued, asked=total)
        partner.net_issued -= total

    def redeem(self, orders: Sequence[Spending], now_s: int) -> list[Event]:
        self.refuse_if_paused()
        events = []
        for order in orders:
            partner = self.partners.get(order.partner)
            if partner is None or not partner.active:
                raise RefusedError("LoyaltyPartnerInactive", partner=order.partner)
            if now_s > order.deadline:
                raise RefusedError("LoyaltyDeadline", deadline=order.deadline)
            expected = self.nonces[order.member]
            if order.nonce != expected:
                raise RefusedError("LoyaltyNonce", member=order.member, expected=expected, given=order.nonce)
            if not order.authorised:
                raise RefusedError("LoyaltySignature", signer=order.member)
            events.append(self.debit(order.member, order.amount, "Redeem", now_s))
            self.nonces[order.member] += 1
            self.moved["Redeem"] += order.amount
            fields = {
                "member": order.member,
                "partner": order.partner,
                "nonce": order.nonce,
                "reference_": order.reference,
            }
            events.append(("Redeemed", fields))
        return events

    def transfer(self, sender: str, receiver: str, amount: int, now_s: int) -> list[Event]:
        self.refuse_if_paused()
        if amount > self.balances[sender]:
            raise RefusedError("ERC20InsufficientBalance", sender=sender, balance=self.balances[sender], needed=amount)
        guarded = max(0, amount - self.expirable(sender, now_s))
        epoch = now_s // self.epoch_length_s
        for source in (epoch - 1, epoch):
            part = min(guarded, self.credited[sender][source])
            self.credited[sender][source] -= part
            self.credited[receiver][source] += part
            guarded -= part
        self.balances[sender] -= amount
        self.balances[receiver] += amount
        return [transfer(sender, receiver, amount)]

    def refuse_if_paused(self) -> None:
        if self.paused:
            raise RefusedError("EnforcedPause")
