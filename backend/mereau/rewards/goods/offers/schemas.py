"""What rewards bring, on the wire."""

from typing import Literal

from pydantic import ConfigDict, Field

from mereau.core.schemas import ObjectId, Request, Resource
from mereau.rewards.goods.domain import size_key
from mereau.rewards.goods.models import GoodsVariant
from mereau.rewards.goods.offers.domain import CHOICES_MAX, PIECES_PER_SLOT_MAX, SLOTS_MAX, OfferDraft, Slot
from mereau.rewards.goods.offers.service import Offer


class SlotIn(Request):
    """One place in the parcel; where several goods may fill it, the member chooses."""

    goods_ids: list[ObjectId] = Field(min_length=1, max_length=CHOICES_MAX)
    pieces: int = Field(default=1, ge=1, le=PIECES_PER_SLOT_MAX)


class OfferPut(Request):
    """How a gift is delivered. Its terms name the goods of the first slot; `more` makes it a kit."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"personalisation": "text", "more": [{"goods_ids": ["gds_01K9Q2M4T6V8X0Z2B4D6F8H0J2"]}]}
        }
    )

    personalisation: Literal["none", "text", "logo"] = Field(
        description="What members may have put on it; a proof is then approved before it is shipped."
    )
    proof_by: Literal["operator", "member"] = Field(default="operator", description="Who approves the proof.")
    more: list[SlotIn] = Field(default=[], max_length=SLOTS_MAX - 1)

    def draft(self) -> OfferDraft:
        more = tuple(Slot(tuple(slot.goods_ids), slot.pieces) for slot in self.more)
        return OfferDraft(more, self.personalisation, self.proof_by)


class OptionOut(Resource):
    """A variant that may be chosen."""

    sku: str
    size: str | None
    colour: str | None
    is_available: bool


class ChoiceOut(Resource):
    """Goods that may fill a slot, with their variants by size and colour."""

    goods_id: str
    name_fr: str
    name_en: str
    options: list[OptionOut]


class SlotOut(Resource):
    """One place in the parcel."""

    pieces: int
    choices: list[ChoiceOut]


class OfferOut(Resource):
    """What a reward brings. Goods that were withdrawn are left out."""

    reward_id: str
    personalisation: Literal["none", "text", "logo"]
    proof_by: Literal["operator", "member"]
    slots: list[SlotOut]


def show_offer(offer: Offer) -> OfferOut:
    return OfferOut(
        reward_id=offer.reward_id,
        personalisation=offer.personalisation,
        proof_by=offer.proof_by,
        slots=[
            SlotOut(
                pieces=slot.pieces,
                choices=[
                    _show_choice(offer, goods_id, slot.pieces)
                    for goods_id in slot.goods_ids
                    if offer.goods[goods_id].status == "approved"
                ],
            )
            for slot in offer.slots
        ],
    )


def _show_choice(offer: Offer, goods_id: str, pieces: int) -> ChoiceOut:
    goods = offer.goods[goods_id]
    own = sorted(
        (variant for variant in offer.variants if variant.goods_id == goods_id),
        key=lambda variant: (size_key(variant.size), variant.colour or "", variant.sku),
    )
    options = [_show_option(variant, pieces) for variant in own]
    return ChoiceOut(goods_id=goods.id, name_fr=goods.name_fr, name_en=goods.name_en, options=options)


def _show_option(variant: GoodsVariant, pieces: int) -> OptionOut:
    enough = variant.on_hand - variant.reserved - variant.buffer >= pieces
    return OptionOut(sku=variant.sku, size=variant.size, colour=variant.colour, is_available=enough)
