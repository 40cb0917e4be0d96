"""Codes for the till on the wire."""

from datetime import datetime

from pydantic import ConfigDict, Field

from mereau.core.schemas import ObjectId, Resource
from mereau.rewards.schemas import RedemptionCreate


class RedemptionCodeOut(Resource):
    """What the member shows at the till: once, and for some minutes. It is not shown again."""

    code: str
    expires_at: datetime


class InStoreRedemption(RedemptionCreate):
    """Staff redeem for the member who shows the code."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"code": "7K2M-9QRT", "reward_id": "rwd_01K9Q2M4T6V8X0Z2B4D6F8H0J2"}}
    )

    code: str = Field(min_length=1, max_length=32, pattern=r"^[0-9A-Za-z -]+$")
    location_id: ObjectId | None = None
