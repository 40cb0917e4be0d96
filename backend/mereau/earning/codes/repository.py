"""SQL of codes: taking a use is one conditional statement, so that claims side by side take it once."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import exists, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from mereau.core.db import ReadSession, WriteSession
from mereau.earning.codes.models import CodeClaim, CodePool, EarningCode
from mereau.earning.models import EarningRule

Session = ReadSession | WriteSession

# In the order of the key, so that two uploads with common codes wait instead of deadlocking.
_ADD = text("""
    insert into earning_codes (digest, pool_id, uses_left)
    select digest, :pool_id, :uses from unnest(cast(:digests as bytea[])) as fresh (digest) order by digest
    on conflict (digest) do nothing
    returning 1
""")

_TAKE = text("""
    update earning_codes set uses_left = uses_left - 1
    from code_pools
    where earning_codes.digest = :digest and uses_left > 0
      and code_pools.id = earning_codes.pool_id and code_pools.status = 'active'
      and (valid_from is null or valid_from <= :now) and (valid_until is null or valid_until > :now)
    returning earning_codes.pool_id
""")


async def add_pool(session: WriteSession, pool: CodePool) -> bool:
    """Whether the pool is new by its external id."""
    values = {column.name: getattr(pool, column.name) for column in CodePool.__table__.columns}
    statement = insert(CodePool).values(values).on_conflict_do_nothing(index_elements=["external_id"])
    return await session.scalar(statement.returning(CodePool.id)) is not None


async def pool(session: Session, pool_id: str) -> CodePool | None:
    return await session.scalar(select(CodePool).where(CodePool.id == pool_id))


async def pools_before(session: Session, before_id: str | None, limit: int) -> Sequence[CodePool]:
    query = select(CodePool).order_by(CodePool.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(CodePool.id < before_id)
    return (await session.scalars(query)).all()


async def close(session: WriteSession, pool_id: str) -> bool:
    """Whether the pool was open."""
    statement = update(CodePool).where(CodePool.id == pool_id, CodePool.status == "active").values(status="closed")
    return await session.scalar(statement.returning(CodePool.id)) is not None


async def figures(session: Session, pool_id: str) -> tuple[int, int, int]:
    """(codes, uses left, tokens credited) of a pool."""
    codes = await session.execute(
        select(func.count(), func.coalesce(func.sum(EarningCode.uses_left), 0)).where(EarningCode.pool_id == pool_id)
    )
    count, left = codes.one()
    tokens = await session.scalar(select(func.sum(CodeClaim.tokens)).where(CodeClaim.pool_id == pool_id))
    return count, int(left), int(tokens or 0)


async def add_codes(session: WriteSession, pool_id: str, digests: Sequence[bytes], uses: int) -> int:
    """How many of the codes are new."""
    added = await session.execute(_ADD, {"pool_id": pool_id, "digests": list(digests), "uses": uses})
    return len(added.all())


async def take_use(session: WriteSession, digest: bytes, now: datetime) -> str | None:
    """The pool of the code that was used; None for whatever reason it was not."""
    pool_id: str | None = await session.scalar(_TAKE, {"digest": digest, "now": now})
    return pool_id


async def add_claim(session: WriteSession, claim: CodeClaim) -> bool:
    """Whether the member had not claimed this code before."""
    values = {column.name: getattr(claim, column.name) for column in CodeClaim.__table__.columns}
    statement = insert(CodeClaim).values(values).on_conflict_do_nothing(index_elements=["digest", "member_id"])
    return await session.scalar(statement.returning(CodeClaim.id)) is not None


async def set_tokens(session: WriteSession, claim_id: str, tokens: int) -> None:
    await session.execute(update(CodeClaim).where(CodeClaim.id == claim_id).values(tokens=tokens))


async def rule_exists(session: Session, external_id: str) -> bool:
    return bool(await session.scalar(select(exists().where(EarningRule.external_id == external_id))))
