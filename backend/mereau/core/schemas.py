"""Models and field types of the API: strict when they come in, exact when they go out.

Every integer of a request is bounded, every string has a length, every unknown field is refused.
"""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Final, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from mereau.core.amounts import MAX_TOKENS

AMOUNT_MINOR_MAX: Final = 10**11
"""The largest money amount that one document may state: a thousand million euros in cents."""
QUANTITY_MAX: Final = 10**6

_NO_CONTROLS: Final = r"^[^\x00-\x20\x7f](?:[^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?$"
_LINES: Final = r"^[^\x00-\x20\x7f](?:[^\x00-\x09\x0b-\x1f\x7f]*[^\x00-\x20\x7f])?$"
# \Z, not $: the latter admits a trailing newline.
_RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})\Z"
)
_YEARS: Final = range(1970, 2101)
_ISO_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_DAY_YEARS: Final = range(1900, 2101)


class Request(BaseModel):
    """Base of everything that comes in: exact types, no unknown field, no later change."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Resource(BaseModel):
    """Base of everything that goes out."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


def parse_instant(value: object) -> datetime:
    """An RFC 3339 date-time with its offset, as UTC; microseconds are kept, finer digits are cut."""
    if not isinstance(value, str) or not _RFC3339.match(value):
        raise PydanticCustomError("instant", "An RFC 3339 date-time with offset is expected")
    try:
        at = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise PydanticCustomError("instant", "This date or time does not exist") from None
    if at.year not in _YEARS:
        raise PydanticCustomError("instant", "The year must lie from 1970 to 2100")
    return at


def parse_day(value: object) -> date:
    """A calendar day, such as 1990-02-28, of a year from 1900 to 2100."""
    if not isinstance(value, str) or not _ISO_DAY.match(value):
        raise PydanticCustomError("day", "A calendar day such as 1990-02-28 is expected")
    try:
        day = date.fromisoformat(value)
    except ValueError:
        raise PydanticCustomError("day", "This day does not exist") from None
    if day.year not in _DAY_YEARS:
        raise PydanticCustomError("day", "The year must lie from 1900 to 2100")
    return day


Day = Annotated[date, BeforeValidator(parse_day), WithJsonSchema({"type": "string", "format": "date"})]
Instant = Annotated[datetime, BeforeValidator(parse_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=_NO_CONTROLS)]
Label = Annotated[str, Field(min_length=1, max_length=64, pattern=_NO_CONTROLS)]
Remark = Annotated[str, Field(min_length=1, max_length=280, pattern=_LINES)]
Prose = Annotated[str, Field(min_length=1, max_length=2_000, pattern=_LINES)]
ExternalId = Annotated[
    str,
    Field(min_length=1, max_length=128, pattern=_NO_CONTROLS, description="The caller's own number for it."),
]
ObjectId = Annotated[str, Field(min_length=30, max_length=30, pattern=r"^[a-z]{3}_[0-9A-HJKMNP-TV-Z]{26}$")]
Currency = Annotated[str, Field(min_length=3, max_length=3, pattern=r"^[A-Z]{3}$", description="ISO 4217.")]
Locale = Annotated[str, Field(min_length=2, max_length=5, pattern=r"^[a-z]{2}(?:-[A-Z]{2})?$")]
Email = Annotated[
    str,
    Field(min_length=3, max_length=254, pattern=r"^[^@\x00-\x20\x7f]+@[^@\x00-\x20\x7f]+\.[^@\x00-\x20\x7f]+$"),
]
Phone = Annotated[
    str,
    Field(min_length=8, max_length=16, pattern=r"^\+[1-9][0-9]{6,14}$", description="E.164, such as +33612345678."),
]
AmountMinor = Annotated[int, Field(ge=0, le=AMOUNT_MINOR_MAX, description="Integer minor units, such as cents.")]
Quantity = Annotated[int, Field(ge=1, le=QUANTITY_MAX)]
Tokens = Annotated[int, Field(ge=0, le=MAX_TOKENS)]
PositiveTokens = Annotated[int, Field(ge=1, le=MAX_TOKENS)]
ChainFigure = Annotated[
    str,
    Field(pattern=r"^[0-9]+$", description="A figure of the chain, as a decimal string (up to 2^256 - 1)."),
]


class Money(Resource):
    """An amount in integer minor units of its currency."""

    amount_minor: int
    currency: str


Item = TypeVar("Item")


class PageOut(Resource, Generic[Item]):
    """One page of a list. Ask again with `cursor=next_cursor` while `has_more`."""

    data: list[Item]
    has_more: bool
    next_cursor: str | None


class ProblemError(Resource):
    """One finding; `pointer` is a JSON pointer into the body (RFC 6901), or a parameter's name."""

    pointer: str
    code: str
    detail: str


class Problem(Resource):
    """Why a request was refused (RFC 9457). Programs act on `code`, people read `detail`."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "urn:mereau:problem:invalid_input",
                "title": "The request is not valid",
                "status": 422,
                "detail": "The body does not fit; see errors.",
                "code": "invalid_input",
                "errors": [
                    {
                        "pointer": "/lines/0/quantity",
                        "code": "int_type",
                        "detail": "Input should be a valid integer",
                    }
                ],
                "request_id": "req_01K9Q2M4T6V8X0Z2B4D6F8H0J2",
                "instance": "/api/v1/sales",
            }
        }
    )

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[ProblemError]
    request_id: str
    instance: str
