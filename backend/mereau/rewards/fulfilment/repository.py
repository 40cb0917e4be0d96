"""SQL of deliveries. Lock order: deliveries by id, then redemptions and what they lock, then variants."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import delete, func, select, text

from mereau.auth.domain import Reach
from mereau.core.db import ReadSession, WriteSession
from mereau.rewards.fulfilment.domain import OPEN, Parcel, Piece
from mereau.rewards.fulfilment.models import Delivery, DeliveryFile, DeliveryLine, DeliveryRecipient
from mereau.rewards.goods.models import Goods, GoodsVariant
from mereau.rewards.models import Redemption

Session = ReadSession | WriteSession

_ADVANCE = text("""
    update deliveries
    set state = :step, changed_at = :now, carrier = coalesce(parcels.carrier, deliveries.carrier),
        tracking_number = coalesce(parcels.tracking_number, deliveries.tracking_number)
    from unnest(cast(:ids as text[]), cast(:carriers as text[]), cast(:numbers as text[]))
         as parcels (id, carrier, tracking_number)
    where deliveries.id = parcels.id
""")

_CANCEL = text("""
    update deliveries set state = 'cancelled', changed_at = :now, reason = cancelled.reason
    from unnest(cast(:ids as text[]), cast(:reasons as text[])) as cancelled (id, reason)
    where deliveries.id = cancelled.id
""")

_CLEAR = text("""
    update deliveries set cleared_at = :now
    from (
        select id from deliveries
        where redemption_id = any(cast(:redemption_ids as text[])) and cleared_at is null order by id for update
    ) as waiting
    where deliveries.id = waiting.id
    returning deliveries.id, deliveries.redemption_id
""")

# What is sent is not handed over as well: the voucher goes, and with it the day on which it would expire.
_WITHDRAW_VOUCHERS = text("""
    update redemptions set voucher_digest = null, voucher_expires_at = null
    where id = any(cast(:ids as text[])) and state = 'granted'
""")

_HONOUR = text("""
    update redemptions set state = 'used', used_at = :now, used_by_key_id = :key_id
    from (
        select id from redemptions where id = any(cast(:ids as text[])) and state = 'granted' order by id for update
    ) as granted
    where redemptions.id = granted.id
    returning redemptions.id, redemptions.member_id, redemptions.partner_id, redemptions.tokens
""")

_FORGET = text("""
    with ended as (
        select id from deliveries
        where state in ('delivered', 'returned', 'cancelled') and changed_at < :before
          and (exists (select from delivery_recipients where delivery_id = deliveries.id)
               or exists (select from delivery_files where delivery_id = deliveries.id))
        order by changed_at limit :limit
    ), files as (
        delete from delivery_files using ended where delivery_id = ended.id
    ), recipients as (
        delete from delivery_recipients using ended where delivery_id = ended.id
    )
    select count(*) from ended
""")


async def add(
    session: WriteSession,
    delivery: Delivery,
    lines: Sequence[DeliveryLine],
    recipient: DeliveryRecipient,
    logo: DeliveryFile | None,
) -> None:
    session.add(delivery)
    await session.flush()
    session.add_all([*lines, recipient, *([] if logo is None else [logo])])
    await session.flush()


async def by_reference(session: Session, member_id: str, external_id: str) -> tuple[str, str] | None:
    """(delivery id, reward id) of the redemption that a member knows under this number."""
    row = (
        await session.execute(
            select(Delivery.id, Delivery.reward_id)
            .join(Redemption, Redemption.id == Delivery.redemption_id)
            .where(Redemption.member_id == member_id, Redemption.external_id == external_id)
        )
    ).one_or_none()
    return None if row is None else (row.id, row.reward_id)


async def delivery(session: Session, delivery_id: str, reach: Reach, *, lock: bool = False) -> Delivery | None:
    """A delivery that the caller may see: their own, or one that the partner sends."""
    query = select(Delivery).where(Delivery.id == delivery_id)
    if reach.member_id is not None:
        query = query.where(Delivery.member_id == reach.member_id)
    if reach.partner_id is not None:
        query = query.where(Delivery.partner_id == reach.partner_id)
    if lock:
        query = query.with_for_update()
    return await session.scalar(query.execution_options(populate_existing=True))


async def deliveries_before(
    session: Session, before_id: str | None, limit: int, reach: Reach, state: str | None
) -> list[Delivery]:
    """The newest first."""
    query = select(Delivery).order_by(Delivery.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(Delivery.id < before_id)
    if reach.member_id is not None:
        query = query.where(Delivery.member_id == reach.member_id)
    if reach.partner_id is not None:
        query = query.where(Delivery.partner_id == reach.partner_id)
    if state is not None:
        query = query.where(Delivery.state == state)
    return list(await session.scalars(query))


async def lock_many(session: WriteSession, ids: Sequence[str], partner_id: str | None) -> dict[str, Delivery]:
    query = select(Delivery).where(Delivery.id == func.any(list(ids))).order_by(Delivery.id).with_for_update()
    if partner_id is not None:
        query = query.where(Delivery.partner_id == partner_id)
    return {row.id: row for row in await session.scalars(query.execution_options(populate_existing=True))}


async def lock_pick_list(session: WriteSession, pick_list_id: str, partner_id: str | None) -> dict[str, Delivery]:
    """The deliveries of a pick list that were not cancelled meanwhile."""
    query = (
        select(Delivery)
        .where(Delivery.pick_list_id == pick_list_id, Delivery.state != "cancelled")
        .order_by(Delivery.id)
        .with_for_update()
    )
    if partner_id is not None:
        query = query.where(Delivery.partner_id == partner_id)
    return {row.id: row for row in await session.scalars(query.execution_options(populate_existing=True))}


async def lock_open(session: WriteSession, redemption_ids: Sequence[str]) -> list[Delivery]:
    """Those of the redemptions' deliveries that have not left."""
    rows = await session.scalars(
        select(Delivery)
        .where(Delivery.redemption_id == func.any(list(redemption_ids)), Delivery.state.in_(sorted(OPEN)))
        .order_by(Delivery.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return list(rows)


async def pieces(session: Session, delivery_ids: Iterable[str]) -> dict[str, list[Piece]]:
    """Delivery id -> what is in it, line by line."""
    found: dict[str, list[Piece]] = {delivery_id: [] for delivery_id in delivery_ids}
    rows = await session.execute(
        select(
            DeliveryLine.delivery_id,
            DeliveryLine.line_number,
            GoodsVariant.id,
            Goods.id,
            Goods.external_id,
            Goods.name_fr,
            Goods.name_en,
            GoodsVariant.sku,
            GoodsVariant.size,
            GoodsVariant.colour,
            DeliveryLine.pieces,
        )
        .join(GoodsVariant, GoodsVariant.id == DeliveryLine.variant_id)
        .join(Goods, Goods.id == GoodsVariant.goods_id)
        .where(DeliveryLine.delivery_id == func.any(list(found)))
        .order_by(DeliveryLine.delivery_id, DeliveryLine.line_number)
    )
    for delivery_id, *piece in rows:
        found[delivery_id].append(Piece(*piece))
    return found


async def recipients(session: Session, delivery_ids: Sequence[str]) -> dict[str, DeliveryRecipient]:
    rows = await session.scalars(
        select(DeliveryRecipient).where(DeliveryRecipient.delivery_id == func.any(list(delivery_ids)))
    )
    return {row.delivery_id: row for row in rows}


async def logo(session: Session, delivery_id: str) -> DeliveryFile | None:
    return await session.scalar(
        select(DeliveryFile).where(DeliveryFile.delivery_id == delivery_id, DeliveryFile.kind == "logo")
    )


async def advance(session: WriteSession, parcels: Sequence[Parcel], step: str, now: datetime) -> None:
    """Let locked deliveries take a step; a carrier that is not named stays as it was."""
    await session.execute(
        _ADVANCE,
        {
            "ids": [parcel.delivery_id for parcel in parcels],
            "carriers": [parcel.carrier for parcel in parcels],
            "numbers": [parcel.tracking_number for parcel in parcels],
            "step": step,
            "now": now,
        },
    )


async def cancel(session: WriteSession, cancelled: Sequence[tuple[str, str]], now: datetime) -> None:
    """Cancel locked deliveries, each for its reason."""
    ids, reasons = zip(*cancelled, strict=True)
    await session.execute(_CANCEL, {"ids": list(ids), "reasons": list(reasons), "now": now})


async def clear(session: WriteSession, redemption_ids: Sequence[str], now: datetime) -> list[str]:
    """Note that the tokens are burned for good, and withdraw the vouchers; the deliveries' ids."""
    rows = (await session.execute(_CLEAR, {"redemption_ids": sorted(redemption_ids), "now": now})).all()
    if rows:
        await session.execute(_WITHDRAW_VOUCHERS, {"ids": sorted(row.redemption_id for row in rows)})
    return [row.id for row in rows]


async def honour(
    session: WriteSession, redemption_ids: Sequence[str], key_id: str, now: datetime
) -> dict[str, tuple[str, str, int]]:
    """Use granted redemptions; id -> (member id, partner id, tokens) of those that were granted."""
    rows = await session.execute(_HONOUR, {"ids": list(redemption_ids), "key_id": key_id, "now": now})
    return {row.id: (row.member_id, row.partner_id, row.tokens) for row in rows}


async def erase(session: WriteSession, delivery_id: str) -> None:
    """Remove what is personal of a delivery."""
    await session.execute(delete(DeliveryFile).where(DeliveryFile.delivery_id == delivery_id))
    await session.execute(delete(DeliveryRecipient).where(DeliveryRecipient.delivery_id == delivery_id))


async def forget_before(session: WriteSession, before: datetime, limit: int) -> int:
    """Remove what is personal of at most `limit` deliveries that ended before; how many they were."""
    return int((await session.execute(_FORGET, {"before": before, "limit": limit})).scalar_one())
