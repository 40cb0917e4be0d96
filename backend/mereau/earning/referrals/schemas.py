"""Referrals on the wire."""

from datetime import datetime
from typing import Final

from pydantic import ConfigDict, Field

from mereau.core.schemas import Request, Resource
from mereau.earning.referrals.models import Referral

_TYPED_MAX: Final = 40


class ReferralCreate(Request):
    """Who brought a new member, by their code."""

    model_config = ConfigDict(json_schema_extra={"example": {"code": "7K3MQ0ZX4T"}})

    code: str = Field(min_length=1, max_length=_TYPED_MAX)


class ReferralCodeOut(Resource):
    """A member's code, and the link that carries it where the programme has one."""

    member_id: str
    code: str
    link: str | None


class ReferralOut(Resource):
    """A referral. Who is on its sides, and why it was refused, operators and auditors alone see."""

    id: str
    state: str
    is_capped: bool = Field(description="The referrer had had their share; the friend alone was credited.")
    referrer_id: str | None
    referred_id: str | None
    reason: str | None
    sale_id: str | None
    qualified_at: datetime | None
    expires_at: datetime
    created_at: datetime


def show_referral(referral: Referral, *, is_private: bool) -> ReferralOut:
    """`is_private`: for the eyes of one side, who learns nothing of the other."""
    shown = ReferralOut.model_validate(referral)
    hidden = dict.fromkeys(("referrer_id", "referred_id", "reason", "sale_id"))
    return shown.model_copy(update=hidden) if is_private else shown
