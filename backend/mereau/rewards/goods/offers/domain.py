"""Which goods fill the slots of a reward, and whether a member's choice does. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from mereau.core.errors import FieldError

SLOTS_MAX: Final = 10
CHOICES_MAX: Final = 3
PIECES_PER_SLOT_MAX: Final = 20

Personalisation = Literal["none", "text", "logo"]
Approver = Literal["operator", "member"]


@dataclass(frozen=True, slots=True)
class Slot:
    """One place in the parcel: one of the goods fills it, with so many pieces of one variant."""

    goods_ids: tuple[str, ...]
    pieces: int = 1


@dataclass(frozen=True, slots=True)
class OfferDraft:
    """How a gift is delivered: with what else in the parcel, and what is put on it.

    A proof of what is marked is approved by `proof_by`.
    """

    more: tuple[Slot, ...] = ()
    personalisation: Personalisation = "none"
    proof_by: Approver = "operator"


@dataclass(frozen=True, slots=True)
class Choice:
    """A variant that may be chosen, and whether its goods are given away now."""

    variant_id: str
    goods_id: str
    goods_external_id: str
    options: Mapping[str, str]
    is_offered: bool


def slot_findings(slots: Sequence[Slot], keepers: Mapping[str, str], partner_id: str) -> Iterator[FieldError]:
    """What is wrong with the slots of a partner's reward; `keepers` is goods id -> partner id."""
    for place, slot in enumerate(slots):
        for at, goods_id in enumerate(slot.goods_ids):
            pointer = f"/more/{place}/goods_ids/{at}"
            if keepers.get(goods_id) != partner_id:
                yield FieldError(pointer, "unknown", "The partner of the reward keeps no such goods.")
            if goods_id in slot.goods_ids[:at]:
                yield FieldError(pointer, "repeated", "These goods stand there already.")


def choice_findings(slots: Sequence[Slot], skus: Sequence[str], by_sku: Mapping[str, Choice]) -> Iterator[FieldError]:
    """What is wrong with a member's choice of one SKU for each slot, place by place."""
    for place in range(len(skus), len(slots)):
        yield FieldError(f"/skus/{place}", "option_required", "Choose a SKU for every slot.")
    for place, sku in enumerate(skus):
        choice = by_sku.get(sku)
        fits = place < len(slots) and choice is not None and choice.goods_id in slots[place].goods_ids
        if not (fits and choice is not None and choice.is_offered):
            yield FieldError(f"/skus/{place}", "not_offered", "This SKU is not offered here.")
