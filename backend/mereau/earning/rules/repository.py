"""SQL of earning rules."""

from sqlalchemy import func, select, text, update

from mereau.core.db import ReadSession, WriteSession
from mereau.earning.models import EarningRule

# Versions are counted and rules are activated one at a time in the whole database.
_RULES_LOCK = text("select pg_advisory_xact_lock(hashtextextended('mereau.earning.rules', 0))")


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


async def active(session: ReadSession | WriteSession) -> EarningRule | None:
    return await session.scalar(select(EarningRule).where(EarningRule.status == "active"))


async def deactivate_active(session: WriteSession) -> None:
    await session.execute(update(EarningRule).where(EarningRule.status == "active").values(status="inactive"))


async def all_versions(session: ReadSession | WriteSession) -> list[EarningRule]:
    rows = await session.scalars(select(EarningRule).order_by(EarningRule.external_id, EarningRule.version))
    return list(rows)
