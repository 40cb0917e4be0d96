"""SQL of the catalogue."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Text, cast, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert

from mereau.core.db import ReadSession, WriteSession
from mereau.rewards.models import Reward, RewardVersion

Session = ReadSession | WriteSession

_UNFEATURED: Final = 2_147_483_647
_DIGITS: Final = 10
# A text that sorts as (position, id) do, so that one value is the cursor.
_PLACE: Final = (
    func.lpad(cast(func.coalesce(Reward.featured_position, _UNFEATURED), Text), _DIGITS, "0") + ":" + Reward.id
)

# Check and debit in one statement: of two who want the last piece, one finds no row. Also the lock under which the
# reward's counters move.
_TAKE: Final = text("""
    update rewards set stock = stock - :quantity
    where id = :id and version = :version and (stock is null or stock >= :quantity)
    returning id
""")

_GIVE_BACK: Final = text("""
    update rewards set stock = stock + back.pieces
    from (
        select id, sum(pieces) as pieces
        from unnest(cast(:ids as text[]), cast(:pieces as bigint[])) as one (id, pieces) group by id
    ) as back
    where rewards.id = back.id
""")


def place_of(reward: Reward) -> str:
    """Where a reward stands in the catalogue's order."""
    position = _UNFEATURED if reward.featured_position is None else reward.featured_position
    return f"{position:0{_DIGITS}d}:{reward.id}"


async def add(session: WriteSession, reward_id: str, values: Mapping[str, Any], now: datetime) -> bool:
    """Insert a reward; False where its external id is taken."""
    statement = (
        insert(Reward).values(id=reward_id, created_at=now, **values).on_conflict_do_nothing().returning(Reward.id)
    )
    return await session.scalar(statement) is not None


async def change(session: WriteSession, reward_id: str, version: int, values: Mapping[str, Any]) -> None:
    await session.execute(update(Reward).where(Reward.id == reward_id).values(version=version, **values))


async def add_version(
    session: WriteSession, reward_id: str, version: int, content: dict[str, object], now: datetime
) -> None:
    session.add(RewardVersion(reward_id=reward_id, version=version, content=content, created_at=now))
    await session.flush()


async def versions(session: Session, reward_id: str, after: int, limit: int) -> list[RewardVersion]:
    rows = await session.scalars(
        select(RewardVersion)
        .where(RewardVersion.reward_id == reward_id, RewardVersion.version > after)
        .order_by(RewardVersion.version)
        .limit(limit)
    )
    return list(rows)


async def find(session: Session, reward_id: str, *, lock: bool = False) -> Reward | None:
    query = select(Reward).where(Reward.id == reward_id).execution_options(populate_existing=True)
    return await session.scalar(query.with_for_update() if lock else query)


async def page(
    session: Session,
    after: str,
    limit: int,
    *,
    visible_at: datetime | None,
    status: str | None,
    partner_id: str | None,
    category: str | None,
    label: str | None,
    automatic: bool,
) -> list[Reward]:
    """Rewards in the catalogue's order from behind `after`, narrowed by what is given."""
    query = select(Reward).where(after < _PLACE).order_by(_PLACE).limit(limit)
    if visible_at is not None:
        query = query.where(
            or_(Reward.visible_from.is_(None), Reward.visible_from <= visible_at),
            or_(Reward.visible_until.is_(None), Reward.visible_until > visible_at),
        )
    if status is not None:
        query = query.where(Reward.status == status)
    if partner_id is not None:
        query = query.where(Reward.partner_id == partner_id)
    if category is not None:
        query = query.where(Reward.category == category)
    if label is not None:
        query = query.where(Reward.labels.contains([label]))
    if automatic:
        query = query.where(Reward.automatic_at_tokens.is_not(None))
    return list(await session.scalars(query.execution_options(populate_existing=True)))


async def take(session: WriteSession, reward_id: str, version: int, quantity: int) -> bool:
    """Take pieces of the reward as that version offers it; False where it has changed or has not so many left.

    Locks the reward.
    """
    found = await session.execute(_TAKE, {"id": reward_id, "version": version, "quantity": quantity})
    return found.first() is not None


async def give_back(session: WriteSession, pieces: Mapping[str, int]) -> None:
    """So many pieces back by reward id; rewards without a limit have nothing to count. Locks the rewards."""
    await session.execute(_GIVE_BACK, {"ids": list(pieces), "pieces": list(pieces.values())})
