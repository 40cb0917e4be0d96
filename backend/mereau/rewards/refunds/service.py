"""Undoing redemptions: cancelled before the burn, refunded after it."""

from datetime import datetime

from mereau.core.db import WriteSession
from mereau.core.errors import NotFoundError
from mereau.journal import service as journal
from mereau.ledger.refunds import service as ledger_refunds
from mereau.outbox import service as outbox
from mereau.outbox.service import Event
from mereau.rewards import repository
from mereau.rewards import service as rewards
from mereau.rewards.errors import NotRefundableError
from mereau.rewards.models import Redemption
from mereau.rewards.pieces.service import give_pieces_back
from mereau.rewards.pools import repository as pools


async def refund(
    session: WriteSession, redemption_id: str, reason: str, now: datetime, *, actor: str, partner_id: str | None = None
) -> Redemption:
    """Give tokens and pieces of a granted, unused redemption back; idempotent.

    The tokens come back lot by lot, by their issuers and with their original expiry, see `ledger.refunds`. Of two
    who refund, or of one who refunds and one who uses the voucher, the second is refused: the row is locked.
    NotFoundError where there is none, or not of this partner; NotRefundableError for what is used, over, not
    granted, or showed codes that another shop's till takes without asking us.
    """
    redemption = await repository.redemption(session, redemption_id=redemption_id, partner_id=partner_id, lock=True)
    if redemption is None:
        raise NotFoundError("There is no such redemption.")
    if redemption.state == "refunded":
        return redemption
    await _require_refundable(session, redemption, now)
    refunded = await ledger_refunds.refund(session, redemption.entry_id, now, actor=actor)
    redemption.state, redemption.reason, redemption.refunded_at = "refunded", reason, now
    await session.flush()
    await give_pieces_back(session, [redemption])
    detail = {"reason": reason, "tokens": refunded.tokens, "withheld_tokens": refunded.withheld_tokens}
    await journal.record(
        session, at=now, actor=actor, action="redemption.refunded", subject_id=redemption.id, detail=detail
    )
    payload = detail | {"member_id": redemption.member_id}
    await outbox.publish(session, [Event("redemption.refunded", redemption.id, payload)], now)
    return redemption


async def undo(session: WriteSession, redemption_id: str, reason: str, now: datetime, *, actor: str) -> Redemption:
    """Cancel a redemption that waits for its burn, refund one that is granted; refusals as of either."""
    redemption = await rewards.get_redemption(session, redemption_id)
    if redemption.state in {"burning", "cancelled"}:
        return await rewards.cancel(session, redemption_id, reason, now, actor=actor)
    return await refund(session, redemption_id, reason, now, actor=actor)


async def _require_refundable(session: WriteSession, redemption: Redemption, now: datetime) -> None:
    if redemption.state != "granted":
        raise NotRefundableError(f"The redemption is {redemption.state}.")
    if redemption.voucher_expires_at is not None and redemption.voucher_expires_at <= now:
        raise NotRefundableError("The voucher has expired.")
    if await pools.codes_of(session, redemption.id):
        raise NotRefundableError("Its codes were shown, and another shop may take them.")
