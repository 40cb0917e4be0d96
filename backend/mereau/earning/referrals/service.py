"""Who brought whom, what makes it count, and what undoes it."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from mereau.auth.domain import Reach
from mereau.core.codes import plain, spell
from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import FieldError, InvalidInputError, NotFoundError
from mereau.core.ids import new_id
from mereau.earning.referrals import queries, repository
from mereau.earning.referrals.domain import ATTRIBUTED_WITHIN, CODE_BITS, CODE_CHARS, refusal
from mereau.earning.referrals.errors import AttributedOtherwiseError, NotNewError
from mereau.earning.referrals.models import Referral
from mereau.earning.terms import service as terms
from mereau.journal import service as journal
from mereau.members import queries as members
from mereau.members.models import Member
from mereau.programs import service as programs

__all__ = ["attribute", "ensure_code", "referrals"]


async def ensure_code(session: WriteSession, member_id: str, now: datetime, *, partner_id: str | None = None) -> str:
    """The member's code, made where there is none.

    NotFoundError for who is not an active member, or not one whom `partner_id` enrolled.
    """
    await _active(session, member_id, partner_id)
    await repository.add_code(session, member_id, spell(secrets.randbits(CODE_BITS), CODE_CHARS), now)
    code = await repository.code_of(session, member_id)
    if code is None:
        raise AssertionError("a code that was in the way of another is there")
    return code


async def attribute(
    session: WriteSession, friend_id: str, typed: str, now: datetime, *, actor: str, partner_id: str | None = None
) -> Referral:
    """Note who brought a new member; `pending` until the friend buys, or `refused` at once.

    A refusal is kept with its reason and raises nothing: whoever tries learns of no other's mailbox. The same code
    again gives the same referral. NotFoundError for the friend; InvalidInputError for an unknown code; NotNewError
    for who joined too long ago or has bought; AttributedOtherwiseError for a second code. Attributions follow each
    other, in the whole programme.
    """
    friend = await _active(session, friend_id, partner_id)
    await repository.lock_attributions(session)
    referrer_id = await repository.owner_of(session, plain(typed))
    if referrer_id is None:
        found = FieldError("/code", "unknown", "There is no such code.")
        raise InvalidInputError("The referral is not valid.", errors=[found])
    known = await repository.of_friend(session, friend_id)
    if known is not None:
        if known.referrer_id != referrer_id:
            raise AttributedOtherwiseError("Somebody else brought this member.")
        return known
    if now > friend.created_at + ATTRIBUTED_WITHIN or await queries.has_bought(session, friend_id):
        raise NotNewError(f"Say it within {ATTRIBUTED_WITHIN.days} days of joining, and before the first purchase.")
    reason = await _refusal(session, friend_id, referrer_id)
    referral = Referral(
        id=new_id("rfl", now),
        referrer_id=referrer_id,
        referred_id=friend_id,
        state="pending" if reason is None else "refused",
        reason=reason,
        is_capped=False,
        sale_id=None,
        qualified_at=None,
        expires_at=now + timedelta(days=(await terms.current(session)).referral_within_days),
        created_at=now,
    )
    await repository.add(session, referral)
    detail = {"referrer_id": referrer_id, "referred_id": friend_id, "state": referral.state, "reason": reason}
    await journal.record(
        session, at=now, actor=actor, action="referral.attributed", subject_id=referral.id, detail=detail
    )
    return referral


async def _active(session: WriteSession, member_id: str, partner_id: str | None) -> Member:
    member = await members.find_member(session, member_id, Reach(partner_id=partner_id))
    if member is None or member.status != "active":
        raise NotFoundError("There is no such member.")
    return member


async def _refusal(session: WriteSession, friend_id: str, referrer_id: str) -> str | None:
    zone = ZoneInfo((await programs.current(session)).time_zone)
    line = await repository.line_above(session, referrer_id)
    people = await queries.people(session, [friend_id, *line], zone)
    friend = people[friend_id]
    return refusal(
        friend,
        [people[member_id] for member_id in line],
        has_other_account=await queries.has_other_account(session, friend),
    )


async def referrals(
    session: ReadSession | WriteSession,
    referrer_id: str | None,
    state: str | None,
    before_id: str | None,
    limit: int,
) -> Sequence[Referral]:
    """Referrals, the newest first; one member's alone where they are named."""
    return await repository.before(session, referrer_id, state, before_id, limit)
