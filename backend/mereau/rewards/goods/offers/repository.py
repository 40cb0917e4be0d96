"""SQL of what rewards bring."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from mereau.core.db import ReadSession, WriteSession
from mereau.rewards.goods.models import GoodsOffer, GoodsOfferItem
from mereau.rewards.models import Reward

Session = ReadSession | WriteSession


async def reward_partner(session: Session, reward_id: str) -> str | None:
    """The partner that honours a reward; None where there is no such reward."""
    return await session.scalar(select(Reward.partner_id).where(Reward.id == reward_id))


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
    await session.execute(
        insert(GoodsOfferItem),
        [
            {"reward_id": reward_id, "slot": slot, "goods_id": goods_id, "pieces": pieces}
            for slot, goods_id, pieces in slots
        ],
    )
