"""Gifts on the wire."""

from typing import Annotated

from pydantic import ConfigDict, Field

from mereau.core.schemas import ObjectId, PositiveTokens, Request


class GiftCreate(Request):
    """Tokens for another member."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"to_member_id": "mem_01K9Q2M4T6V8X0Z2B4D6F8H0J2", "tokens": 20}}
    )

    to_member_id: Annotated[ObjectId, Field(description="Who would have them.")]
    tokens: PositiveTokens
