"""SQL of objects. Their deliveries are locked before them."""

from datetime import datetime

from sqlalchemy import exists, select, text, update

from mereau.core.db import ReadSession, WriteSession
from mereau.rewards.fulfilment.domain import OUT
from mereau.rewards.fulfilment.models import Delivery, DeliveryLine
from mereau.rewards.goods.models import Goods, GoodsVariant
from mereau.rewards.objects.domain import GoodsFigures, Outcome, Story
from mereau.rewards.objects.models import GoodsObject

Session = ReadSession | WriteSession

_FIGURES = text("""
    select goods.id, goods.external_id,
        coalesce(moved.shipped, 0)::bigint, coalesce(moved.returned, 0)::bigint, coalesce(made.activated, 0),
        coalesce(made.reused, 0), coalesce(made.recycled, 0), coalesce(made.upcycled, 0), coalesce(made.discarded, 0)
    from goods
    left join (
        select goods_variants.goods_id,
            -sum(on_hand_change) filter (where kind = 'shipped') as shipped,
            sum(on_hand_change) filter (where kind = 'returned') as returned
        from goods_movements join goods_variants on goods_variants.id = goods_movements.variant_id
        where at >= :since and at < :until
        group by goods_variants.goods_id
    ) as moved on moved.goods_id = goods.id
    left join (
        select goods_variants.goods_id,
            count(*) filter (where was_activated) as activated,
            count(*) filter (where outcome = 'reused') as reused,
            count(*) filter (where outcome = 'recycled') as recycled,
            count(*) filter (where outcome = 'upcycled') as upcycled,
            count(*) filter (where outcome = 'discarded') as discarded
        from (
            select variant_id, activated_at >= :since and activated_at < :until as was_activated,
                case when taken_back_at >= :since and taken_back_at < :until then outcome end as outcome
            from goods_objects
        ) as seen join goods_variants on goods_variants.id = seen.variant_id
        group by goods_variants.goods_id
    ) as made on made.goods_id = goods.id
    where cast(:partner_id as text) is null or goods.partner_id = :partner_id
    order by goods.id
""")


async def line_of(session: Session, delivery_id: str, line_number: int) -> tuple[str, int] | None:
    """(variant id, pieces) of a delivery's line."""
    row = (
        await session.execute(
            select(DeliveryLine.variant_id, DeliveryLine.pieces).where(
                DeliveryLine.delivery_id == delivery_id, DeliveryLine.line_number == line_number
            )
        )
    ).one_or_none()
    return None if row is None else (row.variant_id, row.pieces)


async def is_marked(session: Session, delivery_id: str, line_number: int) -> bool:
    """Whether the pieces of a line have their codes."""
    marked = select(GoodsObject.id).where(
        GoodsObject.delivery_id == delivery_id, GoodsObject.line_number == line_number
    )
    return await session.scalar(marked.limit(1)) is not None


async def add(session: WriteSession, objects: list[GoodsObject]) -> None:
    session.add_all(objects)
    await session.flush()


async def by_digest(session: Session, digest: bytes, *, lock: bool = False) -> GoodsObject | None:
    query = select(GoodsObject).where(GoodsObject.code_digest == digest)
    if lock:
        query = query.with_for_update()
    return await session.scalar(query.execution_options(populate_existing=True))


async def story(session: Session, digest: bytes) -> Story | None:
    """What everybody may read of the object with this code."""
    row = (
        await session.execute(
            select(Goods.name_fr, Goods.name_en, Goods.text_fr, Goods.text_en)
            .join(GoodsVariant, GoodsVariant.goods_id == Goods.id)
            .join(GoodsObject, GoodsObject.variant_id == GoodsVariant.id)
            .where(GoodsObject.code_digest == digest)
        )
    ).one_or_none()
    return None if row is None else Story(*row)


async def goods_of(session: Session, variant_id: str) -> tuple[str, str]:
    """(goods id, their external id) of a variant."""
    row = (
        await session.execute(
            select(Goods.id, Goods.external_id)
            .join(GoodsVariant, GoodsVariant.goods_id == Goods.id)
            .where(GoodsVariant.id == variant_id)
        )
    ).one()
    return row.id, row.external_id


async def take_back(
    session: WriteSession, digest: bytes, partner_id: str | None, outcome: Outcome, now: datetime
) -> GoodsObject | None:
    """Take an object back, once; None where no such object of the partner is still out. Locks it."""
    is_out = exists().where(Delivery.id == GoodsObject.delivery_id, Delivery.state.in_(sorted(OUT)))
    statement = (
        update(GoodsObject)
        .where(GoodsObject.code_digest == digest, GoodsObject.taken_back_at.is_(None), is_out)
        .values(taken_back_at=now, outcome=outcome)
        .returning(GoodsObject)
        .execution_options(populate_existing=True)
    )
    if partner_id is not None:
        statement = statement.where(GoodsObject.partner_id == partner_id)
    return await session.scalar(statement)


async def figures(session: Session, since: datetime, until: datetime, partner_id: str | None) -> list[GoodsFigures]:
    """What became of each goods from `since` until before `until`; one statement."""
    rows = await session.execute(_FIGURES, {"since": since, "until": until, "partner_id": partner_id})
    return [GoodsFigures(*row) for row in rows]
