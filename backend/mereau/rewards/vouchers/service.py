"""What becomes of redemptions once the chain has spoken, and of their vouchers at the till."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from mereau.core.codes import digest_of
from mereau.core.db import WriteSession
from mereau.core.errors import NotFoundError
from mereau.journal import service as journal
from mereau.outbox import service as outbox
from mereau.outbox.models import OutboxEvent
from mereau.outbox.service import Event
from mereau.rewards import repository
from mereau.rewards.domain import voucher_code
from mereau.rewards.errors import VoucherExpiredError, VoucherNotGrantedError, VoucherUsedError
from mereau.rewards.kinds.domain import KINDS, DrawEntry
from mereau.rewards.models import Redemption
from mereau.rewards.pieces.service import give_pieces_back
from mereau.rewards.repository import Burning, Grant


def voucher_of(redemption: Redemption, secret: bytes) -> str | None:
    """The voucher's code for its member's eyes; None unless it is granted and unused, and handed over at a till."""
    is_shown = redemption.state == "granted" and redemption.voucher_digest is not None
    return voucher_code(secret, redemption.id) if is_shown else None


async def on_events(session: WriteSession, events: Sequence[OutboxEvent], secret: bytes, now: datetime) -> None:
    """Follow the ledger: a final burn grants what was promised, a rejected one gives the pieces back.

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
    said = []
    if granted := [item for item in waiting if item.entry_id in final]:
        await repository.grant(session, [_grant(item, secret, now) for item in granted], now)
        await repository.add_draw_entries(session, [item for item in granted if KINDS[item.kind] is DrawEntry], now)
        said += [Event("redemption.granted", item.id, _news(item)) for item in granted]
    if rejected := [item for item in waiting if item.entry_id in reasons]:
        await repository.reject(session, [(item.id, reasons[item.entry_id]) for item in rejected])
        await give_pieces_back(session, rejected)
        said += [
            Event("redemption.rejected", item.id, _news(item) | {"reason": reasons[item.entry_id]}) for item in rejected
        ]
    await outbox.publish(session, said, now)


def _news(item: Burning) -> dict[str, object]:
    return {"member_id": item.member_id, "reward_id": item.reward_id, "kind": item.kind}


def _grant(item: Burning, secret: bytes, now: datetime) -> Grant:
    if KINDS[item.kind].is_done_at_grant:
        return Grant(item.id, "used", None, None)
    digest = digest_of(voucher_code(secret, item.id))
    return Grant(item.id, "granted", digest, now + timedelta(days=item.validity_days))


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
    digest = None if code is None else digest_of(code)
    if (code is not None and digest is None) or (code is None and redemption_id is None):
        raise NotFoundError("There is no such voucher.")
    redemption = await repository.redemption(
        session, redemption_id=redemption_id, digest=digest, partner_id=partner_id, lock=True
    )
    if redemption is None:
        raise NotFoundError("There is no such voucher.")
    _require_usable(redemption, now)
    redemption.used_by_key_id = key_id
    await mark_used(session, redemption, now, actor=f"key:{key_id}")
    return redemption


async def mark_used(session: WriteSession, redemption: Redemption, now: datetime, *, actor: str) -> None:
    """Use a granted redemption whose row the caller has locked."""
    redemption.state, redemption.used_at = "used", now
    await session.flush()
    detail = {"partner_id": redemption.partner_id, "tokens": redemption.tokens}
    await journal.record(
        session, at=now, actor=actor, action="redemption.used", subject_id=redemption.id, detail=detail
    )
    payload = detail | {"member_id": redemption.member_id}
    await outbox.publish(session, [Event("redemption.used", redemption.id, payload)], now)


def _require_usable(redemption: Redemption, now: datetime) -> None:
    if redemption.state == "used" and redemption.used_at is not None:
        raise VoucherUsedError(redemption.used_at)
    expires_at = redemption.voucher_expires_at
    if redemption.state == "expired" or (redemption.state == "granted" and expires_at and expires_at <= now):
        raise VoucherExpiredError("The voucher has expired.")
    if redemption.state != "granted":
        raise VoucherNotGrantedError(f"The redemption is {redemption.state}.")


async def expire_vouchers(session: WriteSession, now: datetime, limit: int) -> int:
    """Expire up to `limit` vouchers whose time is over; how many. Tokens and pieces stay spent."""
    expired = await repository.expire(session, now, limit)
    await outbox.publish(
        session,
        [Event("redemption.expired", id_, {"member_id": member_id}) for id_, member_id, _ in expired],
        now,
    )
    return len(expired)
