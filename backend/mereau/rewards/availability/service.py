"""Telling a member which rewards they can have, and what is missing for the others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import NotFoundError
from mereau.ledger.balances.queries import find_balance
from mereau.programs import service as programs
from mereau.rewards.availability import domain
from mereau.rewards.availability.domain import Obstacle, Offer, Visitor
from mereau.rewards.catalogue.domain import Audience, price_for
from mereau.rewards.catalogue.service import limits_of
from mereau.rewards.kinds.domain import read_terms
from mereau.rewards.limits import repository as counters
from mereau.rewards.limits.domain import Count, counts
from mereau.rewards.models import Reward
from mereau.rewards.pools import repository as pools
from mereau.segments.queries import memberships
from mereau.tiers.queries import tiers_of

Session = ReadSession | WriteSession


@dataclass(frozen=True, slots=True)
class Availability:
    """What one piece of a reward costs this member, and every reason why they cannot have it now."""

    reward: Reward
    price_tokens: int
    obstacles: Sequence[Obstacle]


async def visitor_of(
    session: Session,
    member_id: str,
    rewards: Sequence[Reward],
    *,
    available_tokens: int = 0,
    location_id: str | None = None,
    channel: str | None = None,
) -> Visitor:
    """The member as these rewards look at them. What none of them asks about costs no statement."""
    audiences = [Audience(**reward.audience) for reward in rewards]
    tier_id = None
    if any(reward.tier_prices for reward in rewards) or any(audience.tier_ids for audience in audiences):
        tier = (await tiers_of(session, [member_id])).get(member_id)
        tier_id = None if tier is None else tier.tier_id
    wanted = sorted({segment_id for audience in audiences for segment_id in audience.segment_ids})
    segments = (await memberships(session, [member_id], wanted))[member_id] if wanted else frozenset[str]()
    return Visitor(member_id, available_tokens, tier_id, segments, location_id, channel)


def offer_of(reward: Reward) -> Offer:
    """What decides who can have a reward."""
    return Offer(
        status=reward.status,
        stock=reward.stock,
        price_tokens=reward.price_tokens,
        tier_prices=reward.tier_prices,
        audience=Audience(**reward.audience),
        terms=read_terms(reward.terms),
        active_from=reward.active_from,
        active_until=reward.active_until,
    )


async def counts_of(session: Session, reward: Reward, member_id: str, now: datetime) -> list[Count]:
    """The counters that a redemption would move; without limits there is nothing to look up."""
    limits = limits_of(reward)
    if not limits:
        return []
    return counts(limits, member_id, now, ZoneInfo((await programs.current(session)).time_zone))


async def availabilities(
    session: Session,
    member_id: str,
    rewards: Sequence[Reward],
    now: datetime,
    *,
    location_id: str | None = None,
    channel: str | None = None,
) -> list[Availability]:
    """The rewards in their order, each with its price for this member and what stands in the way of one piece.

    A constant number of statements. NotFoundError where there is no such member.
    """
    balance = await find_balance(session, member_id)
    if balance is None:
        raise NotFoundError("There is no such member.")
    visitor = await visitor_of(
        session, member_id, rewards, available_tokens=balance.available, location_id=location_id, channel=channel
    )
    tz = ZoneInfo((await programs.current(session)).time_zone)
    ids = [reward.id for reward in rewards]
    taken = await counters.taken(session, ids, member_id)
    codes = await pools.free(session, ids)
    found = []
    for reward in rewards:
        offer = offer_of(reward)
        stock = codes.get(reward.id, 0) if offer.terms.draws_codes else offer.stock
        offer = replace(offer, stock=stock, taken=taken.get(reward.id, {}))
        in_the_way = domain.obstacles(
            offer, visitor, counts(limits_of(reward), member_id, now, tz), now, quantity=1, cost_tokens=None
        )
        price = price_for(offer.price_tokens, offer.tier_prices, visitor.tier_id)
        found.append(Availability(reward, price, in_the_way))
    return found
