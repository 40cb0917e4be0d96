"""Rewards on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from mereau.core.amounts import MAX_TOKENS
from mereau.core.schemas import ExternalId, Instant, Label, Name, ObjectId, PositiveTokens, Request, Resource, Tokens
from mereau.programs.calendar.domain import Period
from mereau.rewards.catalogue import domain
from mereau.rewards.catalogue.domain import VALIDITY_DAYS_MAX, RewardDraft
from mereau.rewards.kinds.domain import Service, Terms
from mereau.rewards.limits.domain import LIMITS_MAX, Limit
from mereau.rewards.limits.domain import PIECES_MAX as LIMIT_PIECES_MAX
from mereau.rewards.models import Reward, RewardVersion

RewardStatus = Literal["draft", "active", "inactive"]
LongText = Annotated[str, Field(max_length=4_000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
PhotoUrl = Annotated[
    str, Field(min_length=12, max_length=500, pattern=r"^(?:https://[^\s\x00-\x1f\x7f]+|/files/[0-9a-f]{64})$")
]
_TIERS_MAX = 20
_NAMED_MAX = 50
_FEATURED_MAX = 1_000_000


class Photo(Request):
    """A picture, and what it shows in both languages. `url` is where it stands, or the path of an uploaded file."""

    url: PhotoUrl
    alt_fr: Name
    alt_en: Name


class Audience(Request):
    """For whom a reward is; each list that is not empty must name something of the member's or the occasion's."""

    tier_ids: list[ObjectId] = Field(default=[], max_length=_TIERS_MAX)
    segment_ids: list[ObjectId] = Field(default=[], max_length=_NAMED_MAX)
    location_ids: list[ObjectId] = Field(default=[], max_length=_NAMED_MAX)
    channels: list[Label] = Field(default=[], max_length=_NAMED_MAX)


class RewardLimit(Request):
    """At most so many pieces per member or for everybody, in a period of the programme's calendar, or for ever."""

    per: Literal["member", "everybody"]
    pieces: int = Field(ge=1, le=LIMIT_PIECES_MAX)
    period: Period | None = Field(default=None, description="Null: for ever.")


class _Offered(Request):
    """What may be said and changed alike. Windows are half open: from the first instant to before the last."""

    stock: int | None = Field(default=None, ge=0, le=MAX_TOKENS, description="Null: without limit.")
    validity_days: int = Field(default=90, ge=1, le=VALIDITY_DAYS_MAX, description="Of the voucher, from its grant.")
    status: RewardStatus = "active"
    terms: Terms = Field(default=Service(), description="The kind of the reward, and what it gives.")
    description_fr: LongText = ""
    description_en: LongText = ""
    category: Label | None = None
    brand: Label | None = None
    labels: list[Label] = Field(default=[], max_length=_NAMED_MAX)
    photos: list[Photo] = Field(default=[], max_length=_NAMED_MAX)
    featured_position: int | None = Field(default=None, ge=0, le=_FEATURED_MAX, description="Lowest first.")
    visible_from: Instant | None = None
    visible_until: Instant | None = None
    active_from: Instant | None = None
    active_until: Instant | None = None
    audience: Audience = Audience()
    tier_prices: dict[ObjectId, PositiveTokens] = Field(
        default={}, max_length=_TIERS_MAX, description="Prices for members of these tiers, by tier id."
    )
    limits: list[RewardLimit] = Field(default=[], max_length=LIMITS_MAX)
    automatic_at_tokens: PositiveTokens | None = Field(
        default=None, description="Members with so many spendable tokens are given it by the daily job, at its price."
    )

    def said(self) -> dict[str, Any]:
        """The fields that were sent, as a draft takes them."""
        return {name: _plain(getattr(self, name)) for name in self.model_fields_set}


class RewardCreate(_Offered):
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
                "limits": [{"per": "member", "pieces": 1, "period": "day"}],
            }
        }
    )

    external_id: ExternalId
    partner_id: ObjectId
    name_fr: Name
    name_en: Name
    price_tokens: Tokens = Field(description="0 only for what is not bought.")

    def draft(self) -> RewardDraft:
        return RewardDraft(**self.said())


class RewardPatch(_Offered):
    """What shall be different. A field that is not sent stays as it is; null removes what may be absent."""

    model_config = ConfigDict(json_schema_extra={"example": {"price_tokens": 60, "featured_position": 1}})

    # These defaults are never read: only what was sent is changed.
    name_fr: Name = ""
    name_en: Name = ""
    price_tokens: Tokens = 0


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
    terms: Terms
    description_fr: str
    description_en: str
    category: str | None
    brand: str | None
    labels: list[str]
    photos: list[Photo]
    featured_position: int | None
    visible_from: datetime | None
    visible_until: datetime | None
    active_from: datetime | None
    active_until: datetime | None
    audience: Audience
    tier_prices: dict[str, int]
    limits: list[RewardLimit]
    automatic_at_tokens: int | None
    version: int
    created_at: datetime


class RewardVersionOut(Resource):
    """A reward as it stood after one change."""

    version: int
    content: dict[str, object]
    created_at: datetime


def _plain(value: object) -> object:
    """A value of the wire as the domain has it."""
    match value:
        case Audience():
            return domain.Audience(**value.model_dump())
        case list() if value and isinstance(value[0], Photo):
            return [domain.Photo(**item.model_dump()) for item in value]
        case list() if value and isinstance(value[0], RewardLimit):
            return [Limit(**item.model_dump()) for item in value]
    return value


def show_reward(reward: Reward) -> RewardOut:
    return RewardOut.model_validate(reward)


def show_version(version: RewardVersion) -> RewardVersionOut:
    return RewardVersionOut.model_validate(version)
