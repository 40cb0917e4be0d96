"""SQL of uploaded codes."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import func, select, text

from mereau.core.db import ReadSession, WriteSession
from mereau.rewards.models import PoolCode

_ADD: Final = text("""
    insert into reward_codes (reward_id, code)
    select :reward_id, code from unnest(cast(:codes as text[])) with ordinality as one (code, place) order by place
    on conflict (reward_id, code) do nothing
    returning seq
""")

# The caller holds the reward's lock, so nobody else draws meanwhile.
_DRAW: Final = text("""
    update reward_codes set redemption_id = :redemption_id
    where seq in (
        select seq from reward_codes where reward_id = :reward_id and redemption_id is null
        order by seq limit :quantity
    )
    returning seq
""")

_GIVE_BACK: Final = text("""
    update reward_codes set redemption_id = null where redemption_id = any(cast(:redemption_ids as text[]))
""")


async def add(session: WriteSession, reward_id: str, codes: Sequence[str]) -> int:
    """Add codes to a reward's pool; how many were new."""
    return len((await session.execute(_ADD, {"reward_id": reward_id, "codes": list(codes)})).all())


async def draw(session: WriteSession, reward_id: str, redemption_id: str, quantity: int) -> int:
    """Give a redemption so many free codes; how many there were."""
    found = await session.execute(_DRAW, {"reward_id": reward_id, "redemption_id": redemption_id, "quantity": quantity})
    return len(found.all())


async def give_back(session: WriteSession, redemption_ids: Sequence[str]) -> None:
    """Free the codes of redemptions that nobody was shown."""
    await session.execute(_GIVE_BACK, {"redemption_ids": list(redemption_ids)})


async def codes_of(session: ReadSession | WriteSession, redemption_id: str) -> list[str]:
    rows = await session.scalars(
        select(PoolCode.code).where(PoolCode.redemption_id == redemption_id).order_by(PoolCode.seq)
    )
    return list(rows)


async def free(session: ReadSession | WriteSession, reward_ids: Sequence[str]) -> dict[str, int]:
    """Reward id -> how many codes are left; rewards without any are absent."""
    rows = await session.execute(
        select(PoolCode.reward_id, func.count().label("pieces"))
        .where(PoolCode.reward_id.in_(reward_ids), PoolCode.redemption_id.is_(None))
        .group_by(PoolCode.reward_id)
    )
    return {row.reward_id: row.pieces for row in rows}
