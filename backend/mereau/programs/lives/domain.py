"""What a programme or a rule may say of the lives of tokens, and what follows for a lot. Pure.

Days, months and dates are those of the programme's time zone; the clock of expiry starts at activation.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import Field, PlainSerializer, Strict, TypeAdapter, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from mereau.core.errors import FieldError, InvalidInputError
from mereau.core.schemas import Request
from mereau.core.strict_json import escape_pointer
from mereau.programs.calendar.domain import add_months, day_of, end_of, midnight, same_time_on

DATES_MAX: Final = 20
DELAY_MAX_S: Final = 366 * 86_400
LIFE_MAX_DAYS: Final = 3_660
LIFE_MAX_MONTHS: Final = 120

# A day of every year; the 29th of February is the 28th where a year has none.
_MONTH_DAY: Final = r"^(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-9])|(?:0[13-9]|1[0-2])-30|(?:0[13578]|1[02])-31)$"
MonthDay = Annotated[str, Field(min_length=5, max_length=5, pattern=_MONTH_DAY, examples=["01-31"])]
MonthDays = Annotated[
    frozenset[MonthDay], Strict(strict=False), Field(min_length=1, max_length=DATES_MAX), PlainSerializer(sorted)
]


class _Policy(Request):
    def to_dict(self) -> dict[str, Any]:
        """As it is stored and shown; `parse_activation` or `parse_expiry` reads it back."""
        return self.model_dump(mode="json")


class Immediate(_Policy):
    """Tokens are spendable as soon as they are credited."""

    mode: Literal["immediate"] = "immediate"


class Delayed(_Policy):
    """Tokens are spendable so many seconds after the occasion: its return window."""

    mode: Literal["delay"] = "delay"
    delay_s: int = Field(ge=1, le=DELAY_MAX_S)


class OnDates(_Policy):
    """Tokens are spendable from the next of these days of the year on, at midnight."""

    mode: Literal["dates"] = "dates"
    dates: MonthDays


class OnEvent(_Policy):
    """Tokens are spendable once it is said that what they wait for has happened, and at the latest so long after.

    Their expiry is promised when they are credited: it counts from the latest moment.
    """

    mode: Literal["event"] = "event"
    latest_s: int = Field(ge=1, le=DELAY_MAX_S)


class Never(_Policy):
    """Tokens live for ever."""

    mode: Literal["never"] = "never"


class Rolling(_Policy):
    """Tokens live so long from activation, and on to the end of the period in which that falls."""

    mode: Literal["rolling"] = "rolling"
    unit: Literal["day", "month"] = "day"
    amount: int = Field(ge=1, le=LIFE_MAX_DAYS)
    round_to: Literal["day", "month", "quarter", "half_year", "year"] | None = None

    @field_validator("amount")
    @classmethod
    def _bounded(cls, amount: int, info: ValidationInfo) -> int:
        if info.data.get("unit") == "month" and amount > LIFE_MAX_MONTHS:
            raise PydanticCustomError("less_than_equal", f"Input should be less than or equal to {LIFE_MAX_MONTHS}")
        return amount


class Calendar(_Policy):
    """Tokens expire when one of these days of the year begins, the first that leaves them `days_min`."""

    mode: Literal["calendar"] = "calendar"
    dates: MonthDays
    days_min: int = Field(default=0, ge=0, le=LIFE_MAX_DAYS)


class Inactivity(_Policy):
    """Tokens expire when their member has done none of these things for so many days."""

    mode: Literal["inactivity"] = "inactivity"
    days: int = Field(ge=1, le=LIFE_MAX_DAYS)
    reset_by: Literal["earning", "redemption", "any"] = "any"


Activation = Annotated[Immediate | Delayed | OnDates | OnEvent, Field(discriminator="mode")]
Expiry = Annotated[Never | Rolling | Calendar | Inactivity, Field(discriminator="mode")]

Policy = TypeVar("Policy")

_ACTIVATION: Final[TypeAdapter[Activation]] = TypeAdapter(Activation)
_EXPIRY: Final[TypeAdapter[Expiry]] = TypeAdapter(Expiry)


def _parsed(adapter: TypeAdapter[Policy], raw: object) -> Policy:
    try:
        return adapter.validate_python(raw)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)
        findings = [FieldError(_pointer(found["loc"]), found["type"], found["msg"]) for found in details]
        raise InvalidInputError("The life of tokens is not valid.", errors=findings) from None


def _pointer(place: tuple[int | str, ...]) -> str:
    # The first place is the mode itself, which tells the kinds apart; without a known one there is no place.
    return "".join(f"/{escape_pointer(str(token))}" for token in place[1:]) if place else "/mode"


def parse_activation(raw: object) -> Activation:
    """What a document says of activation; InvalidInputError names what is wrong by pointers into it."""
    return _parsed(_ACTIVATION, raw)


def parse_expiry(raw: object) -> Expiry:
    """What a document says of expiry; InvalidInputError names what is wrong by pointers into it."""
    return _parsed(_EXPIRY, raw)


def _in_year(year: int, month_day: str) -> date:
    month, day = int(month_day[:2]), int(month_day[3:])
    return date(year, 2, 28) if (month, day) == (2, 29) and not _is_leap(year) else date(year, month, day)


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _next_date(dates: Iterable[str], after: datetime, tz: ZoneInfo) -> datetime:
    """The first midnight of these days of the year that comes later than an instant."""
    year = day_of(after, tz).year
    coming = (midnight(_in_year(y, text), tz) for y in (year, year + 1) for text in dates)
    return min(at for at in coming if at > after)


def activation_of(activation: Activation, occurred_at: datetime, now: datetime, tz: ZoneInfo) -> datetime:
    """When tokens become spendable, at the latest: never before `now`."""
    match activation:
        case Immediate():
            return max(occurred_at, now)
        case Delayed(delay_s=delay_s) | OnEvent(latest_s=delay_s):
            return max(occurred_at.astimezone(UTC) + timedelta(seconds=delay_s), now)
        case OnDates(dates=dates):
            return max(_next_date(dates, occurred_at, tz), now)


def expiry_of(expiry: Expiry, activates_at: datetime, tz: ZoneInfo) -> datetime | None:
    """When tokens that activate at this instant expire; None is never. Days have 24 hours, months keep the clock."""
    start = activates_at.astimezone(UTC)
    match expiry:
        case Never():
            return None
        case Rolling():
            end = _rolled(expiry, start, tz)
            return end if expiry.round_to is None else end_of(end, expiry.round_to, tz)
        case Calendar(dates=dates, days_min=days_min):
            return _next_date(dates, start + timedelta(days=days_min), tz)
        case Inactivity(days=days):
            return start + timedelta(days=days)


def _rolled(expiry: Rolling, start: datetime, tz: ZoneInfo) -> datetime:
    if expiry.unit == "day":
        return start + timedelta(days=expiry.amount)
    return same_time_on(start, add_months(day_of(start, tz), expiry.amount), tz)


@dataclass(frozen=True, slots=True)
class Lives:
    """What a programme says of the tokens that it credits, in its time zone."""

    activation: Activation
    expiry: Expiry
    tz: ZoneInfo


def lot_life(
    activation: Activation, expiry: Expiry, occurred_at: datetime, now: datetime, tz: ZoneInfo
) -> tuple[datetime, datetime | None]:
    """When the tokens of an occasion become spendable, and when they expire; None is never.

    A return window that is over activates at once, never in the past: an import of old sales brings tokens
    with a full life.
    """
    activates_at = activation_of(activation, occurred_at, now, tz)
    return activates_at, expiry_of(expiry, activates_at, tz)


def shortest_days(expiry: Expiry) -> int | None:
    """The least number of whole days that any token lives under a policy; None for ever. Summer time is left out."""
    match expiry:
        case Never():
            return None
        case Rolling(amount=amount, unit=unit):
            return amount if unit == "day" else _shortest_months(amount)
        case Calendar(days_min=days_min):
            return days_min
        case Inactivity(days=days):
            return days


def _shortest_months(months: int) -> int:
    """A leap year and its neighbours hold every sequence of months but that of a century without a leap day."""
    starts = (date(1897 + month // 12, month % 12 + 1, 1) for month in range(12 * 8))
    return min((add_months(start, months) - start).days for start in starts)
