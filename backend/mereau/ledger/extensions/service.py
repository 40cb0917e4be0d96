"""Extending the life of a member's tokens: an entry with a reason, never a silent edit."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mereau.core.db import WriteSession
from mereau.core.errors import ConflictError, FieldError, InvalidInputError
from mereau.core.ids import new_id
from mereau.journal import service as journal
from mereau.ledger import events
from mereau.ledger import repository as ledger
from mereau.ledger.domain import EntryKind, Line
from mereau.ledger.extensions import repository
from mereau.ledger.posting import service as posting
from mereau.members import service as members
from mereau.outbox import service as outbox
from mereau.wallets import service as wallets

AHEAD_MAX: Final = timedelta(days=3_660)


@dataclass(frozen=True, slots=True)
class Extended:
    """The entry, and how many lots and tokens live until `until` now."""

    entry_id: str
    lots: int
    tokens: int
    until: datetime


async def extend(
    session: WriteSession, member_id: str, until: datetime, reason_code: str, now: datetime, *, actor: str
) -> Extended:
    """Let every active lot of the member live until an instant, where it would expire earlier; none is shortened.

    Locks the account. NotFoundError for no such member; InvalidInputError for an instant that has passed or
    lies beyond ten years; ConflictError where nothing would expire earlier. Nothing goes on chain: the contract
    guarantees a shorter life than the lot's, and the public record keeps the date that it was issued with.
    """
    await members.get(session, member_id)
    if not now < until <= now + AHEAD_MAX:
        found = FieldError("/until", "out_of_range", "Must lie ahead, by ten years at most.")
        raise InvalidInputError("The extension is not valid.", errors=[found])
    addresses = await wallets.ensure_member_wallets(session, [member_id], now)
    await ledger.lock_accounts(session, [member_id])
    affected = await repository.extensible(session, member_id, until)
    if not affected.lots:
        raise ConflictError("The member has no active tokens that expire before.")
    line = _line(member_id, addresses[member_id], affected.tokens, reason_code, now)
    await ledger.add_entries(session, [line], now)
    await repository.extend(session, line.id, member_id, until)
    await outbox.publish(session, events.entry_events([line]), now)
    detail = {"member_id": member_id, "until": until.isoformat(), "lots": affected.lots, "reason_code": reason_code}
    await journal.record(session, at=now, actor=actor, action="lots.extended", subject_id=line.id, detail=detail)
    return Extended(line.id, affected.lots, affected.tokens, until)


def _line(member_id: str, wallet: bytes, tokens: int, reason_code: str, now: datetime) -> Line:
    document_salt, record_salt = posting.new_salts()
    entry_id = new_id("ent", now)
    return Line(
        id=entry_id,
        member_id=member_id,
        partner_id=None,
        staff_id=None,
        kind=EntryKind.EXTEND,
        state="accepted",
        tokens=tokens,
        source_id=entry_id,
        source_reference=entry_id,
        rule=None,
        reason_code=reason_code,
        wallet=wallet,
        document_salt=document_salt,
        record_salt=record_salt,
        occurred_at=now,
        activates_at=now,
    )
