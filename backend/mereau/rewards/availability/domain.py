"""Why a member cannot have a reward now, and what is missing, in words of both languages. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from mereau.rewards.catalogue.domain import Audience, price_for
from mereau.rewards.kinds.domain import Terms
from mereau.rewards.limits.domain import Count

_TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "inactive": ("Cette récompense n'est pas proposée en ce moment.", "This reward is not offered at present."),
    "not_yet": ("Disponible à partir du {until:%d/%m/%Y}.", "Available from {until:%Y-%m-%d}."),
    "ended": ("L'offre est terminée.", "The offer is over."),
    "out_of_stock": ("Il n'y en a plus.", "There is none left."),
    "wrong_tier": ("Réservée à d'autres paliers.", "Reserved for other tiers."),
    "not_in_audience": ("Réservée à d'autres membres, lieux ou canaux.", "Reserved for other members, places or ways."),
    "limit_reached": ("La limite est atteinte.", "The limit is reached."),
    "insufficient_balance": ("Encore {missing_tokens} jeton{s}.", "{missing_tokens} more token{s}."),
    "not_bought": ("Elle ne s'échange pas contre des jetons.", "Tokens do not buy it."),
}
CODES: Final = tuple(_TEXTS)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One reason why a member cannot have a reward now.

    `missing_tokens` is for insufficient_balance; `until` says when that may change by itself; `needs` names the
    tiers, segments, places or ways of which one is needed.
    """

    code: str
    missing_tokens: int | None = None
    until: datetime | None = None
    needs: Sequence[str] = ()

    @property
    def text_fr(self) -> str:
        return self._text(0)

    @property
    def text_en(self) -> str:
        return self._text(1)

    def _text(self, language: int) -> str:
        plural = "" if self.missing_tokens == 1 else "s"
        return _TEXTS[self.code][language].format(missing_tokens=self.missing_tokens, until=self.until, s=plural)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks, as far as rewards look at it; `location_id` and `channel` are the occasion's."""

    member_id: str
    available_tokens: int
    tier_id: str | None = None
    segment_ids: frozenset[str] = frozenset()
    location_id: str | None = None
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A reward as it stands: what decides who can have it."""

    status: str
    stock: int | None
    price_tokens: int
    tier_prices: Mapping[str, int]
    audience: Audience
    terms: Terms
    active_from: datetime | None
    active_until: datetime | None
    taken: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    """Pieces that were taken, by the keys of the counters."""


def obstacles(
    offer: Offer, visitor: Visitor, counts: Sequence[Count], now: datetime, *, quantity: int, cost_tokens: int | None
) -> list[Obstacle]:
    """Every reason why this visitor cannot have so many pieces now; none where they can.

    `cost_tokens` is what they would pay, None for the price of the pieces.
    """
    price = price_for(offer.price_tokens, offer.tier_prices, visitor.tier_id) * quantity
    missing = (price if cost_tokens is None else cost_tokens) - visitor.available_tokens
    return [
        *_of_offer(offer, now, quantity),
        *_of_audience(offer.audience, visitor),
        *_of_limits(offer.taken, counts, quantity),
        *([Obstacle("insufficient_balance", missing_tokens=missing)] if missing > 0 else []),
    ]


def _of_offer(offer: Offer, now: datetime, quantity: int) -> Iterator[Obstacle]:
    if offer.status != "active":
        yield Obstacle("inactive")
    if not offer.terms.is_bought:
        yield Obstacle("not_bought")
    if offer.active_from is not None and now < offer.active_from:
        yield Obstacle("not_yet", until=offer.active_from)
    if offer.active_until is not None and offer.active_until <= now:
        yield Obstacle("ended")
    if offer.stock is not None and offer.stock < quantity:
        yield Obstacle("out_of_stock")


def _of_audience(audience: Audience, visitor: Visitor) -> Iterator[Obstacle]:
    if audience.tier_ids and visitor.tier_id not in audience.tier_ids:
        yield Obstacle("wrong_tier", needs=tuple(audience.tier_ids))
    if audience.segment_ids and not visitor.segment_ids.intersection(audience.segment_ids):
        yield Obstacle("not_in_audience", needs=tuple(audience.segment_ids))
    if audience.location_ids and visitor.location_id not in audience.location_ids:
        yield Obstacle("not_in_audience", needs=tuple(audience.location_ids))
    if audience.channels and visitor.channel not in audience.channels:
        yield Obstacle("not_in_audience", needs=tuple(audience.channels))


def _of_limits(taken: Mapping[tuple[str, str, str], int], counts: Sequence[Count], quantity: int) -> Iterator[Obstacle]:
    for count in counts:
        if taken.get(count.key, 0) + quantity > count.pieces_max:
            yield Obstacle("limit_reached", until=count.ends_at)
