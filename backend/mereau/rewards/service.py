"""Redeeming tokens for rewards.

A redemption is `burning` from the moment its tokens are held, since the burn is ordered in the same
transaction; `held` is kept for redemptions that wait for a signature of their member. It is `granted`, and
what it promises is shown, only once the burn is final on chain.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import ConflictError, FieldError, InvalidInputError, NotFoundError
from mereau.core.ids import new_id
from mereau.journal import service as journal
from mereau.ledger import service as ledger
from mereau.outbox import service as outbox
from mereau.outbox.service import Event
from mereau.rewards import errors, repository
from mereau.rewards.availability import domain as availability_domain
from mereau.rewards.availability.domain import Obstacle, Visitor
from mereau.rewards.availability.service import counts_of, offer_of, visitor_of
from mereau.rewards.catalogue import repository as catalogue
from mereau.rewards.catalogue.domain import RewardDraft, price_for
from mereau.rewards.catalogue.service import create_reward, get_reward, list_rewards, set_status
from mereau.rewards.kinds.domain import PIECES_MAX, Asked, Terms, read_terms
from mereau.rewards.limits import repository as counters
from mereau.rewards.models import Redemption, Reward
from mereau.rewards.pieces.service import give_pieces_back
from mereau.rewards.pools import repository as pools
from mereau.rewards.vouchers.service import expire_vouchers, on_events, use, voucher_of

__all__ = [
    "Parcel", "RewardDraft", "Stockroom", "Wish", "cancel", "create_reward", "expire_vouchers", "get_redemption",
    "get_reward", "list_rewards", "on_events", "redeem", "set_status", "use", "voucher_of",
]  # fmt: skip

_REFUSALS: Final[Mapping[str, type[ConflictError]]] = {
    error.code: error
    for error in (
        errors.RewardInactiveError,
        errors.NotYetError,
        errors.EndedError,
        errors.OutOfStockError,
        errors.WrongTierError,
        errors.NotInAudienceError,
        errors.LimitReachedError,
        errors.NotBoughtError,
    )
}
_NOTHING_ASKED: Final = Asked()


@dataclass(frozen=True, slots=True)
class Wish:
    """A member wants pieces of a reward. `external_id` is the caller's number for it, which makes it count once.

    Where staff redeem, `partner_id` is theirs: only what that partner honours is there to be redeemed.
    """

    member_id: str
    reward_id: str
    external_id: str | None = None
    quantity: int = 1
    asked: Asked = _NOTHING_ASKED
    channel: str | None = None
    location_id: str | None = None
    staff_id: str | None = None
    partner_id: str | None = None


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a redemption takes from the stockroom: so many pieces of one of the goods, with these options."""

    redemption_id: str
    member_id: str
    partner_id: str
    goods: str
    options: Mapping[str, str]
    quantity: int


class Stockroom(Protocol):
    """Where the pieces of gifts lie. What it reserves it frees when it hears that the redemption came to nothing."""

    async def reserve(self, session: WriteSession, parcel: Parcel, now: datetime) -> None:
        """Reserve the pieces in the redemption's transaction.

        OutOfStockError where there are not so many; InvalidInputError naming `/options` that are missing or unknown.
        """


async def redeem(
    session: WriteSession, wish: Wish, now: datetime, *, stockroom: Stockroom | None = None, actor: str | None = None
) -> Redemption:
    """Reserve the pieces and their price, and order the burn; `burning` comes back. All pieces or none.

    The price and the promise are those of this moment. Idempotent by (member, external id): the same wish again
    gives the redemption that there is, another one RedeemedOtherwiseError. Refusals change nothing if the caller
    rolls back: NotFoundError, InvalidInputError for what is asked, one error per code of an obstacle,
    RewardChangedError, and those of `ledger.hold` (InsufficientBalanceError names the missing tokens). Locks the
    member's account, then the reward, then its counters.
    """
    if wish.external_id is not None:
        known = await repository.by_reference(session, wish.member_id, wish.external_id)
        if known is not None:
            return _same(known, wish)
    reward = await get_reward(session, wish.reward_id)
    if wish.partner_id not in {None, reward.partner_id}:
        raise NotFoundError("There is no such reward.")
    terms = read_terms(reward.terms)
    _check(terms, wish)
    visitor = await visitor_of(session, wish.member_id, [reward], location_id=wish.location_id, channel=wish.channel)
    _require_offered(reward, visitor, wish, now)
    price = price_for(reward.price_tokens, reward.tier_prices, visitor.tier_id)
    redemption = Redemption(
        id=new_id("red", now),
        external_id=wish.external_id,
        member_id=wish.member_id,
        reward_id=reward.id,
        partner_id=reward.partner_id,
        tokens=terms.cost_tokens(price, wish.asked, wish.quantity),
        state="burning",
        entry_id=new_id("ent", now),
        quantity=wish.quantity,
        reward_version=reward.version,
        kind=terms.kind,
        promise=terms.promise(wish.asked, wish.quantity),
        channel=wish.channel,
        location_id=wish.location_id,
        staff_id=wish.staff_id,
        created_at=now,
    )
    await _hold(session, redemption, now)
    await _take_pieces(session, redemption, reward, visitor, wish, now)
    if terms.draws_codes and await pools.draw(session, reward.id, redemption.id, wish.quantity) < wish.quantity:
        raise errors.OutOfStockError("There are not so many codes left.")
    if wish.asked.names:
        await repository.add_tickets(session, redemption.id, wish.asked.names)
    if terms.goods_offered:
        await _reserve(session, redemption, stockroom, now)
    await _announce(session, redemption, actor or f"member:{wish.member_id}", now)
    return redemption


def _same(known: Redemption, wish: Wish) -> Redemption:
    if (known.reward_id, known.quantity) != (wish.reward_id, wish.quantity):
        raise errors.RedeemedOtherwiseError(f"The reference {wish.external_id} names {known.id}.")
    return known


def _check(terms: Terms, wish: Wish) -> None:
    found = list(terms.unfit(wish.asked, wish.quantity))
    if not 1 <= wish.quantity <= PIECES_MAX:
        found.append(FieldError("/quantity", "out_of_range", f"Must be between 1 and {PIECES_MAX}."))
    if found:
        raise InvalidInputError("The wish does not fit the reward; see errors.", errors=found)


def _require_offered(reward: Reward, visitor: Visitor, wish: Wish, now: datetime) -> None:
    """Refuse by the first obstacle, naming all; balance and limits are judged where they are locked."""
    found = availability_domain.obstacles(offer_of(reward), visitor, [], now, quantity=wish.quantity, cost_tokens=0)
    if found:
        raise _refusal(found)


def _refusal(found: Sequence[Obstacle]) -> ConflictError:
    named = [FieldError("/reward_id", obstacle.code, obstacle.text_en) for obstacle in found]
    return _REFUSALS[found[0].code](f"{found[0].text_fr} / {found[0].text_en}", errors=named)


async def _hold(session: WriteSession, redemption: Redemption, now: datetime) -> None:
    await ledger.hold(
        session,
        entry_id=redemption.entry_id,
        member_id=redemption.member_id,
        partner_id=redemption.partner_id,
        tokens=redemption.tokens,
        source_id=redemption.id,
        source_reference=redemption.external_id or redemption.id,
        occurred_at=now,
        now=now,
    )


async def _take_pieces(
    session: WriteSession, redemption: Redemption, reward: Reward, visitor: Visitor, wish: Wish, now: datetime
) -> None:
    """Take the pieces from stock and limits, and write the redemption down."""
    if not await catalogue.take(session, reward.id, reward.version, wish.quantity):
        _require_offered(await get_reward(session, reward.id), visitor, wish, now)
        raise errors.RewardChangedError("The reward has just changed. Look at it again.")
    counts = await counts_of(session, reward, wish.member_id, now)
    exceeded = await counters.take(session, reward.id, counts, wish.quantity)
    if exceeded:
        raise _refusal([Obstacle("limit_reached", until=count.ends_at) for count in exceeded])
    redemption.counted = [list(count.key) for count in counts]
    if not await repository.add_redemption(session, redemption):
        raise ConflictError(f"The reference {wish.external_id} was taken a moment ago; ask for it again.")


async def _reserve(session: WriteSession, redemption: Redemption, stockroom: Stockroom | None, now: datetime) -> None:
    if stockroom is None:
        raise errors.OutOfStockError("Nobody keeps these goods here.")
    options = redemption.promise["options"]
    parcel = Parcel(
        redemption_id=redemption.id,
        member_id=redemption.member_id,
        partner_id=redemption.partner_id,
        goods=str(redemption.promise["goods"]),
        options={str(name): str(value) for name, value in options.items()} if isinstance(options, dict) else {},
        quantity=redemption.quantity,
    )
    await stockroom.reserve(session, parcel, now)


async def _announce(session: WriteSession, redemption: Redemption, actor: str, now: datetime) -> None:
    detail = {
        "reward_id": redemption.reward_id,
        "version": redemption.reward_version,
        "quantity": redemption.quantity,
        "tokens": redemption.tokens,
    }
    await journal.record(
        session, at=now, actor=actor, action="redemption.ordered", subject_id=redemption.id, detail=detail
    )
    payload = detail | {"member_id": redemption.member_id, "kind": redemption.kind}
    await outbox.publish(session, [Event("redemption.ordered", redemption.id, payload)], now)


async def cancel(
    session: WriteSession, redemption_id: str, reason: str, now: datetime, *, actor: str, member_id: str | None = None
) -> Redemption:
    """Take back a redemption whose burn is still queued: tokens and pieces are free again; idempotent.

    NotFoundError where there is none, or not this member's; NotCancellableError once the tokens are burned or given
    back, and HoldSettledError of the ledger while the burn is on its way to the chain.
    """
    redemption = await repository.redemption(session, redemption_id=redemption_id, member_id=member_id, lock=True)
    if redemption is None:
        raise NotFoundError("There is no such redemption.")
    if redemption.state == "cancelled":
        return redemption
    if redemption.state != "burning":
        raise errors.NotCancellableError(f"The redemption is {redemption.state}.")
    await ledger.void_hold(session, redemption.entry_id, reason, now)
    redemption.state, redemption.reason = "cancelled", reason
    await session.flush()
    await give_pieces_back(session, [redemption])
    await journal.record(
        session,
        at=now,
        actor=actor,
        action="redemption.cancelled",
        subject_id=redemption.id,
        detail={"reason": reason, "tokens": redemption.tokens},
    )
    payload = {"member_id": redemption.member_id, "reason": reason}
    await outbox.publish(session, [Event("redemption.cancelled", redemption.id, payload)], now)
    return redemption


async def get_redemption(
    session: ReadSession | WriteSession,
    redemption_id: str,
    *,
    member_id: str | None = None,
    partner_id: str | None = None,
) -> Redemption:
    """The redemption, if it is this member's and this partner's where they are given; else NotFoundError."""
    found = await repository.redemption(
        session, redemption_id=redemption_id, member_id=member_id, partner_id=partner_id
    )
    if found is None:
        raise NotFoundError("There is no such redemption.")
    return found
