"""Rewards, redemptions and vouchers on the wire."""

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field

from mereau.core.amounts import MAX_TOKENS
from mereau.core.schemas import ExternalId, Name, ObjectId, PositiveTokens, Request, Resource
from mereau.ledger.schemas import BalanceOut
from mereau.rewards.domain import VALIDITY_DAYS_MAX, RewardDraft
from mereau.rewards.models import Redemption, Reward

RewardStatus = Literal["draft", "active", "inactive"]
RedemptionState = Literal["held", "burning", "granted", "used", "expired", "refunded", "rejected", "cancelled"]


class RewardCreate(Request):
    """What tokens shall buy, and which partner honours it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "external_id": "coffee",
                "partner_id": "par_01K9Q2M4T6V8X0Z2B4D6F8H0J2",
                "name_fr": "Un café",
                "name_en": "A coffee",
                "price_tokens": 50,
                "stock": 200,
            }
        }
    )

    external_id: ExternalId
    partner_id: ObjectId
    name_fr: Name
    name_en: Name
    price_tokens: PositiveTokens
    stock: int | None = Field(default=None, ge=0, le=MAX_TOKENS, description="Null: without limit.")
    validity_days: int = Field(default=90, ge=1, le=VALIDITY_DAYS_MAX, description="Of the voucher, from its grant.")
    status: RewardStatus = "active"

    def draft(self) -> RewardDraft:
        return RewardDraft(**self.model_dump())


class RewardOut(Resource):
    """A reward of the catalogue."""

    id: str
    external_id: str
    partner_id: str
    name_fr: str
    name_en: str
    price_tokens: int
    stock: int | None
    validity_days: int
    status: RewardStatus
    created_at: datetime


class RedemptionCreate(Request):
    """A member wants a reward, at its price of this moment."""

    model_config = ConfigDict(json_schema_extra={"example": {"reward_id": "rwd_01K9Q2M4T6V8X0Z2B4D6F8H0J2"}})

    reward_id: ObjectId
    external_id: ExternalId | None = None


class VoucherUse(Request):
    """The code that the member shows at the till."""

    model_config = ConfigDict(json_schema_extra={"example": {"code": "7K2M-9QRT-4VWX-0Z1A"}})

    code: str = Field(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z -]+$")


class RedemptionOut(Resource):
    """A redemption. Its voucher exists once the burn is final on chain, and its member sees it."""

    id: str
    external_id: str | None
    member_id: str
    reward_id: str
    partner_id: str
    tokens: int
    state: RedemptionState
    entry_id: str
    reason: str | None
    voucher_code: str | None = Field(description="For the member, while granted.")
    voucher_expires_at: datetime | None
    used_at: datetime | None
    created_at: datetime


class RedemptionAccepted(RedemptionOut):
    """A redemption under way, and the member's balance after its hold."""

    balance: BalanceOut | None


def show_reward(reward: Reward) -> RewardOut:
    return RewardOut.model_validate(reward)


def show_redemption(redemption: Redemption, voucher_code: str | None) -> RedemptionOut:
    return RedemptionOut.model_validate(_fields(redemption, voucher_code))


def show_accepted(redemption: Redemption, balance: BalanceOut | None) -> RedemptionAccepted:
    return RedemptionAccepted.model_validate({**_fields(redemption, None), "balance": balance})


def _fields(redemption: Redemption, voucher_code: str | None) -> dict[str, object]:
    own = (name for name in RedemptionOut.model_fields if name != "voucher_code")
    return {**{name: getattr(redemption, name) for name in own}, "voucher_code": voucher_code}
