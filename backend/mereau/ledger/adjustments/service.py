"""Crediting and debiting by hand: an entry with a reason and a note, never a silent edit.

What one person does alone stays below a threshold, and within the day's limits of that person and of the member;
beyond the threshold it is a request, and nothing moves before a second person has approved it.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from mereau.auth.domain import Principal
from mereau.core.db import WriteSession
from mereau.core.errors import FieldError, InvalidInputError, NotFoundError
from mereau.core.ids import new_id
from mereau.journal import service as journal
from mereau.ledger import repository as ledger_repository
from mereau.ledger import service as ledger
from mereau.ledger.adjustments import domain, repository
from mereau.ledger.adjustments.domain import AdjustmentDraft
from mereau.ledger.adjustments.errors import (
    AdjustmentLimitError,
    NothingToTakeError,
    NotPendingError,
    OwnRequestError,
)
from mereau.ledger.adjustments.models import Adjustment
from mereau.ledger.errors import MemberInactiveError
from mereau.ledger.service import Credit, Reversal
from mereau.members import service as members
from mereau.outbox import service as outbox
from mereau.outbox.service import Event
from mereau.partners import queries as partners
from mereau.programs import service as programs
from mereau.programs.calendar.domain import day_of
from mereau.programs.lives.domain import expiry_of
from mereau.programs.settings import service as settings

__all__ = ["AdjustmentDraft", "adjust", "approve", "reject"]


async def adjust(session: WriteSession, draft: AdjustmentDraft, caller: Principal, now: datetime) -> Adjustment:
    """Credit or debit a member by hand, or ask for it where it is beyond the programme's threshold.

    A debit takes what is free of this partner's tokens, and `applied_tokens` says how much that was. Locks the
    day's counters, then the account. NotFoundError for the member; InvalidInputError for the partner or a reason
    that does not fit; AdjustmentLimitError, NothingToTakeError, MemberInactiveError: nothing is written.
    """
    await _check(session, draft, caller)
    program = await programs.current(session)
    limits = settings.adjustment_limits_of(program)
    is_request = draft.tokens > limits.approval_above_tokens
    adjustment = Adjustment(
        id=new_id("adj", now),
        member_id=draft.member_id,
        partner_id=draft.partner_id,
        staff_id=caller.staff_id,
        direction=draft.direction,
        tokens=draft.tokens,
        reason_code=draft.reason_code,
        note=draft.note,
        state="pending_approval",
        requested_by=domain.person_of(caller),
        expires_at=now + timedelta(days=limits.request_days) if is_request else None,
        created_at=now,
    )
    if not is_request:
        day = day_of(now, ZoneInfo(program.time_zone))
        most = domain.maxima(draft, adjustment.requested_by, limits)
        counted = await repository.lock_counters(session, day, most)
        if over := domain.exceeded(counted, most, draft.tokens):
            raise _limit_reached(over[0], most[over[0]] - counted[over[0]], draft)
        await repository.count(session, day, most, draft.tokens)
        await _apply(session, adjustment, now)
    await repository.add(session, adjustment)
    await _tell(session, adjustment, "requested" if is_request else "applied", caller, now)
    return adjustment


async def approve(
    session: WriteSession, adjustment_id: str, caller: Principal, now: datetime, *, note: str
) -> Adjustment:
    """Apply a request that somebody else made; it counts towards nobody's day. Locks it, then the account.

    NotFoundError, NotPendingError, OwnRequestError, and what `adjust` refuses: the request then stays as it was.
    """
    adjustment = await _decide(session, adjustment_id, caller, now, note)
    await _apply(session, adjustment, now)
    await session.flush()
    await _tell(session, adjustment, "applied", caller, now)
    return adjustment


async def reject(
    session: WriteSession, adjustment_id: str, caller: Principal, now: datetime, *, note: str
) -> Adjustment:
    """Turn a request of somebody else down; nothing moves. Refusals as of `approve`."""
    adjustment = await _decide(session, adjustment_id, caller, now, note)
    adjustment.state = "rejected"
    await session.flush()
    await _tell(session, adjustment, "rejected", caller, now)
    return adjustment


async def _check(session: WriteSession, draft: AdjustmentDraft, caller: Principal) -> None:
    await members.get(session, draft.member_id)
    errors = list(domain.findings(draft, caller.role))
    partner = await partners.find_partner(session, draft.partner_id, caller.reach)
    # A partner that may no longer issue can still take back what it issued: the contract's rule.
    if partner is None or (draft.direction == "credit" and partner.status != "active"):
        errors.append(FieldError("/partner_id", "unknown", "There is no such active partner."))
    if errors:
        raise InvalidInputError("The adjustment is not valid.", errors=errors)


def _limit_reached(subject_id: str, left: int, draft: AdjustmentDraft) -> AdjustmentLimitError:
    whose = "of this member" if subject_id == draft.member_id else "of this person"
    return AdjustmentLimitError(f"The day {whose} has {max(0, left)} tokens left, and {draft.tokens} were asked for.")


async def _decide(session: WriteSession, adjustment_id: str, caller: Principal, now: datetime, note: str) -> Adjustment:
    adjustment = await repository.lock(session, adjustment_id, caller.reach)
    if adjustment is None:
        raise NotFoundError("There is no such adjustment.")
    state = domain.state_at(adjustment.state, adjustment.expires_at, now)
    if state != "pending_approval":
        raise NotPendingError(f"The request is {state}.")
    person = domain.person_of(caller)
    if person == adjustment.requested_by:
        raise OwnRequestError("Whoever asked does not decide: a second person must.")
    adjustment.decided_by, adjustment.decided_at, adjustment.decision_note = person, now, note
    return adjustment


async def _apply(session: WriteSession, adjustment: Adjustment, now: datetime) -> None:
    move = _credit if adjustment.direction == "credit" else _debit
    adjustment.applied_tokens = await move(session, adjustment, now)
    adjustment.state = "applied"


async def _credit(session: WriteSession, adjustment: Adjustment, now: datetime) -> int:
    """New tokens at once: no sale stands behind them that could come back."""
    if (await members.get(session, adjustment.member_id)).status != "active":
        raise MemberInactiveError("The member is blocked or has left, and is credited with nothing.")
    lives = settings.lives_of(await programs.current(session))
    credit = Credit(
        entry_id=new_id("ent", now),
        member_id=adjustment.member_id,
        partner_id=adjustment.partner_id,
        staff_id=adjustment.staff_id,
        tokens=adjustment.tokens,
        source_id=adjustment.id,
        source_reference=domain.note_digest(adjustment.id, adjustment.note),
        rule=None,
        reason_code=adjustment.reason_code,
        occurred_at=now,
        activates_at=now,
        expires_at=expiry_of(lives.expiry, now, lives.tz),
    )
    await ledger.credit(session, [credit], now)
    return adjustment.tokens


async def _debit(session: WriteSession, adjustment: Adjustment, now: datetime) -> int:
    """What of the partner's own tokens is free; those of others are not this partner's to take."""
    await ledger_repository.lock_accounts(session, [adjustment.member_id])
    lots = await ledger_repository.lots_of_issuer(session, adjustment.member_id, adjustment.partner_id)
    takes = domain.debit_takes(lots, adjustment.tokens)
    if not takes:
        raise NothingToTakeError("The member has no free tokens of this partner, and no other partner's are taken.")
    reversals = [
        Reversal(
            entry_id=new_id("ent", now),
            credit_entry_id=take.lot_entry_id,
            tokens=take.tokens,
            partner_id=adjustment.partner_id,
            staff_id=adjustment.staff_id,
            source_id=adjustment.id,
            source_reference=domain.note_digest(adjustment.id, adjustment.note),
            reason_code=adjustment.reason_code,
            occurred_at=now,
            by_hand=True,
        )
        for take in takes
    ]
    await ledger.reverse(session, reversals, now)
    return sum(take.tokens for take in takes)


async def _tell(session: WriteSession, adjustment: Adjustment, word: str, caller: Principal, now: datetime) -> None:
    said = {
        "member_id": adjustment.member_id,
        "partner_id": adjustment.partner_id,
        "direction": adjustment.direction,
        "tokens": adjustment.tokens,
        "applied_tokens": adjustment.applied_tokens,
        "reason_code": adjustment.reason_code,
        "requested_by": adjustment.requested_by,
    }
    action = f"adjustment.{word}"
    await journal.record(session, at=now, actor=caller.key_id, action=action, subject_id=adjustment.id, detail=said)
    await outbox.publish(session, [Event(action, adjustment.id, said)], now)
