"""SQL of what rewards bring."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from mereau.core.db import ReadSession, WriteSession
from mereau.rewards.goods.models import GoodsOffer, GoodsOfferItem
from mereau.rewards.kinds.domain import read_terms
from mereau.rewards.models import Reward

Session = ReadSession | WriteSession


async def gift(session: Session, reward_id: str) -> tuple[str, list[str]] | None:
    """(partner that honours it, external ids of its goods) of a reward; None where there is no such reward."""
    row = (await session.execute(select(Reward.partner_id, Reward.terms).where(Reward.id == reward_id))).one_or_none()
    return None if row is None else (row.partner_id, read_terms(row.terms).goods_offered)


async def offer(session: Session, reward_id: str) -> GoodsOffer | None:
    return await session.scalar(
        select(GoodsOffer).where(GoodsOffer.reward_id == reward_id).execution_options(populate_existing=True)
    )


async def items(session: Session, reward_id: str) -> list[GoodsOfferItem]:
    """By slot."""
    query = select(GoodsOfferItem).where(GoodsOfferItem.reward_id == reward_id)
    return list(await session.scalars(query.order_by(GoodsOfferItem.slot, GoodsOfferItem.goods_id)))


async def replace(
    session: WriteSession, reward_id: str, personalisation: str, proof_by: str, slots: Sequence[tuple[int, str, int]]
) -> None:
    """Write an offer anew; `slots` are (slot, goods id, pieces). Locks the offer."""
    values = {"personalisation": personalisation, "proof_by": proof_by}
    await session.execute(
        upsert(GoodsOffer)
        .values(reward_id=reward_id, **values)
        .on_conflict_do_update(index_elements=[GoodsOffer.reward_id], set_=values)
    )
    await session.execute(delete(GoodsOfferItem).where(GoodsOfferItem.reward_id == reward_id))
    if not slots:
        return
    await session.execute(
        insert(GoodsOfferItem),
        [
            {"reward_id": reward_id, "slot": slot, "goods_id": goods_id, "pieces": pieces}
            for slot, goods_id, pieces in slots
        ],
    )
