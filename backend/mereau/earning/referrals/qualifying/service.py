"""Purchases make referrals count, returns undo them. Each step may run again: what is done already stays as it is."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from mereau.core.db import WriteSession
from mereau.core.ids import new_id
from mereau.earning.crediting.service import award
from mereau.earning.evaluation.facts.domain import MemberFacts, Occasion
from mereau.earning.limits.domain import starts_at
from mereau.earning.referrals import queries, repository
from mereau.earning.referrals.domain import may_qualify
from mereau.earning.referrals.repository import Qualified
from mereau.earning.terms import service as terms
from mereau.ledger import service as ledger
from mereau.members import queries as members
from mereau.outbox import service as outbox
from mereau.outbox.service import Event
from mereau.programs import service as programs

Side = Literal["referral_referrer", "referral_referred"]


async def qualify(session: WriteSession, sale_ids: Collection[str], now: datetime) -> None:
    """Let friends' purchases make their referrals count, up to each referrer's cap of the period.

    Beyond it the friend is credited and the referrer is not. A constant number of statements. Locks the referrers'
    codes, then the referrals.
    """
    bought = await queries.purchases(session, sale_ids)
    pending = await repository.lock_pending(session, {purchase.member_id for purchase in bought}) if bought else {}
    if not pending:
        return
    program, rules = await programs.current(session), await terms.current(session)
    since = starts_at(now, rules.referral_cap_period, ZoneInfo(program.time_zone))
    referrers = {referral.referrer_id for referral in pending.values()}
    credited = Counter(await repository.credited_since(session, referrers, since))
    told = []
    for purchase in bought:
        referral = pending.get(purchase.member_id)
        if referral is None or not may_qualify(
            purchase.occurred_at,
            purchase.kept_minor,
            referral.created_at,
            referral.expires_at,
            rules.referral_minimum_minor,
        ):
            continue
        del pending[purchase.member_id]
        referral.state, referral.sale_id, referral.qualified_at = "qualified", purchase.sale_id, now
        referral.is_capped = credited[referral.referrer_id] >= rules.referral_cap
        credited[referral.referrer_id] += not referral.is_capped
        payload = {
            "referrer_id": referral.referrer_id,
            "referred_id": referral.referred_id,
            "sale_id": purchase.sale_id,
            "is_capped": referral.is_capped,
        }
        told.append(Event("referral.qualified", referral.id, payload))
    await session.flush()
    await outbox.publish(session, told, now)


async def reward(session: WriteSession, side: Side, sale_ids: Collection[str], now: datetime) -> None:
    """Credit one side of the referrals that these sales made count; each is credited once."""
    found = await repository.qualified_by(session, sale_ids)
    sides = [(one, one.referrer_id if side == "referral_referrer" else one.referred_id) for one in found]
    known = await members.active_members(session, sorted({member_id for _, member_id in sides}), [])
    occasions = [
        _occasion(side, one, member_id)
        for one, member_id in sides
        if member_id in known.ids and not (side == "referral_referrer" and one.is_capped)
    ]
    await award(session, occasions, now)


def _occasion(side: Side, referral: Qualified, member_id: str) -> Occasion:
    return Occasion(
        trigger=side,
        occurred_at=referral.qualified_at,
        member=MemberFacts(member_id),
        source_id=referral.id,
        source_reference=referral.id,
    )


async def undo(session: WriteSession, sale_ids: Collection[str], now: datetime) -> None:
    """Cancel referrals whose purchase came back in time, and take both sides' tokens back, pending ones first.

    A purchase of which as much is kept as it takes stays one. Locks the referrals, then what `ledger.reverse` locks.
    """
    found = await repository.lock_qualified(session, sale_ids)
    if not found:
        return
    rules = await terms.current(session)
    kept = {one.sale_id: one.kept_minor for one in await queries.purchases(session, sale_ids)}
    gone = [
        one
        for one in found
        if now <= one.qualified_at + timedelta(days=rules.referral_return_days)
        and kept[one.sale_id] < max(rules.referral_minimum_minor, 1)
    ]
    if not gone:
        return
    await repository.cancel(session, [one.id for one in gone], "returned")
    await ledger.reverse(session, await _reversals(session, gone, now), now)
    told = [
        Event("referral.cancelled", one.id, {"referrer_id": one.referrer_id, "referred_id": one.referred_id})
        for one in gone
    ]
    await outbox.publish(session, told, now)


async def _reversals(session: WriteSession, gone: Sequence[Qualified], now: datetime) -> list[ledger.Reversal]:
    left = await queries.credits_left(session, [one.id for one in gone])
    return [
        ledger.Reversal(
            entry_id=new_id("ent", now),
            credit_entry_id=credit.entry_id,
            tokens=credit.tokens,
            partner_id=credit.partner_id,
            staff_id=None,
            source_id=credit.source_id,
            source_reference=credit.source_id,
            reason_code="return",
            occurred_at=now,
        )
        for credit in left
    ]


async def expire(session: WriteSession, now: datetime, limit: int) -> int:
    """End at most `limit` referrals that waited too long for a purchase; how many."""
    return await repository.expire(session, now, limit)
