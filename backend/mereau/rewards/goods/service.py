"""Goods and their stock. Every piece that comes, is promised or goes is a movement; `move` is the door."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import ConflictError, FieldError, InvalidInputError, NotFoundError
from mereau.core.ids import new_id
from mereau.journal import service as journal
from mereau.outbox import service as outbox
from mereau.outbox.service import Event
from mereau.partners import service as partners
from mereau.rewards.errors import OutOfStockError
from mereau.rewards.goods import domain, repository
from mereau.rewards.goods.domain import GoodsDraft, GoodsStatus, Movement, MovementKind, Stock
from mereau.rewards.goods.errors import StockTooLowError
from mereau.rewards.goods.models import Goods, GoodsMovement, GoodsVariant

Session = ReadSession | WriteSession


@dataclass(frozen=True, slots=True)
class StockedGoods:
    """Goods with their variants, by SKU."""

    goods: Goods
    variants: Sequence[GoodsVariant]


async def create(session: WriteSession, draft: GoodsDraft, now: datetime, *, actor: str) -> StockedGoods:
    """Take goods into the catalogue as a draft, with empty shelves.

    InvalidInputError names the wrong fields; NotFoundError for an unknown partner; ConflictError where the
    external id or a SKU is taken.
    """
    if errors := list(domain.findings(draft)):
        raise InvalidInputError("The goods are not valid.", errors=errors)
    partner = await partners.get(session, draft.partner_id)
    goods = Goods(
        id=new_id("gds", now),
        external_id=draft.external_id,
        partner_id=partner.id,
        name_fr=draft.name_fr,
        name_en=draft.name_en,
        text_fr=draft.text_fr,
        text_en=draft.text_en,
        supplier=draft.supplier,
        cost_minor=draft.cost_minor,
        status="draft",
        created_at=now,
    )
    variants = [
        GoodsVariant(
            id=new_id("var", now),
            goods_id=goods.id,
            sku=variant.sku,
            size=variant.size,
            colour=variant.colour,
            on_hand=0,
            reserved=0,
            buffer=variant.buffer,
            alert_at=variant.alert_at,
        )
        for variant in draft.variants
    ]
    if not await repository.add(session, goods, variants):
        raise ConflictError("The external id or a SKU is taken.")
    detail = {"external_id": draft.external_id, "cost_minor": draft.cost_minor, "variants": len(variants)}
    await journal.record(session, at=now, actor=actor, action="goods.created", subject_id=goods.id, detail=detail)
    return await get(session, goods.id)


async def get(session: Session, goods_id: str, *, partner_id: str | None = None) -> StockedGoods:
    """The goods, if they are this partner's where one is given; else NotFoundError."""
    goods = await repository.goods(session, goods_id, partner_id=partner_id)
    if goods is None:
        raise NotFoundError("There are no such goods.")
    return StockedGoods(goods, await repository.variants_of(session, [goods_id]))


async def list_goods(
    session: Session, *, after_id: str = "", limit: int = 20, partner_id: str | None = None
) -> list[StockedGoods]:
    """Goods by id, which is by age, from the one after `after_id` on; two statements."""
    found = await repository.goods_after(session, after_id, limit, partner_id=partner_id)
    variants: dict[str, list[GoodsVariant]] = {goods.id: [] for goods in found}
    for variant in await repository.variants_of(session, list(variants)):
        variants[variant.goods_id].append(variant)
    return [StockedGoods(goods, variants[goods.id]) for goods in found]


async def set_status(
    session: WriteSession, goods_id: str, status: GoodsStatus, now: datetime, *, actor: str
) -> StockedGoods:
    """Approve goods, or withdraw them; deliveries that were ordered are not touched. Locks the goods."""
    goods = await repository.goods(session, goods_id, lock=True)
    if goods is None:
        raise NotFoundError("There are no such goods.")
    if goods.status != status:
        goods.status = status
        if status == "approved":
            goods.approved_by_key_id, goods.approved_at = actor, now
        await session.flush()
        await journal.record(session, at=now, actor=actor, action=f"goods.{status}", subject_id=goods_id, detail={})
    return await get(session, goods_id)


async def move(session: WriteSession, movements: Sequence[Movement], now: datetime, *, actor: str) -> dict[str, Stock]:
    """Make movements, all or none, in a constant number of statements; variant id -> its stock afterwards.

    Locks the variants by id, so that of two who want the last piece one is refused: OutOfStockError for a
    reservation, StockTooLowError for pieces that are promised, both with the place of the movement. Movements
    of one variant are made in their order. Publishes `goods.low_stock` where a variant falls to its alert.
    """
    if not movements:
        return {}
    before = await repository.lock_stocks(session, (movement.variant_id for movement in movements))
    stocks = dict(before)
    rows = []
    for place, movement in enumerate(movements):
        was = stocks[movement.variant_id]
        if missing := domain.shortfall(was, movement):
            raise _refusal(was, movement, place, missing)
        stock = stocks[movement.variant_id] = was.after(movement)
        changes = (stock.on_hand - was.on_hand, stock.reserved - was.reserved)
        rows.append((was.variant_id, movement.kind, *changes, movement.reason, movement.delivery_id, actor, now))
    await repository.set_stocks(session, list(stocks.values()))
    await repository.add_movements(session, rows)
    await outbox.publish(session, _alerts(before, stocks), now)
    return stocks


def _refusal(stock: Stock, movement: Movement, place: int, missing: int) -> ConflictError:
    errors = [FieldError(f"/{place}", "stock", f"{missing} pieces of {stock.sku} are missing.")]
    if movement.kind is MovementKind.RESERVED:
        return OutOfStockError(f"There are not enough pieces of {stock.sku}.", errors=errors)
    return StockTooLowError(
        f"{missing} pieces of {stock.sku} are missing; {stock.reserved} are promised.", errors=errors
    )


def _alerts(before: Mapping[str, Stock], after: Mapping[str, Stock]) -> list[Event]:
    return [
        Event("goods.low_stock", stock.goods_id, {"sku": stock.sku, "available": stock.available})
        for stock in after.values()
        if domain.has_run_low(before[stock.variant_id], stock)
    ]


async def move_by_sku(
    session: WriteSession,
    goods_id: str,
    *,
    sku: str,
    kind: MovementKind,
    pieces: int,
    reason: str,
    now: datetime,
    actor: str,
    partner_id: str | None = None,
) -> GoodsVariant:
    """Receive, count or write off pieces of a variant; the variant afterwards.

    NotFoundError for goods or a SKU that the partner does not keep. See `move`; journalled.
    """
    stocked = await get(session, goods_id, partner_id=partner_id)
    variant = next((variant for variant in stocked.variants if variant.sku == sku), None)
    if variant is None:
        raise NotFoundError(f"The goods have no variant {sku}.")
    await move(session, [Movement(variant.id, kind, pieces, reason)], now, actor=actor)
    detail = {"sku": sku, "pieces": pieces, "reason": reason}
    await journal.record(session, at=now, actor=actor, action=f"stock.{kind}", subject_id=goods_id, detail=detail)
    return next(one for one in (await get(session, goods_id)).variants if one.id == variant.id)


async def movements(
    session: Session, goods_id: str, *, before_seq: int | None, limit: int, partner_id: str | None = None
) -> list[tuple[GoodsMovement, str]]:
    """Movements of goods with their SKU, the newest first; NotFoundError for goods that the partner does not keep."""
    await get(session, goods_id, partner_id=partner_id)
    return await repository.movements_before(session, goods_id, before_seq, limit)
