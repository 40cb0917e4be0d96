"""What may be offered: texts, windows, audience, prices and limits of a reward. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from mereau.core.amounts import MAX_TOKENS
from mereau.core.errors import FieldError
from mereau.rewards.kinds.domain import Service, Terms
from mereau.rewards.limits import domain as limits_domain
from mereau.rewards.limits.domain import Limit

VALIDITY_DAYS_MAX: Final = 3_650

Status = Literal["draft", "active", "inactive"]


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture of the reward; both alternative texts are there for those who do not see it."""

    url: str
    alt_fr: str
    alt_en: str


@dataclass(frozen=True, slots=True)
class Audience:
    """For whom a reward is: each list that is not empty must name something of the member's or the occasion's."""

    tier_ids: Sequence[str] = ()
    segment_ids: Sequence[str] = ()
    location_ids: Sequence[str] = ()
    channels: Sequence[str] = ()


EVERYBODY: Final = Audience()
_VOUCHER: Final = Service()


@dataclass(frozen=True, slots=True)
class RewardDraft:
    """A reward to be offered; `stock` None is without limit, `validity_days` runs from the grant.

    It is shown from `visible_from` to `visible_until` and can be had from `active_from` to `active_until`.
    `tier_prices` are instead of `price_tokens` for members of those tiers (by tier id). Members whose spendable
    tokens reach `automatic_at_tokens` are given it by the daily job, at its price. Versions count its changes.
    """

    external_id: str
    partner_id: str
    name_fr: str
    name_en: str
    price_tokens: int
    stock: int | None = None
    validity_days: int = 90
    status: Status = "active"
    terms: Terms = _VOUCHER
    description_fr: str = ""
    description_en: str = ""
    category: str | None = None
    brand: str | None = None
    labels: Sequence[str] = ()
    photos: Sequence[Photo] = ()
    featured_position: int | None = None
    visible_from: datetime | None = None
    visible_until: datetime | None = None
    active_from: datetime | None = None
    active_until: datetime | None = None
    audience: Audience = EVERYBODY
    tier_prices: Mapping[str, int] = field(default_factory=dict)
    limits: Sequence[Limit] = ()
    automatic_at_tokens: int | None = None


def findings(draft: RewardDraft) -> Iterator[FieldError]:
    """What is wrong with a draft, field by field."""
    for name in ("external_id", "name_fr", "name_en"):
        if not str(getattr(draft, name)).strip():
            yield FieldError(f"/{name}", "empty", "Must not be empty.")
    yield from _price_findings(draft)
    if draft.stock is not None and not 0 <= draft.stock <= MAX_TOKENS:
        yield FieldError("/stock", "out_of_range", "Must be between 0 and 2^53 - 1, or absent.")
    if not 0 < draft.validity_days <= VALIDITY_DAYS_MAX:
        yield FieldError("/validity_days", "out_of_range", f"Must be between 1 and {VALIDITY_DAYS_MAX}.")
    for window in ("visible", "active"):
        start, end = getattr(draft, f"{window}_from"), getattr(draft, f"{window}_until")
        if start is not None and end is not None and end <= start:
            yield FieldError(f"/{window}_until", "before_start", f"Must be later than {window}_from.")
    yield from limits_domain.findings(draft.limits)
    if draft.terms.draws_codes and draft.stock is not None:
        yield FieldError("/stock", "counted_by_codes", "The uploaded codes are the stock.")
    if draft.terms.goods_offered and draft.stock is not None:
        yield FieldError("/stock", "counted_by_goods", "The goods have stocks of their own.")


def _price_findings(draft: RewardDraft) -> Iterator[FieldError]:
    if not 0 <= draft.price_tokens <= MAX_TOKENS:
        yield FieldError("/price_tokens", "out_of_range", "Must be between 1 and 2^53 - 1.")
    yield from draft.terms.findings(draft.price_tokens)
    for tier_id, tokens in draft.tier_prices.items():
        if not 0 < tokens <= MAX_TOKENS:
            yield FieldError(f"/tier_prices/{tier_id}", "out_of_range", "Must be between 1 and 2^53 - 1.")
    at_tokens = draft.automatic_at_tokens
    if at_tokens is None:
        return
    if not max(draft.price_tokens, 1) <= at_tokens <= MAX_TOKENS:
        yield FieldError("/automatic_at_tokens", "out_of_range", "Must be at least the price, and at most 2^53 - 1.")
    if draft.terms.asks or not draft.terms.is_bought:
        yield FieldError("/automatic_at_tokens", "asks", "Nobody is there to answer what this kind of reward asks.")


def price_for(price_tokens: int, tier_prices: Mapping[str, int], tier_id: str | None) -> int:
    """The price of a piece for a member of this tier."""
    return price_tokens if tier_id is None else tier_prices.get(tier_id, price_tokens)
