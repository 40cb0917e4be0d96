"""Enrolling and finding members."""

from collections.abc import Sequence
from datetime import datetime

from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import FieldError, InvalidInputError, NotFoundError
from mereau.core.ids import new_id
from mereau.members import repository
from mereau.members.domain import MemberDraft
from mereau.members.models import Member
from mereau.outbox import service as outbox
from mereau.outbox.service import Event

__all__ = ["MemberDraft", "enrol", "ensure_members", "find_by_external_id", "get"]


async def ensure_members(session: WriteSession, drafts: Sequence[MemberDraft], now: datetime) -> dict[str, str]:
    """External id -> member id for every draft; those unknown are enrolled, the others left as they are.

    A constant number of statements however many drafts. Of drafts with one external id, the first counts.
    """
    first: dict[str, MemberDraft] = {}
    for i, draft in enumerate(drafts):
        if not draft.external_id.strip():
            error = FieldError(f"/{i}/external_id", "empty", "Must not be empty.")
            raise InvalidInputError("A member needs an external id.", errors=[error])
        first.setdefault(draft.external_id, draft)
    known = await repository.ids_by_external_id(session, list(first))
    missing = [(new_id("mem", now), draft) for key, draft in first.items() if key not in known]
    if not missing:
        return known
    enrolled = await repository.insert_missing(session, missing, now)
    events = [Event("member.enrolled", id_, {"external_id": key}) for key, id_ in enrolled.items()]
    await outbox.publish(session, events, now)
    # Whom somebody else enrolled in the meantime is visible now: the insert waited for them.
    overtaken = [draft.external_id for _, draft in missing if draft.external_id not in enrolled]
    return known | enrolled | await repository.ids_by_external_id(session, overtaken)


async def enrol(session: WriteSession, drafts: Sequence[MemberDraft], now: datetime) -> list[Member]:
    """The members of the drafts, in their order, enrolled where they were not; idempotent by external id."""
    ids = await ensure_members(session, drafts, now)
    members = await repository.by_ids(session, list(ids.values()))
    return [members[ids[draft.external_id]] for draft in drafts]


async def get(session: ReadSession | WriteSession, member_id: str) -> Member:
    """The member; NotFoundError where there is none."""
    member = (await repository.by_ids(session, [member_id])).get(member_id)
    if member is None:
        raise NotFoundError("There is no such member.")
    return member


async def find_by_external_id(session: ReadSession | WriteSession, external_id: str) -> Member | None:
    """The member whom the caller's systems know under this number."""
    return await repository.by_external_id(session, external_id)
