"""SQL of goods. Variants are locked by id."""

from collections.abc import Iterable, Sequence

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert

from mereau.core.db import ReadSession, WriteSession, copy_rows
from mereau.rewards.goods.domain import Stock
from mereau.rewards.goods.models import Goods, GoodsMovement, GoodsVariant

Session = ReadSession | WriteSession

_LOCK = text("""
    select id, goods_id, sku, on_hand, reserved, buffer, alert_at
    from goods_variants where id = any(cast(:ids as text[])) order by id for update
""")

_SET = text("""
    update goods_variants set on_hand = counted.on_hand, reserved = counted.reserved
    from unnest(cast(:ids as text[]), cast(:on_hand as bigint[]), cast(:reserved as bigint[]))
         as counted (id, on_hand, reserved)
    where goods_variants.id = counted.id
""")


async def add(session: WriteSession, goods: Goods, variants: Sequence[GoodsVariant]) -> bool:
    """Insert goods with their variants; False where the external id or a SKU is taken."""
    values = {column.key: getattr(goods, column.key) for column in Goods.__table__.columns}
    statement = insert(Goods).values(values).on_conflict_do_nothing().returning(Goods.id)
    if await session.scalar(statement) is None:
        return False
    rows = [
        {column.key: getattr(variant, column.key) for column in GoodsVariant.__table__.columns} for variant in variants
    ]
    added = await session.scalars(insert(GoodsVariant).on_conflict_do_nothing().returning(GoodsVariant.id), rows)
    return len(added.all()) == len(rows)


async def goods(session: Session, goods_id: str, *, partner_id: str | None = None, lock: bool = False) -> Goods | None:
    query = select(Goods).where(Goods.id == goods_id)
    if partner_id is not None:
        query = query.where(Goods.partner_id == partner_id)
    if lock:
        query = query.with_for_update()
    return await session.scalar(query.execution_options(populate_existing=True))


async def goods_after(session: Session, after_id: str, limit: int, *, partner_id: str | None) -> list[Goods]:
    query = select(Goods).where(Goods.id > after_id).order_by(Goods.id).limit(limit)
    if partner_id is not None:
        query = query.where(Goods.partner_id == partner_id)
    return list(await session.scalars(query))


async def by_ids(session: Session, goods_ids: Sequence[str]) -> dict[str, Goods]:
    rows = await session.scalars(select(Goods).where(Goods.id == func.any(list(goods_ids))))
    return {found.id: found for found in rows}


async def by_external_ids(session: Session, external_ids: Sequence[str], partner_id: str) -> dict[str, Goods]:
    """External id -> goods that this partner keeps."""
    rows = await session.scalars(
        select(Goods).where(Goods.external_id == func.any(list(external_ids)), Goods.partner_id == partner_id)
    )
    return {found.external_id: found for found in rows}


async def variants_of(session: Session, goods_ids: Sequence[str]) -> list[GoodsVariant]:
    """All variants of some goods, by SKU."""
    rows = await session.scalars(
        select(GoodsVariant)
        .where(GoodsVariant.goods_id == func.any(list(goods_ids)))
        .order_by(GoodsVariant.sku)
        .execution_options(populate_existing=True)
    )
    return list(rows)


async def lock_stocks(session: WriteSession, variant_ids: Iterable[str]) -> dict[str, Stock]:
    """The stocks of variants, as they stand now, locked until the transaction ends."""
    rows = await session.execute(_LOCK, {"ids": sorted(set(variant_ids))})
    return {row.id: Stock(*row) for row in rows}


async def set_stocks(session: WriteSession, stocks: Sequence[Stock]) -> None:
    await session.execute(
        _SET,
        {
            "ids": [stock.variant_id for stock in stocks],
            "on_hand": [stock.on_hand for stock in stocks],
            "reserved": [stock.reserved for stock in stocks],
        },
    )


async def add_movements(session: WriteSession, rows: Iterable[Sequence[object]]) -> None:
    await copy_rows(
        session,
        GoodsMovement,
        ("variant_id", "kind", "on_hand_change", "reserved_change", "reason", "delivery_id", "actor", "at"),
        rows,
    )


async def movements_before(
    session: Session, goods_id: str, before_seq: int | None, limit: int
) -> list[tuple[GoodsMovement, str]]:
    """Movements of goods with their SKU, the newest first."""
    query = (
        select(GoodsMovement, GoodsVariant.sku)
        .join(GoodsVariant, GoodsVariant.id == GoodsMovement.variant_id)
        .where(GoodsVariant.goods_id == goods_id)
        .order_by(GoodsMovement.seq.desc())
        .limit(limit)
    )
    if before_seq is not None:
        query = query.where(GoodsMovement.seq < before_seq)
    return [(movement, sku) for movement, sku in await session.execute(query)]
