"""Deliveries on the wire."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from mereau.core.errors import FieldError, InvalidInputError
from mereau.core.schemas import ExternalId, Label, Name, ObjectId, Request, Resource
from mereau.rewards.fulfilment.domain import (
    BATCH_MAX,
    Address,
    FileDraft,
    OrderDraft,
    Parcel,
    Passage,
    decode_file,
)
from mereau.rewards.fulfilment.service import DeliveryView
from mereau.rewards.goods.offers.domain import SLOTS_MAX

DeliveryState = Literal["ordered", "prepared", "shipped", "delivered", "returned", "cancelled"]
ProofStanding = Literal["none", "awaited", "submitted", "approved", "refused"]
# Base64 takes four characters for three bytes.
_BASE64_CHARS_MAX = 1_398_104
Country = Annotated[str, Field(min_length=2, max_length=2, pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2.")]
Phone = Annotated[str, Field(min_length=3, max_length=20, pattern=r"^\+?[0-9 ().-]+$")]


class AddressIn(Request):
    """Where the parcel goes."""

    name: Name
    line_1: Name
    line_2: Name | None = None
    postal_code: Label
    city: Name
    country: Country = "FR"
    phone: Phone | None = None

    def address(self) -> Address:
        return Address(**self.model_dump())


class FileIn(Request):
    """A file of at most 1 MiB."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"media_type": "application/pdf", "content_base64": "JVBERi0xLjcKJSVFT0YK"}}
    )

    media_type: Literal["application/pdf", "image/png", "image/jpeg"]
    content_base64: str = Field(min_length=4, max_length=_BASE64_CHARS_MAX, pattern=r"^[0-9A-Za-z+/]+={0,2}$")

    def draft(self, pointer: str) -> FileDraft:
        return decode_file(self.media_type, self.content_base64, pointer)


class PersonalisationIn(Request):
    """What is to stand on the goods, where the reward takes it."""

    text: Label | None = None
    logo: FileIn | None = None


class DeliveryCreate(Request):
    """A member wants a reward delivered: one SKU for each of its slots."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "reward_id": "rwd_01K9Q2M4T6V8X0Z2B4D6F8H0J2",
                "skus": ["TEE-M-RED"],
                "address": {
                    "name": "Camille Roy",
                    "line_1": "12 rue des Lilas",
                    "postal_code": "59800",
                    "city": "Lille",
                    "country": "FR",
                },
            }
        }
    )

    reward_id: ObjectId
    skus: list[Label] = Field(min_length=1, max_length=SLOTS_MAX)
    address: AddressIn
    external_id: ExternalId | None = None
    personalisation: PersonalisationIn | None = None

    def draft(self) -> OrderDraft:
        """InvalidInputError where the logo is not what it says it is."""
        wanted = self.personalisation or PersonalisationIn()
        return OrderDraft(
            reward_id=self.reward_id,
            skus=tuple(self.skus),
            address=self.address.address(),
            external_id=self.external_id,
            marking_text=wanted.text,
            logo=None if wanted.logo is None else wanted.logo.draft("/personalisation/logo/content_base64"),
        )


class ParcelIn(Request):
    """One delivery, and who carries it."""

    id: ObjectId
    carrier: Label | None = None
    tracking_number: Label | None = None


class StepCreate(Request):
    """Deliveries take a step together, all or none: those named, or all of a pick list."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "step": "shipped",
                "deliveries": [
                    {"id": "dlv_01K9Q2M4T6V8X0Z2B4D6F8H0J2", "carrier": "Colissimo", "tracking_number": "6A012"}
                ],
            }
        }
    )

    step: Literal["prepared", "shipped", "delivered", "returned"]
    deliveries: list[ParcelIn] = Field(default=[], max_length=BATCH_MAX)
    pick_list_id: ObjectId | None = None
    restock: bool = Field(default=True, description="For `returned`: false writes the pieces off.")

    def passage(self) -> Passage:
        """InvalidInputError unless exactly one of the two ways is used, and each delivery stands once."""
        ids = [one.id for one in self.deliveries]
        errors = [
            FieldError(f"/deliveries/{place}/id", "repeated", "This delivery stands there already.")
            for place, id_ in enumerate(ids)
            if id_ in ids[:place]
        ]
        if bool(ids) == (self.pick_list_id is not None):
            errors.append(FieldError("/deliveries", "one_way", "Name deliveries or a pick list, one of both."))
        if errors:
            raise InvalidInputError("The body does not fit; see errors.", errors=errors)
        parcels = tuple(Parcel(one.id, one.carrier, one.tracking_number) for one in self.deliveries)
        return Passage(self.step, parcels, self.pick_list_id, restock=self.restock)


class CancelCreate(Request):
    """Why an order is taken back."""

    model_config = ConfigDict(json_schema_extra={"example": {"reason": "changed_mind"}})

    reason: Label


class LineOut(Resource):
    """Pieces of one variant."""

    line_number: int
    goods_id: str
    name_fr: str
    name_en: str
    sku: str
    size: str | None
    colour: str | None
    pieces: int


class AddressOut(Resource):
    """Where the parcel goes, and the text that is put on the goods."""

    name: str
    line_1: str
    line_2: str | None
    postal_code: str
    city: str
    country: str
    phone: str | None
    marking_text: str | None


class DeliveryOut(Resource):
    """A reward on its way."""

    id: str
    redemption_id: str
    member_id: str
    partner_id: str
    reward_id: str
    state: DeliveryState
    reason: str | None
    cleared_at: datetime | None = Field(description="When the tokens were burned for good; nothing starts before.")
    proof: ProofStanding
    proof_by: Literal["operator", "member"]
    pick_list_id: str | None
    carrier: str | None
    tracking_number: str | None
    lines: list[LineOut]
    address: AddressOut | None = Field(description="For its member and who sends it; null once erased.")
    created_at: datetime
    changed_at: datetime


class DeliveriesOut(Resource):
    """Deliveries after a step."""

    data: list[DeliveryOut]


def show_delivery(view: DeliveryView, *, with_address: bool) -> DeliveryOut:
    own = (name for name in DeliveryOut.model_fields if name not in {"lines", "address"})
    shown = view.recipient if with_address else None
    return DeliveryOut(
        **{name: getattr(view.delivery, name) for name in own},
        lines=[LineOut.model_validate(piece) for piece in view.pieces],
        address=None if shown is None else AddressOut.model_validate(shown),
    )
