"""The terms on the wire."""

from typing import Annotated, Final

from pydantic import ConfigDict, Field

from mereau.core.schemas import AmountMinor, Request, Resource
from mereau.earning.terms.domain import DEFAULT_TERMS, CapPeriod, Terms

_DAYS_MAX: Final = 1_095
_CAP_MAX: Final = 1_000

Days = Annotated[int, Field(ge=1, le=_DAYS_MAX)]


class EarningTermsChange(Request):
    """All terms; one that is absent goes back to its default."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"win_back_after_days": 60, "referral_minimum_minor": 2000}}
    )

    win_back_after_days: Days = DEFAULT_TERMS.win_back_after_days
    claim_within_days: Days = DEFAULT_TERMS.claim_within_days
    referral_minimum_minor: AmountMinor = DEFAULT_TERMS.referral_minimum_minor
    referral_within_days: Days = DEFAULT_TERMS.referral_within_days
    referral_return_days: Days = DEFAULT_TERMS.referral_return_days
    referral_cap: int = Field(default=DEFAULT_TERMS.referral_cap, ge=1, le=_CAP_MAX)
    referral_cap_period: CapPeriod = DEFAULT_TERMS.referral_cap_period
    referral_link_base: str | None = Field(default=None, max_length=200, pattern=r"^https://[^\x00-\x20\x7f]+$")

    def terms(self) -> Terms:
        return Terms(**self.model_dump())


class EarningTermsOut(Resource):
    """The terms that hold now."""

    win_back_after_days: int
    claim_within_days: int
    referral_minimum_minor: int
    referral_within_days: int
    referral_return_days: int
    referral_cap: int
    referral_cap_period: str
    referral_link_base: str | None
