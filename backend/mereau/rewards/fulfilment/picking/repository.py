"""SQL of pick lists."""

from collections.abc import Sequence

from sqlalchemy import func, select, text

from mereau.core.db import ReadSession, WriteSession
from mereau.rewards.fulfilment.models import Delivery, DeliveryFile, PickList

Session = ReadSession | WriteSession

# Of two workshops' hands that make a list at once, each gets parcels of its own.
_TAKE = text("""
    update deliveries set pick_list_id = :pick_list_id
    where id in (
        select id from deliveries
        where partner_id = :partner_id and state = 'ordered' and pick_list_id is null
          and cleared_at is not null and proof in ('none', 'approved')
        order by id limit :limit for update skip locked
    )
    returning id
""")


async def add(session: WriteSession, pick_list: PickList, limit: int) -> int:
    """Add a list of the partner's oldest deliveries that are ready to be prepared; how many it took."""
    session.add(pick_list)
    await session.flush()
    values = {"pick_list_id": pick_list.id, "partner_id": pick_list.partner_id, "limit": limit}
    return len((await session.execute(_TAKE, values)).all())


async def pick_list(session: Session, pick_list_id: str, partner_id: str | None) -> PickList | None:
    query = select(PickList).where(PickList.id == pick_list_id)
    if partner_id is not None:
        query = query.where(PickList.partner_id == partner_id)
    return await session.scalar(query)


async def deliveries_of(session: Session, pick_list_id: str) -> list[Delivery]:
    """What is left of a list: what was cancelled meanwhile is not picked."""
    query = select(Delivery).where(Delivery.pick_list_id == pick_list_id, Delivery.state != "cancelled")
    return list(await session.scalars(query.order_by(Delivery.id)))


async def with_logo(session: Session, delivery_ids: Sequence[str]) -> set[str]:
    """Those of the deliveries for which a logo is kept."""
    rows = await session.scalars(
        select(DeliveryFile.delivery_id).where(
            DeliveryFile.delivery_id == func.any(list(delivery_ids)), DeliveryFile.kind == "logo"
        )
    )
    return set(rows)
