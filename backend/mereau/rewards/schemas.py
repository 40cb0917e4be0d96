"""Redemptions and vouchers on the wire."""

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field

from mereau.core.schemas import ExternalId, Label, ObjectId, Request, Resource
from mereau.ledger.schemas import BalanceOut
from mereau.rewards.availability.service import Availability
from mereau.rewards.catalogue.schemas import RewardOut, show_reward
from mereau.rewards.kinds.domain import PIECES_MAX, Asked
from mereau.rewards.models import Redemption
from mereau.rewards.service import Wish

RedemptionState = Literal["held", "burning", "granted", "used", "expired", "refunded", "rejected", "cancelled"]


class RedemptionCreate(Asked):
    """A member wants pieces of a reward, all or none, at its price of this moment."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"reward_id": "rwd_01K9Q2M4T6V8X0Z2B4D6F8H0J2", "quantity": 1}}
    )

    reward_id: ObjectId
    external_id: ExternalId | None = None
    quantity: int = Field(default=1, ge=1, le=PIECES_MAX)
    channel: Label | None = Field(default=None, description="Where the member asks, such as app.")

    def wish(self, member_id: str) -> Wish:
        return Wish(
            member_id=member_id,
            reward_id=self.reward_id,
            external_id=self.external_id,
            quantity=self.quantity,
            asked=Asked.model_validate(self.model_dump(include=set(Asked.model_fields))),
            channel=self.channel,
        )


class VoucherUse(Request):
    """The code that the member shows at the till."""

    model_config = ConfigDict(json_schema_extra={"example": {"code": "7K2M-9QRT-4VWX-0Z1A"}})

    code: str = Field(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z -]+$")


class Cancellation(Request):
    """Why a redemption is taken back."""

    model_config = ConfigDict(json_schema_extra={"example": {"reason": "changed_mind"}})

    reason: str = Field(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_]*$")


class RedemptionOut(Resource):
    """A redemption. What it promises is given once the burn is final on chain; its member sees the voucher then."""

    id: str
    external_id: str | None
    member_id: str
    reward_id: str
    reward_version: int
    partner_id: str
    kind: str
    quantity: int
    tokens: int
    state: RedemptionState
    entry_id: str
    reason: str | None
    promise: dict[str, object] = Field(description="What the reward gives, fixed when it was redeemed.")
    channel: str | None
    location_id: str | None
    staff_id: str | None
    voucher_code: str | None = Field(description="For the member, while granted.")
    codes: list[str] = Field(description="Codes of another shop's till, for the member, once granted.")
    ticket_names: list[str] = Field(description="Who comes to an event.")
    voucher_expires_at: datetime | None
    granted_at: datetime | None
    used_at: datetime | None
    refunded_at: datetime | None
    created_at: datetime


class RedemptionAccepted(RedemptionOut):
    """A redemption under way, and the member's balance after its hold."""

    balance: BalanceOut | None


class ObstacleOut(Resource):
    """Why a member cannot have a reward now, and what is missing."""

    code: str
    missing_tokens: int | None
    until: datetime | None
    needs: list[str]
    text_fr: str
    text_en: str


class AvailableReward(RewardOut):
    """A reward as one member finds it: their price, and every reason why they cannot have it now."""

    member_price_tokens: int
    available: bool
    obstacles: list[ObstacleOut]


def show_redemption(
    redemption: Redemption,
    voucher_code: str | None = None,
    codes: list[str] | None = None,
    names: list[str] | None = None,
) -> RedemptionOut:
    return RedemptionOut.model_validate(_fields(redemption, voucher_code, codes or [], names or []))


def show_accepted(redemption: Redemption, names: list[str], balance: BalanceOut | None) -> RedemptionAccepted:
    return RedemptionAccepted.model_validate({**_fields(redemption, None, [], names), "balance": balance})


def _fields(redemption: Redemption, voucher_code: str | None, codes: list[str], names: list[str]) -> dict[str, object]:
    added = {"voucher_code": voucher_code, "codes": codes, "ticket_names": names}
    return {name: getattr(redemption, name) for name in RedemptionOut.model_fields if name not in added} | added


def show_available(found: Availability) -> AvailableReward:
    obstacles = [ObstacleOut.model_validate(obstacle) for obstacle in found.obstacles]
    return AvailableReward.model_validate(
        {
            **dict(show_reward(found.reward)),
            "member_price_tokens": found.price_tokens,
            "available": not obstacles,
            "obstacles": obstacles,
        }
    )
