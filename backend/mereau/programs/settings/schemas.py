"""The programme on the wire."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator

from mereau.core.schemas import Name, Request, Resource
from mereau.programs.lives.domain import Activation, Calendar, Never, Rolling
from mereau.programs.models import Program
from mereau.programs.settings.domain import NOTICE_DAYS_MAX, NOTICES_MAX, AdjustmentLimits, SettingsChange
from mereau.programs.settings.service import settings_of

# Tokens that expire by inactivity are for a ledger that moves their dates with every act.
Expiry = Annotated[Never | Rolling | Calendar, Field(discriminator="mode")]
NoticeDay = Annotated[int, Field(ge=1, le=NOTICE_DAYS_MAX)]


class ProgramChange(Request):
    """What changes; a field that is absent stays. Tokens that are there keep their dates."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"expiry": {"mode": "rolling", "unit": "month", "amount": 12, "round_to": "month"}}
        }
    )

    name_fr: Name | None = None
    name_en: Name | None = None
    activation: Activation | None = None
    expiry: Expiry | None = None
    notice_days: list[NoticeDay] | None = Field(
        default=None, max_length=NOTICES_MAX, description="How many days before tokens expire members are told."
    )
    return_policy: Literal["clamp", "debt"] | None = None
    adjustments: AdjustmentLimits | None = Field(
        default=None, description="Limits of credits and debits by hand; what is left out has its default."
    )

    @field_validator("notice_days")
    @classmethod
    def _latest_last(cls, days: list[int] | None) -> list[int] | None:
        return None if days is None else sorted(set(days), reverse=True)

    def wanted(self) -> SettingsChange:
        return SettingsChange(
            name_fr=self.name_fr,
            name_en=self.name_en,
            activation=self.activation,
            expiry=self.expiry,
            notice_days=None if self.notice_days is None else tuple(self.notice_days),
            return_policy=self.return_policy,
            adjustments=self.adjustments,
        )


class ProgramOut(Resource):
    """The programme and its settings. `expiry` counts from activation, in the programme's time zone."""

    id: str
    external_id: str
    name_fr: str
    name_en: str
    token_name: str
    token_symbol: str
    currency: str
    time_zone: str
    activation: Activation
    expiry: Expiry
    notice_days: list[int]
    return_policy: Literal["clamp", "debt"]
    adjustments: AdjustmentLimits
    created_at: datetime


def show_program(program: Program) -> ProgramOut:
    settings = settings_of(program)
    return ProgramOut.model_validate(
        {
            "id": program.id,
            "external_id": program.external_id,
            "token_name": program.token_name,
            "token_symbol": program.token_symbol,
            "currency": program.currency,
            "time_zone": program.time_zone,
            "created_at": program.created_at,
            **settings.said(),
        }
    )
