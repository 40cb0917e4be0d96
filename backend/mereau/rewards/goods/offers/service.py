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
from mereau.rewards.goods.models import Goods, GoodsVariant
from mereau.rewards.goods.offers import domain, repository
from mereau.rewards.goods.offers.domain import Approver, Choice, OfferDraft, Personalisation, Slot

Session = ReadSession | WriteSession


@dataclass(frozen=True, slots=True)
class Offer:
    """What a gift brings, with the goods of its slots and their variants as they stand.

    The first slot is filled by the goods that the gift's terms name.
    """

    reward_id: str
    personalisation: Personalisation
    proof_by: Approver
    slots: Sequence[Slot]
    goods: Mapping[str, Goods]
    variants: Sequence[GoodsVariant]


async def put(session: WriteSession, reward_id: str, draft: OfferDraft, now: datetime, *, actor: str) -> Offer:
    """State how a gift is delivered, instead of how it was; deliveries that were ordered stay as they are.

    NotFoundError for a reward that brings no goods; InvalidInputError for goods that its partner does not keep;
    NotApprovedError for goods that are not approved.
    """
    partner_id, _ = await _gift(session, reward_id)
    goods = await shelves.by_ids(session, [id_ for slot in draft.more for id_ in slot.goods_ids])
    keepers = {id_: found.partner_id for id_, found in goods.items()}
    if errors := list(domain.slot_findings(draft.more, keepers, partner_id)):
        raise InvalidInputError("The goods do not fit; see errors.", errors=errors)
    if waiting := sorted(found.external_id for found in goods.values() if found.status != "approved"):
        raise NotApprovedError(f"Not approved: {', '.join(waiting)}.")
    slots = [(place, goods_id, slot.pieces) for place, slot in enumerate(draft.more, 1) for goods_id in slot.goods_ids]
    await repository.replace(session, reward_id, draft.personalisation, draft.proof_by, slots)
    detail = {"more": [[goods_id, pieces] for _, goods_id, pieces in slots], "personalisation": draft.personalisation}
    await journal.record(session, at=now, actor=actor, action="reward.goods_set", subject_id=reward_id, detail=detail)
    return await get(session, reward_id)


async def _gift(session: Session, reward_id: str) -> tuple[str, list[str]]:
    found = await repository.gift(session, reward_id)
    if found is None or not found[1]:
        raise NotFoundError("There is no such reward that brings goods.")
    return found


async def get(session: Session, reward_id: str) -> Offer:
    """What a reward brings; NotFoundError where it brings no goods."""
    partner_id, external_ids = await _gift(session, reward_id)
    named = await shelves.by_external_ids(session, external_ids, partner_id)
    terms = await repository.offer(session, reward_id)
    items = [] if terms is None else await repository.items(session, reward_id)
    slots = [Slot(tuple(named[name].id for name in external_ids if name in named))]
    slots += [
        Slot(tuple(item.goods_id for item in group), group[0].pieces)
        for _, found in groupby(items, key=lambda item: item.slot)
        if (group := list(found))
    ]
    goods = {one.id: one for one in named.values()} | await shelves.by_ids(session, [item.goods_id for item in items])
    return Offer(
        reward_id=reward_id,
        personalisation="none" if terms is None else terms.personalisation,
        proof_by="operator" if terms is None else terms.proof_by,
        slots=slots,
        goods=goods,
        variants=await shelves.variants_of(session, list(goods)),
    )


def chosen(offer: Offer, skus: Sequence[str]) -> list[tuple[Choice, int]]:
    """(choice, pieces) for each slot; InvalidInputError says which places of /skus do not fit."""
    by_sku = {variant.sku: _choice(offer.goods[variant.goods_id], variant) for variant in offer.variants}
    if errors := list(domain.choice_findings(offer.slots, skus, by_sku)):
        raise InvalidInputError("The choice does not fit; see errors.", errors=errors)
    return [(by_sku[sku], slot.pieces) for sku, slot in zip(skus, offer.slots, strict=True)]


def _choice(goods: Goods, variant: GoodsVariant) -> Choice:
    named = {"size": variant.size, "colour": variant.colour}
    return Choice(
        variant_id=variant.id,
        goods_id=goods.id,
        goods_external_id=goods.external_id,
        options={name: value for name, value in named.items() if value is not None},
        is_offered=goods.status == "approved",
    )
