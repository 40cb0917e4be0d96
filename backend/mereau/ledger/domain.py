"""Rules of the ledger: which lots a debit takes, what a return takes back, how an entry is encoded. Pure."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Literal

from mereau.chain.hashing import keccak

RECORD_VERSION: Final = 1
SALT_BYTES: Final = 16
_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)


class EntryKind(StrEnum):
    """What an entry does to the member's tokens; `extend` gives them more time, off chain, and moves none."""

    ISSUE = "issue"
    REVERSE = "reverse"
    REDEEM = "redeem"
    EXPIRE = "expire"
    EXTEND = "extend"


class ReasonCode(StrEnum):
    """Why an entry was made; part of its public record, so it names no person and no goods."""

    SALE = "sale"
    RETURN = "return"
    REDEMPTION = "redemption"
    EXPIRY = "expiry"
    BONUS = "bonus"
    CORRECTION = "correction"
    REFUND = "refund"
    GOODWILL = "goodwill"
    VISIT_WITHOUT_SALE = "visit_without_sale"
    SERVICE_FAILURE = "service_failure"
    MIGRATION = "migration"


Bucket = Literal["remaining", "held", "spent", "reversed", "expired"]
ReturnPolicy = Literal["clamp", "debt"]

DEBIT_BUCKETS: Final[dict[str, Bucket]] = {
    EntryKind.REVERSE: "reversed",
    EntryKind.EXPIRE: "expired",
    EntryKind.REDEEM: "held",
}
"""Where a debit puts the tokens of the lots that it takes; a mined redemption's move on to `spent`."""


@dataclass(frozen=True, slots=True)
class Lot:
    """The tokens of one credit, by what became of them; the buckets always sum to `tokens`.

    `unmet` counts what returns asked for and could not take, `corrected` what corrections by hand took, which is
    no return: the goods may still come back. `live` is False once the chain has refused the credit: its tokens
    never existed, and what is given back to it goes to `reversed`.
    """

    entry_id: str
    member_id: str
    partner_id: str
    state: str
    tokens: int
    remaining: int
    held: int
    spent: int
    reversed: int
    expired: int
    unmet: int
    activates_at: datetime
    expires_at: datetime | None
    corrected: int = 0
    live: bool = True

    def moved(self, tokens: int, source: Bucket, target: Bucket) -> "Lot":
        """The lot after `tokens` went from one bucket to another; a bucket never goes below 0."""
        if not 0 <= tokens <= getattr(self, source):
            raise ValueError(f"lot {self.entry_id} has no {tokens} tokens {source}")
        if source == target:
            return self
        changes = {source: getattr(self, source) - tokens, target: getattr(self, target) + tokens}
        return replace(self, **changes).settled()

    def given_back(self, tokens: int, source: Bucket) -> "Lot":
        """The lot after a debit was undone: free to spend again, or void with its credit."""
        return self.moved(tokens, source, "remaining" if self.live else "reversed")

    def refused(self) -> "Lot":
        """The lot after the chain refused its credit: what was free is void."""
        return replace(self, live=False).moved(self.remaining, "remaining", "reversed")

    def settled(self) -> "Lot":
        """The lot with the state that its buckets say."""
        return replace(self, state=self._state())

    def _state(self) -> str:
        if self.remaining or self.held:
            return "pending" if self.state == "pending" else "active"
        if self.spent:
            return "spent"
        return "expired" if self.expired else "reversed"


@dataclass(frozen=True, slots=True)
class Take:
    """So many tokens of one lot, for one debit."""

    lot_entry_id: str
    tokens: int


def _first_expiring(lot: Lot) -> tuple[bool, datetime, datetime, str]:
    return (lot.expires_at is None, lot.expires_at or lot.activates_at, lot.activates_at, lot.entry_id)


def allocate(lots: Iterable[Lot], tokens: int) -> tuple[list[Take], int]:
    """Take up to `tokens` from active lots, earliest expiry first, then the oldest; the takes and what is missing."""
    takes = []
    missing = tokens
    for lot in sorted((lot for lot in lots if lot.state == "active" and lot.live), key=_first_expiring):
        if not missing:
            break
        if part := min(lot.remaining, missing):
            takes.append(Take(lot.entry_id, part))
            missing -= part
    return takes, missing


@dataclass(frozen=True, slots=True)
class Returned:
    """What a return did, in tokens: cancelled before activation, reversed on chain, owed, or forgiven."""

    lot: Lot
    cancelled: int
    reversed: int
    debt: int
    forgiven: int


def take_back(lot: Lot, tokens: int, policy: ReturnPolicy) -> Returned:
    """Take back `tokens` of a lot, as far as they are free; policy decides the rest.

    ValueError where returns would ask for more than was credited. Tokens that expired unused are never owed:
    debt counts at most what the member spent or reserved. Of a refused credit there is nothing to take.
    """
    if not lot.live:
        return Returned(lot, cancelled=tokens, reversed=0, debt=0, forgiven=0)
    # A correction that the chain refused gave its tokens back and stays counted: never below 0.
    if tokens > lot.tokens - max(0, lot.reversed - lot.corrected) - lot.unmet:
        raise ValueError(f"lot {lot.entry_id} was not credited with so many tokens")
    free = min(tokens, lot.remaining)
    rest = tokens - free
    debt = max(0, min(lot.unmet + rest, lot.spent + lot.held) - lot.unmet) if policy == "debt" else 0
    after = replace(lot.moved(free, "remaining", "reversed"), unmet=lot.unmet + rest)
    pending = lot.state == "pending"
    return Returned(
        after,
        cancelled=free if pending else 0,
        reversed=0 if pending else free,
        debt=debt,
        forgiven=rest - debt,
    )


def correct(lot: Lot, tokens: int) -> Returned:
    """Take free tokens of a lot by hand; returns may still ask for its goods'. ValueError beyond what is free."""
    after = replace(lot.moved(tokens, "remaining", "reversed"), corrected=lot.corrected + tokens)
    pending = lot.state == "pending"
    return Returned(after, tokens if pending else 0, 0 if pending else tokens, debt=0, forgiven=0)


def entry_status(state: str, batch_state: str | None, *, is_off_chain: bool = False) -> str:
    """One word for a statement: what the ledger decided or, once accepted, how far the chain has come.

    An order whose batch was superseded waits again; one whose batch is stuck was submitted, as far as the
    member is concerned. What never goes on chain is final at once.
    """
    if is_off_chain:
        return "final"
    if state != "accepted" or batch_state is None:
        return state
    return {"superseded": "accepted", "stuck": "submitted"}.get(batch_state, batch_state)


@dataclass(frozen=True, slots=True)
class Record:
    """The public content of an entry, version 1. It holds no personal data: `document` is a salted hash."""

    id: str
    kind: str
    partner_number: int | None
    wallet: bytes
    tokens: int
    rule: str | None
    reason_code: str
    document: bytes
    occurred_at: datetime
    expires_at: datetime | None


def instant_text(at: datetime) -> str:
    """RFC 3339 in UTC, always with six decimals."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def record_fields(record: Record) -> dict[str, object]:
    """The record as the trail publishes it."""
    return {
        "v": RECORD_VERSION,
        "id": record.id,
        "kind": str(record.kind),
        "partner": record.partner_number,
        "wallet": "0x" + record.wallet.hex(),
        "tokens": record.tokens,
        "rule": record.rule,
        "reason": str(record.reason_code),
        "document": "0x" + record.document.hex(),
        "at": instant_text(record.occurred_at),
        "expires_at": None if record.expires_at is None else instant_text(record.expires_at),
    }


def record_bytes(record: Record) -> bytes:
    """The canonical encoding: JSON with sorted keys, without spaces, ASCII."""
    return _CANONICAL.encode(record_fields(record)).encode()


def document_hash(salt: bytes, source_id: str, source_reference: str) -> bytes:
    """keccak256(salt || kind:reference) of the source document; the kind is the prefix of its id, e.g. `sal`."""
    kind = source_id.partition("_")[0]
    return keccak(salt + f"{kind}:{source_reference}".encode())


def commitment(salt: bytes, record: bytes) -> bytes:
    """keccak256(salt || record): what the leaf carries, and what a redemption signs as its reference."""
    return keccak(salt + record)


@dataclass(frozen=True, slots=True)
class Use:
    """What one debit took from one lot, and in which bucket of it the tokens are."""

    entry_id: str
    member_id: str
    bucket: Bucket
    lot_entry_id: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Change:
    """What is added to an account's counters, in tokens."""

    available: int = 0
    pending: int = 0
    held: int = 0
    debt: int = 0

    def __add__(self, other: "Change") -> "Change":
        return Change(
            self.available + other.available,
            self.pending + other.pending,
            self.held + other.held,
            self.debt + other.debt,
        )


def _weight(lot: Lot, sign: int) -> Change:
    """What a lot contributes to its member's counters."""
    pending = lot.remaining if lot.state == "pending" else 0
    return Change(sign * (lot.remaining - pending), sign * pending, sign * lot.held)


class LotBook:
    """Lots in the hands of one transaction. The counters' changes follow from the lots': they cannot disagree."""

    def __init__(self, lots: Iterable[Lot]) -> None:
        self._before = {lot.entry_id: lot for lot in lots}
        self.lots = dict(self._before)

    def add(self, lots: Iterable[Lot]) -> None:
        """Take more lots in hand, as they are."""
        for lot in lots:
            self._before[lot.entry_id] = self.lots[lot.entry_id] = lot

    def put(self, lot: Lot) -> None:
        """Replace a lot, or add a new one."""
        self.lots[lot.entry_id] = lot

    def move(self, takes: Iterable[Take], source: Bucket, target: Bucket) -> None:
        """Move what was taken of each lot from one bucket to another."""
        for take in takes:
            self.put(self.lots[take.lot_entry_id].moved(take.tokens, source, target))

    def give_back(self, uses: Iterable[Use]) -> None:
        """Undo debits."""
        for use in uses:
            self.put(self.lots[use.lot_entry_id].given_back(use.tokens, use.bucket))

    def move_use(self, use: Use) -> list[Take]:
        """Let other lots of the member stand in for a refused one, as far as they reach; what each gave.

        The chain knows one balance and no lots: a debit that it executes has burned tokens of other credits.
        """
        own = [lot for lot in self.lots.values() if lot.member_id == use.member_id]
        takes, missing = allocate(own, use.tokens)
        self.move(takes, "remaining", use.bucket)
        refused = self.lots[use.lot_entry_id]
        self.put(refused.moved(use.tokens - missing, use.bucket, "reversed"))
        return takes

    def changed(self) -> list[Lot]:
        """The lots that are not as they were."""
        return [lot for key, lot in self.lots.items() if lot != self._before.get(key)]

    def changes(self) -> dict[str, Change]:
        """Member id -> what the changed lots add to the counters."""
        total: dict[str, Change] = {}
        for lot in self.changed():
            before = self._before.get(lot.entry_id)
            change = _weight(lot, 1) + (_weight(before, -1) if before else Change())
            total[lot.member_id] = total.get(lot.member_id, Change()) + change
        return total


@dataclass(frozen=True, slots=True)
class Line:
    """An entry, whole: one line of a member's statement."""

    id: str
    member_id: str
    partner_id: str | None
    staff_id: str | None
    kind: str
    state: str
    tokens: int
    source_id: str
    source_reference: str
    rule: str | None
    reason_code: str
    wallet: bytes
    document_salt: bytes
    record_salt: bytes
    occurred_at: datetime
    activates_at: datetime


def line_commitment(line: Line, partner_number: int | None, expires_at: datetime | None) -> bytes:
    """The commitment of an entry's record; `expires_at` is its lot's, None for debits."""
    record = Record(
        id=line.id,
        kind=line.kind,
        partner_number=partner_number,
        wallet=line.wallet,
        tokens=line.tokens,
        rule=line.rule,
        reason_code=line.reason_code,
        document=document_hash(line.document_salt, line.source_id, line.source_reference),
        occurred_at=line.occurred_at,
        expires_at=expires_at,
    )
    return commitment(line.record_salt, record_bytes(record))
