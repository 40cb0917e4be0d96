"""Adjustments on the wire."""

from datetime import datetime

from pydantic import ConfigDict, Field

from mereau.core.schemas import ObjectId, PositiveTokens, Remark, Request, Resource
from mereau.ledger.adjustments.domain import Direction, Reason, State, state_at
from mereau.ledger.adjustments.models import Adjustment


class AdjustmentCreate(Request):
    """Tokens to credit or debit by hand, and why."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"direction": "credit", "tokens": 50, "reason_code": "goodwill", "note": "A long wait."}
        }
    )

    direction: Direction
    tokens: PositiveTokens
    reason_code: Reason
    note: Remark = Field(description="Why, in words. It never leaves this system; entries commit to its digest.")
    partner_id: ObjectId | None = Field(
        default=None, description="Who issues the tokens, or issued those that go; a partner's key names its own alone."
    )


class AdjustmentDecision(Request):
    """What the second person has to say."""

    model_config = ConfigDict(json_schema_extra={"example": {"note": "Checked with the till's receipt."}})

    note: Remark


class AdjustmentOut(Resource):
    """A credit or debit by hand. Its entries in the member's statement name it as their `source_id`."""

    id: str
    member_id: str
    partner_id: str
    staff_id: str | None
    direction: Direction
    tokens: int
    applied_tokens: int | None = Field(description="What came of it; null until it is applied.")
    missing_tokens: int | None = Field(
        description="What a debit could not take: spent by then, or of other partners, whose tokens are not taken."
    )
    reason_code: Reason
    note: str
    state: State
    requested_by: str = Field(description="A member of staff, a partner, or an operator's key.")
    expires_at: datetime | None = Field(description="Until when a request waits for the second person.")
    decided_by: str | None
    decided_at: datetime | None
    decision_note: str | None
    created_at: datetime


def show_adjustment(adjustment: Adjustment, now: datetime) -> AdjustmentOut:
    fields = {name: getattr(adjustment, name) for name in AdjustmentOut.model_fields if name != "missing_tokens"}
    applied = adjustment.applied_tokens
    derived = {
        "missing_tokens": None if applied is None else adjustment.tokens - applied,
        "state": state_at(adjustment.state, adjustment.expires_at, now),
    }
    return AdjustmentOut.model_validate(fields | derived)
