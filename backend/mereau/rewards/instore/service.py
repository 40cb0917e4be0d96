"""Codes for the till: drawn for a member, taken once by staff."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime

from mereau.core.db import WriteSession
from mereau.core.errors import TooManyRequestsError
from mereau.journal import service as journal
from mereau.members import service as members
from mereau.rewards import service as rewards
from mereau.rewards.instore import domain, repository
from mereau.rewards.instore.errors import UnknownCodeError
from mereau.rewards.models import Redemption
from mereau.rewards.service import Stockroom, Wish


@dataclass(frozen=True, slots=True)
class DrawnCode:
    """A code, shown this once; only its digest is kept."""

    member_id: str
    code: str
    expires_at: datetime


async def draw_code(session: WriteSession, member_id: str, secret: bytes, now: datetime) -> DrawnCode:
    """A new code for the member, which ends the one before. NotFoundError where there is no such member."""
    await members.get(session, member_id)
    await repository.forget(session, now)
    code = domain.code_text(secrets.token_bytes(domain.RANDOM_BYTES))
    digest = domain.code_digest(secret, code)
    if digest is None:
        raise ValueError("a drawn code is always a code")
    expires_at = now + domain.LIFE
    await repository.put(session, member_id, digest, expires_at)
    await journal.record(
        session,
        at=now,
        actor=f"member:{member_id}",
        action="redemption_code.drawn",
        subject_id=member_id,
        detail={"expires_at": expires_at.isoformat()},
    )
    return DrawnCode(member_id, code, expires_at)


async def redeem_with_code(
    session: WriteSession,
    code: str,
    wish: Wish,
    secret: bytes,
    now: datetime,
    *,
    key_id: str,
    stockroom: Stockroom | None = None,
) -> Redemption:
    """Redeem for the member who shows the code; `wish.member_id` is filled in. The code is used up with it.

    UnknownCodeError for a code that is wrong, used or over: the caller counts it by `count_miss` in another
    transaction, since this one is rolled back. TooManyRequestsError where the key sent too many of them. What
    `rewards.redeem` refuses leaves the code as it was.
    """
    if await repository.misses(session, key_id, now - domain.MISSES_WINDOW) >= domain.MISSES_MAX:
        wait_s = int(domain.MISSES_WINDOW.total_seconds())
        raise TooManyRequestsError("Too many wrong codes. Wait some minutes.", retry_after_s=wait_s)
    digest = domain.code_digest(secret, code)
    member_id = None if digest is None else await repository.take(session, digest, now)
    if member_id is None:
        raise UnknownCodeError("There is no such code.")
    return await rewards.redeem(
        session, replace(wish, member_id=member_id), now, stockroom=stockroom, actor=f"key:{key_id}"
    )


async def count_miss(session: WriteSession, key_id: str, now: datetime) -> None:
    """Remember that this key sent a wrong code."""
    await repository.miss(session, key_id, now, now - domain.MISSES_WINDOW)
