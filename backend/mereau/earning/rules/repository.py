"""SQL of earning rules."""

from collections.abc import Sequence

from sqlalchemy import func, select, text

from mereau.core.db import ReadSession, WriteSession
from mereau.earning.models import EarningRule

# Versions are counted and rules are activated one at a time in the whole database.
_RULES_LOCK = text("select pg_advisory_xact_lock(hashtextextended('mereau.earning.rules', 0))")

_ACTIVE_KEYS = text("""
    select id, spec_digest, segment_ids from earning_rules
    where status = 'active' and trigger = :trigger order by id
""")

RuleKey = tuple[str, bytes, tuple[str, ...]]
"""What decides how a rule runs: its id, the digest of what it says, the segments that it was bound to."""


async def lock(session: WriteSession) -> None:
    await session.execute(_RULES_LOCK)


async def add(session: WriteSession, rule: EarningRule) -> None:
    session.add(rule)
    await session.flush()


async def next_version(session: WriteSession, external_id: str) -> int:
    newest = select(func.max(EarningRule.version)).where(EarningRule.external_id == external_id)
    return (await session.scalar(newest) or 0) + 1


async def by_id(session: ReadSession | WriteSession, rule_id: str) -> EarningRule | None:
    return await session.scalar(select(EarningRule).where(EarningRule.id == rule_id))


async def by_ids(session: ReadSession | WriteSession, ids: Sequence[str]) -> list[EarningRule]:
    return list(await session.scalars(select(EarningRule).where(EarningRule.id == func.any(list(ids)))))


async def active_keys(session: ReadSession | WriteSession, trigger: str) -> tuple[RuleKey, ...]:
    """Which rules are active for a trigger, in the order of their ids; small enough to ask for every sale."""
    rows = await session.execute(_ACTIVE_KEYS, {"trigger": trigger})
    return tuple((id_, bytes(digest), tuple(segment_ids)) for id_, digest, segment_ids in rows)


async def active(session: ReadSession | WriteSession, trigger: str) -> list[EarningRule]:
    rows = await session.scalars(
        select(EarningRule).where(EarningRule.status == "active", EarningRule.trigger == trigger)
    )
    return list(rows)


async def active_version(session: WriteSession, external_id: str) -> EarningRule | None:
    return await session.scalar(
        select(EarningRule).where(EarningRule.status == "active", EarningRule.external_id == external_id)
    )


async def all_versions(session: ReadSession | WriteSession) -> list[EarningRule]:
    rows = await session.scalars(select(EarningRule).order_by(EarningRule.external_id, EarningRule.version))
    return list(rows)


async def page(
    session: ReadSession,
    after_id: str | None,
    limit: int,
    *,
    status: str | None,
    trigger: str | None,
    external_id: str | None,
) -> list[EarningRule]:
    """Versions from below an id, the newest first, narrowed by what is given."""
    query = select(EarningRule).order_by(EarningRule.id.desc()).limit(limit)
    for column, value in (
        (EarningRule.status, status),
        (EarningRule.trigger, trigger),
        (EarningRule.external_id, external_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if after_id is not None:
        query = query.where(EarningRule.id < after_id)
    return list(await session.scalars(query))
