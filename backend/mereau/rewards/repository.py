"""SQL of redemptions. Lock order: redemption, then the ledger's account, then reward, then counters."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from mereau.core.db import ReadSession, WriteSession, copy_rows
from mereau.rewards.models import DrawEntry, Redemption, Ticket

Session = ReadSession | WriteSession

_BURNING = text("""
    select redemptions.id, redemptions.entry_id, redemptions.reward_id, redemptions.member_id, redemptions.kind,
           redemptions.quantity, redemptions.promise, redemptions.counted, rewards.validity_days
    from redemptions join rewards on rewards.id = redemptions.reward_id
    where redemptions.entry_id = any(cast(:entry_ids as text[])) and redemptions.state = 'burning'
    order by redemptions.id
    for update of redemptions
""")

_GRANT = text("""
    update redemptions
    set state = granted.state, voucher_digest = granted.digest, voucher_expires_at = granted.expires_at,
        granted_at = :now, used_at = case when granted.state = 'used' then cast(:now as timestamptz) end
    from unnest(
        cast(:ids as text[]), cast(:states as text[]), cast(:digests as bytea[]), cast(:expiries as timestamptz[])
    ) as granted (id, state, digest, expires_at)
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
    kind: str
    quantity: int
    promise: dict[str, object]
    counted: list[list[str]]
    validity_days: int


@dataclass(frozen=True, slots=True)
class Grant:
    """What becomes of a redemption whose burn is final: a voucher, or nothing left to do (`used`)."""

    redemption_id: str
    state: str
    digest: bytes | None
    expires_at: datetime | None


async def add_redemption(session: WriteSession, redemption: Redemption) -> bool:
    """Insert a redemption; False where the member's reference is taken by now."""
    values = {column.key: getattr(redemption, column.key) for column in Redemption.__table__.columns}
    statement = insert(Redemption).values(values).on_conflict_do_nothing().returning(Redemption.id)
    return await session.scalar(statement) is not None


async def add_tickets(session: WriteSession, redemption_id: str, names: Sequence[str]) -> None:
    rows = ((redemption_id, number, name) for number, name in enumerate(names, 1))
    await copy_rows(session, Ticket, ("redemption_id", "number", "holder_name"), rows)


async def tickets(session: Session, redemption_id: str) -> list[str]:
    """The names on the tickets of a redemption, in their order."""
    rows = await session.scalars(
        select(Ticket.holder_name).where(Ticket.redemption_id == redemption_id).order_by(Ticket.number)
    )
    return list(rows)


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


async def redemptions_of(session: Session, member_id: str, before_id: str | None, limit: int) -> list[Redemption]:
    """A member's redemptions, the newest first."""
    query = select(Redemption).where(Redemption.member_id == member_id).order_by(Redemption.id.desc()).limit(limit)
    return list(await session.scalars(query if before_id is None else query.where(Redemption.id < before_id)))


async def granted_of(session: Session, member_id: str, kinds: Sequence[str], now: datetime) -> list[Redemption]:
    """A member's redemptions of these kinds that are granted and not over, the oldest first."""
    rows = await session.scalars(
        select(Redemption)
        .where(
            Redemption.member_id == member_id,
            Redemption.state == "granted",
            Redemption.kind.in_(kinds),
            Redemption.voucher_expires_at > now,
        )
        .order_by(Redemption.id)
    )
    return list(rows)


async def with_reference(session: Session, external_id: str, member_ids: Sequence[str]) -> set[str]:
    """Those of the members that have a redemption of this reference."""
    rows = await session.scalars(
        select(Redemption.member_id).where(Redemption.external_id == external_id, Redemption.member_id.in_(member_ids))
    )
    return set(rows)


async def burning(session: WriteSession, entry_ids: Sequence[str]) -> list[Burning]:
    """Those of the entries' redemptions that wait for their burn, locked."""
    rows = await session.execute(_BURNING, {"entry_ids": list(entry_ids)})
    return [Burning(*row) for row in rows]


async def grant(session: WriteSession, grants: Sequence[Grant], now: datetime) -> None:
    await session.execute(
        _GRANT,
        {
            "ids": [grant.redemption_id for grant in grants],
            "states": [grant.state for grant in grants],
            "digests": [grant.digest for grant in grants],
            "expiries": [grant.expires_at for grant in grants],
            "now": now,
        },
    )


async def add_draw_entries(session: WriteSession, items: Sequence[Burning], now: datetime) -> None:
    """Record what granted redemptions of this kind promised."""
    if items:
        rows = ((item.id, item.promise["draw"], item.member_id, item.promise["entries"], now) for item in items)
        await copy_rows(session, DrawEntry, ("redemption_id", "draw", "member_id", "entries", "created_at"), rows)


async def reject(session: WriteSession, rejected: Sequence[tuple[str, str]]) -> None:
    ids, reasons = zip(*rejected, strict=True)
    await session.execute(_REJECT, {"ids": list(ids), "reasons": list(reasons)})


async def expire(session: WriteSession, now: datetime, limit: int) -> list[tuple[str, str, str]]:
    """Expire vouchers whose time is over; their redemption, member and reward ids."""
    rows = await session.execute(_EXPIRE, {"now": now, "limit": limit})
    return [(row.id, row.member_id, row.reward_id) for row in rows]
