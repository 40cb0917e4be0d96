"""Which settings of a programme change, and which of them the contract would not carry out. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from pydantic import Field

from mereau.core.errors import FieldError
from mereau.core.schemas import Request, Tokens
from mereau.programs.lives.domain import (
    Activation,
    Delayed,
    Expiry,
    Immediate,
    Never,
    Rolling,
    parse_activation,
    parse_expiry,
    shortest_days,
)

DAY_S: Final = 86_400
NOTICES_MAX: Final = 5
NOTICE_DAYS_MAX: Final = 366


class AdjustmentLimits(Request):
    """What people may credit and debit by hand, both counted, within a day of the programme's time zone.

    One person alone does no more than `approval_above_tokens` at once; a second one decides on more, within
    `request_days`, and what two agreed on counts towards no day.
    """

    staff_day_tokens: Tokens = Field(default=5_000, description="What one member of staff may move in a day.")
    member_day_tokens: Tokens = Field(default=1_000, description="What may be moved for one member in a day.")
    approval_above_tokens: Tokens = Field(default=500, description="Beyond it a second person must approve.")
    request_days: int = Field(default=7, ge=1, le=90, description="How long a request waits for the second person.")

    def to_dict(self) -> dict[str, Any]:
        """As it is stored and shown."""
        return self.model_dump()


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """What is to change; None stays as it is. Lots that are there keep their dates."""

    name_fr: str | None = None
    name_en: str | None = None
    activation: Activation | None = None
    expiry: Expiry | None = None
    notice_days: tuple[int, ...] | None = None
    return_policy: Literal["clamp", "debt"] | None = None
    adjustments: AdjustmentLimits | None = None

    def said(self) -> dict[str, object]:
        """The fields that change, as the journal keeps them."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: _plain(value) for name, value in values if value is not None}


def _plain(value: Any) -> object:
    return value.to_dict() if hasattr(value, "to_dict") else list(value) if isinstance(value, tuple) else value


def activation_columns(activation: Activation) -> dict[str, object]:
    """How a programme stores a policy: in seconds where it is a delay, else as a rule."""
    match activation:
        case Immediate():
            return {"activation_delay_s": 0, "activation_rule": None}
        case Delayed(delay_s=delay_s):
            return {"activation_delay_s": delay_s, "activation_rule": None}
        case _:
            return {"activation_delay_s": 0, "activation_rule": activation.to_dict()}


def expiry_columns(expiry: Expiry) -> dict[str, object]:
    """How a programme stores a policy: in days where they are plain, else as a rule."""
    match expiry:
        case Never():
            return {"token_life_days": None, "expiry_rule": None}
        case Rolling(unit="day", amount=days, round_to=None):
            return {"token_life_days": days, "expiry_rule": None}
        case _:
            return {"token_life_days": None, "expiry_rule": expiry.to_dict()}


def activation_of(delay_s: int, rule: Mapping[str, object] | None) -> Activation:
    """The policy that a programme's columns say."""
    if rule is not None:
        return parse_activation(dict(rule))
    return Delayed.model_construct(delay_s=delay_s) if delay_s else Immediate()


def expiry_of(life_days: int | None, rule: Mapping[str, object] | None) -> Expiry:
    """The policy that a programme's columns say."""
    if rule is not None:
        return parse_expiry(dict(rule))
    return Never() if life_days is None else Rolling.model_construct(amount=life_days)


def unkept(expiry: Expiry | None, guaranteed_life_s: int) -> Iterator[FieldError]:
    """Where a policy lets tokens expire that the contract still protects: it would refuse to burn them."""
    if expiry is None:
        return
    days = shortest_days(expiry)
    if days is None or days * DAY_S >= guaranteed_life_s:
        return
    least = -(-guaranteed_life_s // DAY_S)
    field = {"calendar": "days_min", "rolling": "amount"}.get(expiry.mode, "days")
    detail = f"The contract protects tokens for up to {least} days; this would expire some after {days}."
    yield FieldError(f"/expiry/{field}", "shorter_than_guaranteed", detail)
