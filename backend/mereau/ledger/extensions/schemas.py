"""Extensions on the wire."""

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict

from mereau.core.schemas import Instant, Request, Resource
from mereau.ledger.extensions.service import Extended


class ExtensionCreate(Request):
    """Until when the member's active tokens live at least, and why."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"until": "2027-06-30T22:00:00Z", "reason_code": "goodwill"}}
    )

    until: Instant
    reason_code: Literal["goodwill", "closure", "correction"]


class ExtensionOut(Resource):
    """The entry in the member's statement, and what lives longer by it."""

    id: str
    lots: int
    tokens: int
    until: datetime


def show_extension(extended: Extended) -> ExtensionOut:
    return ExtensionOut(id=extended.entry_id, lots=extended.lots, tokens=extended.tokens, until=extended.until)
