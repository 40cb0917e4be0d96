"""Claims of receipts on the wire."""

from pydantic import ConfigDict, Field

from mereau.core.schemas import AmountMinor, Day, ExternalId, ObjectId, Request
from mereau.earning.schemas import MemberRef


class ReceiptClaimCreate(Request):
    """What is printed on a receipt. Members claim for themselves, staff for the member that they name."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"external_id": "2026-11-23-0042", "amount_minor": 640, "day": "2026-11-23"}}
    )

    external_id: ExternalId
    amount_minor: AmountMinor = Field(description="What was paid, shipping included, in minor units.")
    day: Day
    partner_id: ObjectId | None = Field(default=None, description="Whose receipt; a partner's key has its own alone.")
    member: MemberRef | None = None
