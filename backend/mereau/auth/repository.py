"""SQL of API keys and idempotency keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, delete, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from mereau.auth.domain import Reach
from mereau.auth.models import ApiKey, IdempotencyKey
from mereau.core.db import ReadSession, WriteSession

_FIND_KEY: Final = text(
    "select id, role, scopes, partner_id, staff_id, member_id, expires_at, revoked_at"
    " from api_keys where digest = :digest"
)
_CLAIM: Final = text("""
    select pg_try_advisory_xact_lock(asked.lock), kept.request_digest, kept.status, kept.body
    from unnest(cast(:locks as bigint[]), cast(:api_key_ids as text[]), cast(:keys as text[]))
        with ordinality as asked (lock, api_key_id, key, place)
    left join idempotency_keys kept on kept.api_key_id = asked.api_key_id and kept.key = asked.key
    order by asked.place
""")
# In the order of the primary key, so that two groups with common keys wait instead of deadlocking.
_KEEP: Final = text("""
    insert into idempotency_keys (api_key_id, key, request_digest, status, body)
    select * from unnest(
        cast(:api_key_ids as text[]), cast(:keys as text[]), cast(:digests as bytea[]),
        cast(:statuses as int[]), cast(:bodies as bytea[])
    ) as answer (api_key_id, key, request_digest, status, body)
    order by api_key_id, key
    on conflict do nothing returning 1
""")


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A stored key, as authentication needs it."""

    id: str
    role: str
    scopes: list[str]
    partner_id: str | None
    staff_id: str | None
    member_id: str | None
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a repeatable write answered; `replayed` where it was answered before."""

    status: int
    body: bytes
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """What is known of an idempotency key; digest and answer are None where it was never used."""

    locked: bool
    request_digest: bytes | None
    answer: Answer | None


async def find_key(session: AsyncSession, digest: bytes) -> KeyRow | None:
    row = (await session.execute(_FIND_KEY, {"digest": digest})).one_or_none()
    return None if row is None else KeyRow(*row)


async def get_key(session: AsyncSession, key_id: str, reach: Reach) -> ApiKey | None:
    return (await session.scalars(select(ApiKey).where(ApiKey.id == key_id, *_within(reach)))).one_or_none()


async def list_keys(session: ReadSession, reach: Reach, after: str | None, limit: int) -> Sequence[ApiKey]:
    """Newest first; ids sort by creation."""
    query = select(ApiKey).where(*_within(reach)).order_by(ApiKey.id.desc()).limit(limit)
    if after is not None:
        query = query.where(ApiKey.id < after)
    return (await session.scalars(query)).all()


async def revoke_key(session: WriteSession, key_id: str, now: datetime) -> None:
    """The first revocation's instant stays."""
    await session.execute(update(ApiKey).where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None)).values(revoked_at=now))


async def count_usable_operator_keys(session: AsyncSession, now: datetime) -> int:
    """Keys of operators that authenticate at `now`; locks them, so that two revocations cannot cross."""
    query = (
        select(ApiKey.id)
        .where(
            ApiKey.role == "operator",
            ApiKey.revoked_at.is_(None),
            or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now),
        )
        .order_by(ApiKey.id)
        .with_for_update()
    )
    return len((await session.scalars(query)).all())


async def claim(session: WriteSession, asked: Sequence[tuple[int, str, str]]) -> list[Claim]:
    """Lock idempotency keys until the transaction ends, and look them up, in one statement, in their order.

    `asked` are (advisory lock, API key's id, key). Never waits. The statement's snapshot may be older than a
    rival's commit; `keep` then meets the rival's row.
    """
    locks, api_key_ids, keys = zip(*asked, strict=True)
    rows = await session.execute(_CLAIM, {"locks": list(locks), "api_key_ids": list(api_key_ids), "keys": list(keys)})
    return [
        Claim(locked, digest, None if status is None or body is None else Answer(status, body, replayed=True))
        for locked, digest, status, body in rows
    ]


async def keep(session: WriteSession, answers: Sequence[tuple[str, str, bytes, int, bytes]]) -> int:
    """Store answers (API key's id, key, request digest, status, body) with their effects.

    How many were stored: fewer than given where another transaction stored one before.
    """
    api_key_ids, keys, digests, statuses, bodies = zip(*answers, strict=True)
    rows = await session.execute(
        _KEEP,
        {
            "api_key_ids": list(api_key_ids),
            "keys": list(keys),
            "digests": list(digests),
            "statuses": list(statuses),
            "bodies": list(bodies),
        },
    )
    return len(rows.all())


async def forget_before(session: WriteSession, before: datetime, limit: int) -> int:
    """Delete at most `limit` of the oldest stored answers; how many went."""
    old = (
        select(IdempotencyKey.api_key_id, IdempotencyKey.key)
        .where(IdempotencyKey.created_at < before)
        .order_by(IdempotencyKey.created_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .subquery()
    )
    gone = await session.execute(
        delete(IdempotencyKey)
        .where(IdempotencyKey.api_key_id == old.c.api_key_id, IdempotencyKey.key == old.c.key)
        .returning(IdempotencyKey.key)
    )
    return len(gone.all())


def _within(reach: Reach) -> list[ColumnElement[bool]]:
    """The owner's condition: a partner sees the keys of its own house, a member none but its own."""
    conditions: list[ColumnElement[bool]] = []
    if reach.partner_id is not None:
        conditions.append(ApiKey.partner_id == reach.partner_id)
    if reach.member_id is not None:
        conditions.append(ApiKey.member_id == reach.member_id)
    return conditions
