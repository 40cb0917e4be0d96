"""What may be credited and debited by hand, by whom, and from which lots. Pure."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from mereau.auth.domain import Principal, Role
from mereau.core.errors import FieldError
from mereau.ledger.domain import Lot, Take, allocate
from mereau.programs.settings.domain import AdjustmentLimits

Direction = Literal["credit", "debit"]
Reason = Literal["goodwill", "visit_without_sale", "service_failure", "correction", "migration"]
State = Literal["pending_approval", "applied", "rejected", "expired"]

REASONS: Final[Mapping[Direction, frozenset[Reason]]] = {
    "credit": frozenset({"goodwill", "visit_without_sale", "service_failure", "correction", "migration"}),
    "debit": frozenset({"correction", "migration"}),
}
OPERATOR_REASONS: Final[frozenset[Reason]] = frozenset({"migration"})
"""Balances of another system come in, and go out, by an operator's hand alone."""


@dataclass(frozen=True, slots=True)
class AdjustmentDraft:
    """Tokens to credit or to debit by hand; `partner_id` issues them, or issued those that go."""

    member_id: str
    partner_id: str
    direction: Direction
    tokens: int
    reason_code: Reason
    note: str


def person_of(caller: Principal) -> str:
    """Whose hand it is: one of staff, however many keys they have; else the partner's own, else an operator's key."""
    return caller.staff_id or caller.partner_id or caller.key_id


def findings(draft: AdjustmentDraft, role: Role) -> Iterator[FieldError]:
    """Why this reason is none for it."""
    if draft.reason_code not in REASONS[draft.direction]:
        yield FieldError("/reason_code", "wrong_direction", f"This is no reason for a {draft.direction}.")
    elif draft.reason_code in OPERATOR_REASONS and role != Role.OPERATOR:
        yield FieldError("/reason_code", "operators_only", "Only an operator gives this reason.")


def maxima(draft: AdjustmentDraft, person: str, limits: AdjustmentLimits) -> dict[str, int]:
    """Whose tokens of the day are counted, and how many they may be."""
    return {person: limits.staff_day_tokens, draft.member_id: limits.member_day_tokens}


def exceeded(counted: Mapping[str, int], most: Mapping[str, int], tokens: int) -> list[str]:
    """Those whose day does not hold so many tokens more."""
    return [subject for subject in most if counted[subject] + tokens > most[subject]]


def debit_takes(lots: Iterable[Lot], tokens: int) -> list[Take]:
    """What a debit takes of lots: what is still pending first, then in the order in which they would be spent."""
    known = list(lots)
    early = [replace(lot, state="active") for lot in known if lot.state == "pending"]
    pending, missing = allocate(early, tokens)
    active, _ = allocate(known, missing)
    return pending + active


def note_digest(adjustment_id: str, note: str) -> str:
    """What an entry's document says of its note: enough to prove the note, and nothing to read in it."""
    return hashlib.sha256(f"{adjustment_id}\n{note}".encode()).hexdigest()


def state_at(state: str, expires_at: datetime | None, now: datetime) -> str:
    """The state as it shows: a request that nobody decided in time is over, without anybody's doing."""
    is_over = state == "pending_approval" and expires_at is not None and expires_at <= now
    return "expired" if is_over else state
