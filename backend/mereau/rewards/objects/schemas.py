"""Objects on the wire."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field

from mereau.core.schemas import ExternalId, Request, Resource
from mereau.rewards.goods.offers.domain import SLOTS_MAX
from mereau.rewards.objects.domain import GoodsFigures
from mereau.rewards.objects.models import GoodsObject
from mereau.rewards.objects.service import MarkedObject


class MarkCreate(Request):
    """Give the pieces of a line their codes."""

    model_config = ConfigDict(json_schema_extra={"example": {"line_number": 1}})

    line_number: int = Field(ge=1, le=SLOTS_MAX)


class TransferCreate(Request):
    """Pass an object on."""

    model_config = ConfigDict(json_schema_extra={"example": {"to_external_id": "card-100043"}})

    to_external_id: ExternalId = Field(description="Another member, by the number on their card.")


class TakeBackCreate(Request):
    """What becomes of an object that came back."""

    model_config = ConfigDict(json_schema_extra={"example": {"outcome": "recycled"}})

    outcome: Literal["reused", "recycled", "upcycled", "discarded"]


class MarkedOut(Resource):
    """An object and the one time that its code is shown."""

    id: str
    code: str = Field(description="Print it now: it is stored nowhere.")
    url: str = Field(description="What its QR code says.")


class MarkedListOut(Resource):
    """The codes of a line's pieces."""

    data: list[MarkedOut]


class ObjectOut(Resource):
    """An object with a code."""

    id: str
    delivery_id: str
    owner_member_id: str
    activated_at: datetime | None
    taken_back_at: datetime | None
    outcome: Literal["reused", "recycled", "upcycled", "discarded"] | None


class GoodsFiguresOut(Resource):
    """What became of one kind of goods; objects are pieces with a code."""

    goods_id: str
    external_id: str
    pieces_shipped: int
    pieces_returned: int
    objects_activated: int
    reused: int
    recycled: int
    upcycled: int
    discarded: int


class FiguresOut(Resource):
    """Figures by goods, the oldest first."""

    data: list[GoodsFiguresOut]


def show_marked(marked: Sequence[MarkedObject], base_url: str) -> MarkedListOut:
    return MarkedListOut(
        data=[MarkedOut(id=one.object.id, code=one.code, url=f"{base_url}/o/{one.code}") for one in marked]
    )


def show_object(found: GoodsObject) -> ObjectOut:
    return ObjectOut.model_validate(found)


def show_figures(found: Sequence[GoodsFigures]) -> FiguresOut:
    return FiguresOut(data=[GoodsFiguresOut.model_validate(one) for one in found])
