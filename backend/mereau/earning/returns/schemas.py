"""Returns on the wire."""

from datetime import datetime
from typing import Final

from pydantic import ConfigDict, Field

from mereau.core.schemas import ExternalId, Instant, ObjectId, Quantity, Request, Resource
from mereau.ledger.schemas import BalanceOut, EntryRef
from mereau.sales.queries import ReturnView
from mereau.sales.returns.domain import RecordedReturn

_LINES_MAX: Final = 200


class ReturnLineCreate(Request):
    """Units of one line of the sale that came back."""

    line_number: int = Field(ge=1, le=1_000_000)
    quantity: Quantity


class ReturnCreate(Request):
    """Goods that come back. It counts once per partner, external_id and sale, for ever."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "external_id": "2026-11-24-R007",
                "occurred_at": "2026-11-24T09:00:00+01:00",
                "lines": [{"line_number": 1, "quantity": 1}],
            }
        }
    )

    external_id: ExternalId
    occurred_at: Instant
    lines: list[ReturnLineCreate] = Field(min_length=1, max_length=_LINES_MAX)
    staff_id: ObjectId | None = None


class ReturnLineOut(Resource):
    """Units of a line that came back and the tokens that they had earned."""

    line_number: int
    quantity: int
    tokens: int


class ReturnOut(Resource):
    """A return of a sale."""

    id: str
    sale_id: str
    external_id: str
    occurred_at: datetime
    tokens_due: int = Field(description="What the goods had earned.")
    tokens_reversed: int = Field(description="What was taken back of it; policy decides on the rest.")
    entry_id: str | None
    lines: list[ReturnLineOut]


class ReturnRecorded(Resource):
    """What a return took back. `balance` is the member's after it."""

    id: str
    sale_id: str
    external_id: str
    partner_id: str
    tokens_due: int
    tokens_reversed: int
    duplicate: bool
    entry: EntryRef | None
    balance: BalanceOut | None


def show_recorded_return(done: RecordedReturn, entry: EntryRef | None, balance: BalanceOut | None) -> ReturnRecorded:
    return ReturnRecorded(
        id=done.id,
        sale_id=done.sale_id,
        external_id=done.external_id,
        partner_id=done.partner_id,
        tokens_due=done.tokens_due,
        tokens_reversed=done.tokens_reversed,
        duplicate=done.duplicate,
        entry=entry,
        balance=balance,
    )


def show_return(view: ReturnView) -> ReturnOut:
    head = view.head
    return ReturnOut(
        id=head.id,
        sale_id=head.sale_id,
        external_id=head.external_id,
        occurred_at=head.occurred_at,
        tokens_due=head.tokens_due,
        tokens_reversed=head.tokens_reversed,
        entry_id=head.entry_id,
        lines=[ReturnLineOut.model_validate(line) for line in view.lines],
    )
