"""Cards on the wire."""

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from mereau.core.schemas import Label, Request, Resource
from mereau.members.models import PaymentCard

CardToken = Annotated[
    str,
    Field(
        min_length=16, max_length=200, pattern=r"^[!-~]*[A-Za-z][!-~]*$",
        description="A connector's opaque token; a card number is refused.",
    ),
]  # fmt: skip


class CardCreate(Request):
    """A card, by the token under which the connector will tell of its payments."""

    model_config = ConfigDict(json_schema_extra={"example": {"token": "tok_9f2c1b7e4d8a4c55", "name": "Visa"}})

    token: CardToken
    name: Label | None = None


class CardOut(Resource):
    """A registered card; its token is not kept."""

    id: str
    member_id: str
    name: str | None
    created_at: datetime


class CardsOut(Resource):
    """A member's cards, the newest first."""

    data: list[CardOut]


def show_card(card: PaymentCard) -> CardOut:
    return CardOut.model_validate(card)
