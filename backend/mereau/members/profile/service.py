"""Changing what a member tells of themselves, blocking, and completeness."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import ConflictError, FieldError, InvalidInputError, NotFoundError
from mereau.journal import service as journal
from mereau.members.errors import BirthDateLockedError
from mereau.members.identity.domain import email_key
from mereau.members.models import Member
from mereau.members.profile import repository
from mereau.members.profile.domain import (
    BlockReason,
    ChangeReason,
    Profile,
    birth_date_locked_until,
    missing_fields,
)
from mereau.outbox import service as outbox
from mereau.outbox.service import Event

__all__ = ["Edit", "block", "change", "complete_members", "missing", "require_fields", "required_fields", "unblock"]


@dataclass(frozen=True, slots=True)
class Edit:
    """Fields to set, by the names of the member's columns; those absent stay.

    `reason` overrides the year that a birth date is locked for: only operators give one.
    """

    values: Mapping[str, object]
    actor: str
    reason: ChangeReason | None = None


async def change(
    session: WriteSession, member_id: str, edit: Edit, now: datetime, *, partner_id: str | None = None
) -> Member:
    """Change a profile; the member after it. Saying what stands already changes nothing.

    NotFoundError for an unknown member, or one whom `partner_id` did not enrol; BirthDateLockedError says until
    when. Locks the member's row.
    """
    member = await repository.lock_member(session, member_id, partner_id)
    if member is None or member.status == "deleted":
        raise NotFoundError("There is no such member.")
    changed = sorted(name for name, value in edit.values.items() if getattr(member, name) != value)
    if not changed:
        return member
    if "birth_date" in changed:
        _change_birth_date(member, edit, now)
    for name in changed:
        setattr(member, name, edit.values[name])
    if "email" in changed:
        member.email_key = None if member.email is None else email_key(member.email)
    await session.flush()
    detail: dict[str, object] = {"fields": changed}
    if edit.reason is not None:
        detail["reason"] = edit.reason
    await journal.record(
        session, at=now, actor=edit.actor, action="member.changed", subject_id=member_id, detail=detail
    )
    await outbox.publish(session, [Event("member.changed", member_id, {"fields": changed})], now)
    return member


def _change_birth_date(member: Member, edit: Edit, now: datetime) -> None:
    after = edit.values["birth_date"]
    if isinstance(after, date) and after > now.date():
        found = FieldError("/birth_date", "future", "Must not lie in the future.")
        raise InvalidInputError("The profile is not valid.", errors=[found])
    until = birth_date_locked_until(
        member.birth_date, after if isinstance(after, date) else None, member.birth_date_set_at, now
    )
    if until is not None and edit.reason is None:
        raise BirthDateLockedError(
            f"It may be changed from {until:%Y-%m-%d} on, or earlier by an operator with a reason.",
            errors=[FieldError("/birth_date", "locked", f"Locked until {until:%Y-%m-%d}.")],
        )
    member.birth_date_set_at = now


async def block(session: WriteSession, member_id: str, reason: BlockReason, now: datetime, *, actor: str) -> Member:
    """Keep a member from earning and redeeming; what they have stays theirs. Idempotent. Locks the member."""
    return await _set_status(session, member_id, "blocked", reason, now, actor)


async def unblock(session: WriteSession, member_id: str, reason: BlockReason, now: datetime, *, actor: str) -> Member:
    """Let a blocked member earn and redeem again; idempotent. Locks the member."""
    return await _set_status(session, member_id, "active", reason, now, actor)


async def _set_status(
    session: WriteSession, member_id: str, status: str, reason: BlockReason, now: datetime, actor: str
) -> Member:
    member = await repository.lock_member(session, member_id, None)
    if member is None:
        raise NotFoundError("There is no such member.")
    if member.status == "deleted":
        raise ConflictError("The member has left.")
    if member.status == status:
        return member
    member.status = status
    member.blocked_reason = reason if status == "blocked" else None
    await session.flush()
    action = "member.blocked" if status == "blocked" else "member.unblocked"
    await journal.record(session, at=now, actor=actor, action=action, subject_id=member_id, detail={"reason": reason})
    await outbox.publish(session, [Event(action, member_id, {"reason": reason})], now)
    return member


async def required_fields(session: ReadSession | WriteSession) -> list[str]:
    """The fields of a complete profile; none where the programme asks for nothing."""
    return await repository.required_fields(session)


async def require_fields(session: WriteSession, fields: Sequence[str], now: datetime, *, actor: str) -> None:
    """Say which fields make a profile complete. Who is paid for a complete profile is so once, whatever changes."""
    wanted = sorted(set(fields))
    if wanted == await repository.required_fields(session):
        return
    await repository.replace_required_fields(session, wanted)
    await journal.record(
        session,
        at=now,
        actor=actor,
        action="profile_requirements.changed",
        subject_id="profile_requirements",
        detail={"fields": wanted},
    )


async def missing(session: ReadSession | WriteSession, member: Member) -> list[str]:
    """The required fields that this member has not filled."""
    profile = Profile(member.display_name, member.email, member.phone, member.birth_date, member.attributes)
    return missing_fields(profile, await repository.required_fields(session))


async def complete_members(session: ReadSession | WriteSession, member_ids: Sequence[str]) -> set[str]:
    """Those of the members whose profile is complete; nobody's is where nothing is required."""
    required = await repository.required_fields(session)
    return await repository.complete_among(session, member_ids, required) if required and member_ids else set()
