"""What rewards bring, and what members may choose of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import InvalidInputError, NotFoundError
from mereau.journal import service as journal
from mereau.rewards.goods import repository as shelves
from mereau.rewards.goods.errors import NotApprovedError
from mereau.rewards.goods.models import Goods, GoodsOffer, GoodsVariant
from mereau.rewards.goods.offers import domain, repository
from mereau.rewards.goods.offers.domain import Choice, OfferDraft, Slot

Session = ReadSession | WriteSession


@dataclass(frozen=True, slots=True)
class Offer:
    """What a reward brings, with the goods of its slots and their variants as they stand."""

    terms: GoodsOffer
    slots: Sequence[Slot]
    goods: Mapping[str, Goods]
    variants: Sequence[GoodsVariant]


async def put(session: WriteSession, reward_id: str, draft: OfferDraft, now: datetime, *, actor: str) -> Offer:
    """State what a reward brings, instead of what it brought; deliveries that were ordered keep theirs.

    NotFoundError for an unknown reward; InvalidInputError for goods that the reward's partner does not keep;
    NotApprovedError for goods that are not approved.
    """
    partner_id = await repository.reward_partner(session, reward_id)
    if partner_id is None:
        raise NotFoundError("There is no such reward.")
    goods = await shelves.by_ids(session, [id_ for slot in draft.slots for id_ in slot.goods_ids])
    keepers = {id_: found.partner_id for id_, found in goods.items()}
    if errors := list(domain.slot_findings(draft.slots, keepers, partner_id)):
        raise InvalidInputError("The goods do not fit; see errors.", errors=errors)
    if waiting := sorted(found.external_id for found in goods.values() if found.status != "approved"):
        raise NotApprovedError(f"Not approved: {', '.join(waiting)}.")
    slots = [(place, goods_id, slot.pieces) for place, slot in enumerate(draft.slots) for goods_id in slot.goods_ids]
    await repository.replace(session, reward_id, draft.personalisation, draft.proof_by, slots)
    detail = {"slots": [[goods_id, pieces] for _, goods_id, pieces in slots], "personalisation": draft.personalisation}
    await journal.record(session, at=now, actor=actor, action="reward.goods_set", subject_id=reward_id, detail=detail)
    return await get(session, reward_id)


async def get(session: Session, reward_id: str) -> Offer:
    """What a reward brings; NotFoundError where it brings no goods."""
    terms = await repository.offer(session, reward_id)
    if terms is None:
        raise NotFoundError("This reward brings no goods.")
    items = await repository.items(session, reward_id)
    slots = [
        Slot(tuple(item.goods_id for item in group), group[0].pieces)
        for _, found in groupby(items, key=lambda item: item.slot)
        if (group := list(found))
    ]
    goods = await shelves.by_ids(session, [item.goods_id for item in items])
    return Offer(terms, slots, goods, await shelves.variants_of(session, list(goods)))


def chosen(offer: Offer, skus: Sequence[str]) -> list[tuple[str, int]]:
    """(variant id, pieces) for each slot; InvalidInputError says which places of /skus do not fit."""
    by_sku = {
        variant.sku: Choice(variant.id, variant.goods_id, offer.goods[variant.goods_id].status == "approved")
        for variant in offer.variants
    }
    if errors := list(domain.choice_findings(offer.slots, skus, by_sku)):
        raise InvalidInputError("The choice does not fit; see errors.", errors=errors)
    return [(by_sku[sku].variant_id, slot.pieces) for sku, slot in zip(skus, offer.slots, strict=True)]
