"""SQL of redemption codes."""

from datetime import datetime
from typing import Final

from sqlalchemy import select, text

from mereau.core.db import ReadSession, WriteSession
from mereau.rewards.models import CodeMisses

_PUT: Final = text("""
    insert into redemption_codes (member_id, digest, expires_at) values (:member_id, :digest, :expires_at)
    on conflict (member_id) do update set digest = excluded.digest, expires_at = excluded.expires_at
""")

# Found and used up in one statement: of two tills with one code, the second finds no row.
_TAKE: Final = text("""
    delete from redemption_codes where digest = :digest and expires_at > :now returning member_id
""")

_FORGET: Final = text("delete from redemption_codes where expires_at <= :now")

_MISS: Final = text("""
    insert into redemption_code_misses (key_id, since, misses) values (:key_id, :now, 1)
    on conflict (key_id) do update set
        misses = case when redemption_code_misses.since <= :window then 1 else redemption_code_misses.misses + 1 end,
        since = case when redemption_code_misses.since <= :window then excluded.since
                     else redemption_code_misses.since end
""")


async def put(session: WriteSession, member_id: str, digest: bytes, expires_at: datetime) -> None:
    """Give a member this code instead of the one before."""
    await session.execute(_PUT, {"member_id": member_id, "digest": digest, "expires_at": expires_at})


async def take(session: WriteSession, digest: bytes, now: datetime) -> str | None:
    """The member who shows this code, which is used up; None where it is unknown, used or over."""
    row = (await session.execute(_TAKE, {"digest": digest, "now": now})).first()
    return None if row is None else str(row.member_id)


async def forget(session: WriteSession, now: datetime) -> None:
    """Remove codes whose time is over."""
    await session.execute(_FORGET, {"now": now})


async def misses(session: ReadSession | WriteSession, key_id: str, since: datetime) -> int:
    """How many wrong codes the key sent in the window that began after `since`."""
    found = await session.scalar(select(CodeMisses.misses).where(CodeMisses.key_id == key_id, CodeMisses.since > since))
    return found or 0


async def miss(session: WriteSession, key_id: str, now: datetime, window: datetime) -> None:
    """Count a wrong code; a window that began at or before `window` is over."""
    await session.execute(_MISS, {"key_id": key_id, "now": now, "window": window})
