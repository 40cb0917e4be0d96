"""Pick lists on the wire."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import ConfigDict, Field

from mereau.core.schemas import ObjectId, Request, Resource
from mereau.rewards.fulfilment.domain import BATCH_MAX
from mereau.rewards.fulfilment.models import PickList
from mereau.rewards.fulfilment.picking.domain import Pick
from mereau.rewards.fulfilment.schemas import DeliveryState


class PickListCreate(Request):
    """Take the oldest deliveries that are ready to be prepared."""

    model_config = ConfigDict(json_schema_extra={"example": {"limit": 50}})

    limit: int = Field(ge=1, le=BATCH_MAX)
    partner_id: ObjectId | None = Field(default=None, description="For operators: whose workshop it is.")


class PickOut(Resource):
    """One line of one parcel."""

    delivery_id: str
    state: DeliveryState
    goods_id: str
    goods_external_id: str
    name_fr: str
    name_en: str
    sku: str
    size: str | None
    colour: str | None
    pieces: int
    marking_text: str | None
    has_logo: bool


class PickListOut(Resource):
    """A pick list, by goods, size in its natural order, and colour."""

    id: str
    partner_id: str
    created_at: datetime
    picks: list[PickOut]


def show_pick_list(pick_list: PickList, picks: Sequence[Pick]) -> PickListOut:
    return PickListOut(
        id=pick_list.id,
        partner_id=pick_list.partner_id,
        created_at=pick_list.created_at,
        picks=[_show_pick(pick) for pick in picks],
    )


def _show_pick(pick: Pick) -> PickOut:
    own = ("delivery_id", "state", "marking_text", "has_logo")
    thing = (name for name in PickOut.model_fields if name not in own)
    return PickOut(**{name: getattr(pick, name) for name in own}, **{name: getattr(pick.piece, name) for name in thing})
