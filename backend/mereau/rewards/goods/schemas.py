"""Goods and their stock on the wire."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from mereau.core.schemas import AmountMinor, ExternalId, Label, Name, ObjectId, Prose, Request, Resource
from mereau.rewards.goods.domain import PIECES_MAX, VARIANTS_MAX, GoodsDraft, MovementKind, VariantDraft
from mereau.rewards.goods.models import GoodsMovement, GoodsVariant
from mereau.rewards.goods.service import StockedGoods

Pieces = Annotated[int, Field(ge=0, le=PIECES_MAX)]


class VariantCreate(Request):
    """One size and colour of goods, under a SKU of its own."""

    sku: Label
    size: Label | None = None
    colour: Label | None = None
    buffer: Pieces = Field(default=0, description="Pieces that are never promised to anybody.")
    alert_at: Pieces = Field(default=0, description="goods.low_stock is published when so many are available.")


class GoodsCreate(Request):
    """Goods that a partner keeps and ships. They are given away once they are approved."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "external_id": "TEE",
                "partner_id": "par_01K9Q2M4T6V8X0Z2B4D6F8H0J2",
                "name_fr": "Un tee-shirt",
                "name_en": "A T-shirt",
                "supplier": "Filature du Nord",
                "cost_minor": 640,
                "variants": [{"sku": "TEE-M-RED", "size": "M", "colour": "red", "buffer": 2}],
            }
        }
    )

    external_id: ExternalId
    partner_id: ObjectId
    name_fr: Name
    name_en: Name
    text_fr: Prose | None = Field(default=None, description="Shown where the code on an object leads.")
    text_en: Prose | None = None
    supplier: Name
    cost_minor: AmountMinor = Field(description="Of one piece, in the programme's currency.")
    variants: list[VariantCreate] = Field(min_length=1, max_length=VARIANTS_MAX)

    def draft(self) -> GoodsDraft:
        fields = self.model_dump(exclude={"variants"})
        return GoodsDraft(**fields, variants=tuple(VariantDraft(**one.model_dump()) for one in self.variants))


class GoodsStatusPut(Request):
    """Approve goods, or withdraw them."""

    model_config = ConfigDict(json_schema_extra={"example": {"status": "approved"}})

    status: Literal["approved", "withdrawn"]


class MovementCreate(Request):
    """Pieces that came, that were found on the shelf, or that are lost."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"sku": "TEE-M-RED", "kind": "received", "pieces": 50, "reason": "order 4711"}}
    )

    sku: Label
    kind: Literal["received", "counted", "written_off"]
    pieces: Pieces = Field(description="0 is for a count that found nothing.")
    reason: Name

    @field_validator("pieces")
    @classmethod
    def _some(cls, pieces: int, read: ValidationInfo) -> int:
        if pieces == 0 and read.data.get("kind") != "counted":
            raise PydanticCustomError("too_small", "Nothing would be moved")
        return pieces


class VariantOut(Resource):
    """A variant with its stock; available = on hand - reserved - buffer, at least 0."""

    id: str
    sku: str
    size: str | None
    colour: str | None
    on_hand: int
    reserved: int
    buffer: int
    available: int
    alert_at: int


class GoodsOut(Resource):
    """Goods of the catalogue."""

    id: str
    external_id: str
    partner_id: str
    name_fr: str
    name_en: str
    text_fr: str | None
    text_en: str | None
    supplier: str
    cost_minor: int
    status: Literal["draft", "approved", "withdrawn"]
    approved_by_key_id: str | None
    approved_at: datetime | None
    created_at: datetime
    variants: list[VariantOut]


class MovementOut(Resource):
    """One change of a stock."""

    seq: int
    sku: str
    kind: MovementKind
    on_hand_change: int
    reserved_change: int
    reason: str
    delivery_id: str | None
    actor: str
    at: datetime


def show_variant(variant: GoodsVariant) -> VariantOut:
    own = (name for name in VariantOut.model_fields if name != "available")
    available = max(0, variant.on_hand - variant.reserved - variant.buffer)
    return VariantOut(**{name: getattr(variant, name) for name in own}, available=available)


def show_goods(stocked: StockedGoods) -> GoodsOut:
    own = (name for name in GoodsOut.model_fields if name != "variants")
    variants = [show_variant(variant) for variant in stocked.variants]
    return GoodsOut(**{name: getattr(stocked.goods, name) for name in own}, variants=variants)


def show_movement(row: tuple[GoodsMovement, str]) -> MovementOut:
    movement, sku = row
    own = (name for name in MovementOut.model_fields if name != "sku")
    return MovementOut(**{name: getattr(movement, name) for name in own}, sku=sku)
