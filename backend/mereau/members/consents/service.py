"""Recording consents. Nothing recorded is ever changed: what counts is what was said last."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import ConflictError, FieldError, InvalidInputError, NotFoundError
from mereau.core.ids import new_id
from mereau.journal import service as journal
from mereau.members.consents import repository
from mereau.members.consents.domain import ConsentDraft
from mereau.members.models import Consent
from mereau.members.profile import repository as profiles
from mereau.outbox import service as outbox
from mereau.outbox.service import Event

_CLOCK_SKEW_MAX: Final = timedelta(minutes=10)


async def record(
    session: WriteSession,
    member_id: str,
    draft: ConsentDraft,
    now: datetime,
    *,
    actor: str,
    partner_id: str | None = None,
) -> tuple[Consent, bool]:
    """Record what a member said; the record, and whether it is new. The same again gives the record that there is.

    Announces `consent.given` or `consent.withdrawn` where it changes what counts, and not where it is history.
    NotFoundError for an unknown member, or one whom `partner_id` did not enrol; ConflictError where another record
    of this kind stands at the same instant. Locks the member's row.
    """
    if draft.occurred_at > now + _CLOCK_SKEW_MAX:
        found = FieldError("/occurred_at", "future", "Must not lie in the future.")
        raise InvalidInputError("The consent is not valid.", errors=[found])
    member = await profiles.lock_member(session, member_id, partner_id)
    if member is None or member.status == "deleted":
        raise NotFoundError("There is no such member.")
    known = await repository.at(session, member_id, draft.kind, draft.occurred_at)
    if known is not None:
        if (known.state, known.source, known.text_version) != (draft.state, draft.source, draft.text_version):
            raise ConflictError("Something else was recorded of this kind at this instant.")
        return known, False
    before = await repository.latest(session, member_id, draft.kind)
    consent = Consent(
        id=new_id("cst", now),
        member_id=member_id,
        kind=draft.kind,
        state=draft.state,
        occurred_at=draft.occurred_at,
        source=draft.source,
        text_version=draft.text_version,
        recorded_by=actor,
        created_at=now,
    )
    await repository.add(session, consent)
    detail = {"kind": draft.kind, "state": draft.state, "text_version": draft.text_version, "source": draft.source}
    await journal.record(session, at=now, actor=actor, action="consent.recorded", subject_id=member_id, detail=detail)
    if _changes(before, draft):
        payload = {"kind": draft.kind, "consent_id": consent.id, "occurred_at": draft.occurred_at.isoformat()}
        await outbox.publish(session, [Event(f"consent.{draft.state}", member_id, payload)], now)
    return consent, True


def _changes(before: Consent | None, draft: ConsentDraft) -> bool:
    """Whether what counts is another state than before; never to have said yes is no."""
    if before is None:
        return draft.state == "given"
    return draft.occurred_at > before.occurred_at and draft.state != before.state


async def current(session: ReadSession | WriteSession, member_id: str) -> Sequence[Consent]:
    """The record that counts of each kind that anything was said of."""
    return await repository.current(session, member_id)


async def history(
    session: ReadSession | WriteSession, member_id: str, before_id: str | None, limit: int
) -> Sequence[Consent]:
    """All records, the last handed in first, from the one before `before_id` on."""
    return await repository.before(session, member_id, before_id, limit)
