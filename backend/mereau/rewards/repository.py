"""SQL of rewards and redemptions. Lock order: redemption, then the ledger's account, then reward."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert

from mereau.core.db import ReadSession, WriteSession
from mereau.rewards.models import Redemption, Reward

Session = ReadSession | WriteSession

# Check and debit in one statement: of two who want the last piece, one finds no row.
_TAKE_ONE = text("""
    update rewards set stock = stock - 1
    where id = :id and status = 'active' and (stock is null or stock > 0)
    returning id
""")

_GIVE_BACK = text("""
    update rewards set stock = stock + back.pieces
    from (select id, count(*) as pieces from unnest(cast(:ids as text[])) as one (id) group by id) as back
    where rewards.id = back.id and stock is not null
""")

_BURNING = text("""
    select redemptions.id, redemptions.entry_id, redemptions.reward_id, redemptions.member_id,
           redemptions.partner_id, rewards.validity_days
    from redemptions join rewards on rewards.id = redemptions.reward_id
    where redemptions.entry_id = any(cast(:entry_ids as text[])) and redemptions.state = 'burning'
    order by redemptions.id
    for update of redemptions
""")

_GRANT = text("""
    update redemptions
    set state = 'granted', voucher_digest = granted.digest, voucher_expires_at = granted.expires_at
    from unnest(cast(:ids as text[]), cast(:digests as bytea[]), cast(:expiries as timestamptz[]))
         as granted (id, digest, expires_at)
    where redemptions.id = granted.id
""")

_REJECT = text("""
    update redemptions set state = 'rejected', reason = rejected.reason
    from unnest(cast(:ids as text[]), cast(:reasons as text[])) as rejected (id, reason)
    where redemptions.id = rejected.id
""")

_EXPIRE = text("""
    update redemptions set state = 'expired'
    where id in (
        select id from redemptions where state = 'granted' and voucher_expires_at <= :now
        order by id limit :limit for update skip locked
    )
    returning id, member_id, reward_id
""")


@dataclass(frozen=True, slots=True)
class Burning:
    """A redemption whose burn is ordered; its row is locked."""

    id: str
    entry_id: str
    reward_id: str
    member_id: str
    partner_id: str
    validity_days: int


async def add_reward(session: WriteSession, reward: Reward) -> bool:
    """Insert a reward; False where its external id is taken."""
    values = {column.key: getattr(reward, column.key) for column in Reward.__table__.columns}
    statement = insert(Reward).values(values).on_conflict_do_nothing().returning(Reward.id)
    return await session.scalar(statement) is not None


async def reward(session: Session, reward_id: str) -> Reward | None:
    return await session.scalar(select(Reward).where(Reward.id == reward_id).execution_options(populate_existing=True))


async def rewards_after(
    session: Session, after_id: str, limit: int, *, status: str | None, partner_id: str | None
) -> list[Reward]:
    query = select(Reward).where(Reward.id > after_id).order_by(Reward.id).limit(limit)
    if status is not None:
        query = query.where(Reward.status == status)
    if partner_id is not None:
        query = query.where(Reward.partner_id == partner_id)
    return list(await session.scalars(query.execution_options(populate_existing=True)))


async def set_status(session: WriteSession, reward_id: str, status: str) -> None:
    await session.execute(update(Reward).where(Reward.id == reward_id).values(status=status))


async def take_one(session: WriteSession, reward_id: str) -> bool:
    """Take a piece from the stock of an active reward; False where there is none. Locks the reward."""
    return (await session.execute(_TAKE_ONE, {"id": reward_id})).first() is not None


async def give_back(session: WriteSession, reward_ids: Sequence[str]) -> None:
    """One piece back per mention; rewards without a limit have nothing to count."""
    await session.execute(_GIVE_BACK, {"ids": sorted(reward_ids)})


async def add_redemption(session: WriteSession, redemption: Redemption) -> bool:
    """Insert a redemption; False where the member's reference is taken by now."""
    values = {column.key: getattr(redemption, column.key) for column in Redemption.__table__.columns}
    statement = insert(Redemption).values(values).on_conflict_do_nothing().returning(Redemption.id)
    return await session.scalar(statement) is not None


async def by_reference(session: Session, member_id: str, external_id: str) -> Redemption | None:
    return await session.scalar(
        select(Redemption).where(Redemption.member_id == member_id, Redemption.external_id == external_id)
    )


async def redemption(
    session: Session,
    *,
    redemption_id: str | None = None,
    digest: bytes | None = None,
    member_id: str | None = None,
    partner_id: str | None = None,
    lock: bool = False,
) -> Redemption | None:
    """The redemption that fits everything that is given; at least an id or a voucher's digest must be."""
    query = select(Redemption)
    if redemption_id is None and digest is None:
        raise ValueError("a redemption is looked up by its id or its voucher")
    if redemption_id is not None:
        query = query.where(Redemption.id == redemption_id)
    if digest is not None:
        query = query.where(Redemption.voucher_digest == digest)
    if member_id is not None:
        query = query.where(Redemption.member_id == member_id)
    if partner_id is not None:
        query = query.where(Redemption.partner_id == partner_id)
    if lock:
        query = query.with_for_update()
    return await session.scalar(query.execution_options(populate_existing=True))


async def burning(session: WriteSession, entry_ids: Sequence[str]) -> list[Burning]:
    """Those of the entries' redemptions that wait for their burn, locked."""
    rows = await session.execute(_BURNING, {"entry_ids": list(entry_ids)})
    return [Burning(*row) for row in rows]


async def grant(session: WriteSession, granted: Sequence[tuple[str, bytes, datetime]]) -> None:
    ids, digests, expiries = zip(*granted, strict=True)
    await session.execute(_GRANT, {"ids": list(ids), "digests": list(digests), "expiries": list(expiries)})


async def reject(session: WriteSession, rejected: Sequence[tuple[str, str]]) -> None:
    ids, reasons = zip(*rejected, strict=True)
    await session.execute(_REJECT, {"ids": list(ids), "reasons": list(reasons)})


async def expire(session: WriteSession, now: datetime, limit: int) -> list[tuple[str, str, str]]:
    """Expire vouchers whose time is over; their redemption, member and reward ids."""
    rows = await session.execute(_EXPIRE, {"now": now, "limit": limit})
    return [(row.id, row.member_id, row.reward_id) for row in rows]
