"""Offering rewards, redeeming tokens for them, and using the vouchers that come of it.

A redemption is `burning` from the moment its tokens are held, since the burn is ordered in the same
transaction; `held` is kept for redemptions that wait for a signature of their member. It is `granted`, and
its voucher exists, only once the burn is final on chain.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from mereau.core.db import ReadSession, WriteSession
from mereau.core.errors import ConflictError, InvalidInputError, NotFoundError
from mereau.core.ids import new_id
from mereau.journal import service as journal
from mereau.ledger import service as ledger
from mereau.outbox import service as outbox
from mereau.outbox.models import OutboxEvent
from mereau.outbox.service import Event
from mereau.partners import service as partners
from mereau.rewards import domain, repository
from mereau.rewards.domain import Obstacle, RewardDraft, voucher_code, voucher_digest
from mereau.rewards.errors import (
    NotCancellableError,
    OutOfStockError,
    RedeemedOtherwiseError,
    RewardInactiveError,
    VoucherExpiredError,
    VoucherNotGrantedError,
    VoucherUsedError,
)
from mereau.rewards.models import Redemption, Reward

__all__ = [
    "Obstacle",
    "RewardDraft",
    "cancel",
    "create_reward",
    "expire_vouchers",
    "get_redemption",
    "get_reward",
    "list_rewards",
    "obstacles_for",
    "on_events",
    "redeem",
    "set_status",
    "use",
    "voucher_of",
]


async def create_reward(session: WriteSession, draft: RewardDraft, now: datetime, *, actor: str) -> Reward:
    """Offer a reward. InvalidInputError names the wrong fields; ConflictError for a taken external id."""
    if errors := list(domain.findings(draft)):
        raise InvalidInputError("The reward is not valid.", errors=errors)
    partner = await partners.get(session, draft.partner_id)
    reward = Reward(
        id=new_id("rwd", now),
        external_id=draft.external_id,
        partner_id=partner.id,
        name_fr=draft.name_fr,
        name_en=draft.name_en,
        price_tokens=draft.price_tokens,
        stock=draft.stock,
        validity_days=draft.validity_days,
        status=draft.status,
        created_at=now,
    )
    if not await repository.add_reward(session, reward):
        raise ConflictError(f"There is already a reward {draft.external_id}.")
    detail = {"external_id": draft.external_id, "price_tokens": draft.price_tokens, "stock": draft.stock}
    await journal.record(session, at=now, actor=actor, action="reward.created", subject_id=reward.id, detail=detail)
    return reward


async def set_status(
    session: WriteSession,
    reward_id: str,
    status: Literal["draft", "active", "inactive"],
    now: datetime,
    *,
    actor: str,
) -> Reward:
    """Offer a reward or take it from the catalogue; redemptions that run are not touched."""
    await get_reward(session, reward_id)
    await repository.set_status(session, reward_id, status)
    await journal.record(session, at=now, actor=actor, action=f"reward.{status}", subject_id=reward_id, detail={})
    return await get_reward(session, reward_id)


async def get_reward(session: ReadSession | WriteSession, reward_id: str) -> Reward:
    """The reward; NotFoundError where there is none."""
    reward = await repository.reward(session, reward_id)
    if reward is None:
        raise NotFoundError("There is no such reward.")
    return reward


async def list_rewards(
    session: ReadSession | WriteSession,
    *,
    after_id: str = "",
    limit: int = 20,
    status: str | None = None,
    partner_id: str | None = None,
) -> list[Reward]:
    """Rewards by id, which is by age, from the one after `after_id` on."""
    return await repository.rewards_after(session, after_id, limit, status=status, partner_id=partner_id)


async def obstacles_for(
    session: ReadSession | WriteSession, member_id: str, rewards: Sequence[Reward]
) -> dict[str, list[Obstacle]]:
    """Reward id -> why this member cannot have it now; empty lists where they can."""
    available = (await ledger.balance(session, member_id)).available
    return {
        reward.id: domain.obstacles(
            status=reward.status,
            stock=reward.stock,
            price_tokens=reward.price_tokens,
            available_tokens=available,
        )
        for reward in rewards
    }


async def redeem(
    session: WriteSession, member_id: str, reward_id: str, external_id: str | None, now: datetime
) -> Redemption:
    """Reserve a piece and its price, and order the burn; `burning` comes back.

    The price is that of this moment. Idempotent by (member, external id): the same reward again gives the
    redemption that there is, another one RedeemedOtherwiseError. Refusals change nothing: NotFoundError,
    RewardInactiveError, OutOfStockError, and those of `ledger.hold` (InsufficientBalanceError names the
    missing tokens). Locks the member's account, then the reward.
    """
    if external_id is not None:
        known = await repository.by_reference(session, member_id, external_id)
        if known is not None:
            if known.reward_id != reward_id:
                raise RedeemedOtherwiseError(f"The reference {external_id} names {known.id}.")
            return known
    reward = await get_reward(session, reward_id)
    _require_offered(reward)
    redemption = Redemption(
        id=new_id("red", now),
        external_id=external_id,
        member_id=member_id,
        reward_id=reward.id,
        partner_id=reward.partner_id,
        tokens=reward.price_tokens,
        state="burning",
        entry_id=new_id("ent", now),
        created_at=now,
    )
    await ledger.hold(
        session,
        entry_id=redemption.entry_id,
        member_id=member_id,
        partner_id=redemption.partner_id,
        tokens=redemption.tokens,
        source_id=redemption.id,
        source_reference=external_id or redemption.id,
        occurred_at=now,
        now=now,
    )
    if not await repository.take_one(session, reward.id):
        _require_offered(await get_reward(session, reward.id))
        raise OutOfStockError("Somebody else took the last piece.")
    if not await repository.add_redemption(session, redemption):
        raise ConflictError(f"The reference {external_id} was taken a moment ago; ask for it again.")
    detail = {"reward_id": reward.id, "tokens": redemption.tokens}
    await journal.record(
        session,
        at=now,
        actor=f"member:{member_id}",
        action="redemption.ordered",
        subject_id=redemption.id,
        detail=detail,
    )
    await outbox.publish(session, [Event("redemption.ordered", redemption.id, detail | {"member_id": member_id})], now)
    return redemption


def _require_offered(reward: Reward) -> None:
    if reward.status != "active":
        raise RewardInactiveError(f"The reward {reward.external_id} is not offered at present.")
    if reward.stock == 0:
        raise OutOfStockError(f"There is no piece of {reward.external_id} left.")


async def cancel(session: WriteSession, redemption_id: str, reason: str, now: datetime) -> Redemption:
    """Take back a redemption whose burn is still queued: tokens and piece are free again; idempotent.

    NotFoundError where there is none; NotCancellableError once the tokens are burned or given back, and
    HoldSettledError of the ledger while the burn is on its way to the chain.
    """
    redemption = await repository.redemption(session, redemption_id=redemption_id, lock=True)
    if redemption is None:
        raise NotFoundError("There is no such redemption.")
    if redemption.state == "cancelled":
        return redemption
    if redemption.state != "burning":
        raise NotCancellableError(f"The redemption is {redemption.state}.")
    await ledger.void_hold(session, redemption.entry_id, reason, now)
    redemption.state, redemption.reason = "cancelled", reason
    await session.flush()
    await repository.give_back(session, [redemption.reward_id])
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


def voucher_of(redemption: Redemption, secret: bytes) -> str | None:
    """The voucher's code for its member's eyes; None unless it is granted and unused."""
    return voucher_code(secret, redemption.id) if redemption.state == "granted" else None


async def on_events(session: WriteSession, events: Sequence[OutboxEvent], secret: bytes, now: datetime) -> None:
    """Follow the ledger: a final burn grants its voucher, a rejected one gives the piece back.

    Safe to repeat: only redemptions that are still `burning` are touched. A constant number of statements.
    The ledger has given the tokens of rejected ones back by itself.
    """
    reasons = {
        event.subject_id: str(event.payload["reason"])
        for event in events
        if event.type == "entry.rejected" and event.payload.get("kind") == "redeem"
    }
    final = {event.subject_id for event in events if event.type == "entry.final"} - reasons.keys()
    if not final and not reasons:
        return
    waiting = await repository.burning(session, sorted(final | reasons.keys()))
    granted = [item for item in waiting if item.entry_id in final]
    rejected = [item for item in waiting if item.entry_id in reasons]
    said = []
    if granted:
        await repository.grant(
            session,
            [(item.id, _digest_of(secret, item.id), now + timedelta(days=item.validity_days)) for item in granted],
        )
        said += [Event("redemption.granted", item.id, {"member_id": item.member_id}) for item in granted]
    if rejected:
        await repository.reject(session, [(item.id, reasons[item.entry_id]) for item in rejected])
        await repository.give_back(session, [item.reward_id for item in rejected])
        said += [
            Event(
                "redemption.rejected",
                item.id,
                {"member_id": item.member_id, "reason": reasons[item.entry_id]},
            )
            for item in rejected
        ]
    await outbox.publish(session, said, now)


def _digest_of(secret: bytes, redemption_id: str) -> bytes:
    digest = voucher_digest(voucher_code(secret, redemption_id))
    if digest is None:
        raise ValueError("a derived code is always a code")
    return digest


async def use(
    session: WriteSession,
    *,
    partner_id: str,
    key_id: str,
    now: datetime,
    redemption_id: str | None = None,
    code: str | None = None,
) -> Redemption:
    """Use a voucher, once, at the partner that honours it; found by code, by redemption, or by both agreeing.

    A wrong code, an unknown redemption and another partner's voucher are one NotFoundError. Of two who use
    one voucher at a time, the second gets VoucherUsedError: the redemption's row is locked.
    """
    digest = None if code is None else voucher_digest(code)
    if (code is not None and digest is None) or (code is None and redemption_id is None):
        raise NotFoundError("There is no such voucher.")
    redemption = await repository.redemption(
        session, redemption_id=redemption_id, digest=digest, partner_id=partner_id, lock=True
    )
    if redemption is None:
        raise NotFoundError("There is no such voucher.")
    if redemption.state == "used" and redemption.used_at is not None:
        raise VoucherUsedError(redemption.used_at)
    expires_at = redemption.voucher_expires_at
    if redemption.state == "expired" or (redemption.state == "granted" and expires_at and expires_at <= now):
        raise VoucherExpiredError("The voucher has expired.")
    if redemption.state != "granted":
        raise VoucherNotGrantedError(f"The redemption is {redemption.state}.")
    redemption.state, redemption.used_at, redemption.used_by_key_id = "used", now, key_id
    await session.flush()
    detail = {"partner_id": partner_id, "tokens": redemption.tokens}
    await journal.record(
        session,
        at=now,
        actor=f"key:{key_id}",
        action="redemption.used",
        subject_id=redemption.id,
        detail=detail,
    )
    payload = detail | {"member_id": redemption.member_id}
    await outbox.publish(session, [Event("redemption.used", redemption.id, payload)], now)
    return redemption


async def expire_vouchers(session: WriteSession, now: datetime, limit: int) -> int:
    """Expire up to `limit` vouchers whose time is over; how many. Tokens and pieces stay spent."""
    expired = await repository.expire(session, now, limit)
    await outbox.publish(
        session,
        [Event("redemption.expired", id_, {"member_id": member_id}) for id_, member_id, _ in expired],
        now,
    )
    return len(expired)
