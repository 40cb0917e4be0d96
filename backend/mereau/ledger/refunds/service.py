"""Refunds: a burn is final on chain, so what it took is issued again, lot by lot, as it was."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mereau.core.db import WriteSession
from mereau.core.errors import NotFoundError
from mereau.core.ids import new_id
from mereau.journal import service as journal
from mereau.journal.service import Record
from mereau.ledger import repository
from mereau.ledger import service as ledger
from mereau.ledger.domain import EntryKind, Lot, ReasonCode, Use
from mereau.ledger.lineage import domain as lineage_domain
from mereau.ledger.lineage import repository as lineage
from mereau.ledger.lineage.repository import Refund
from mereau.ledger.lineage.service import settled
from mereau.ledger.refunds.domain import refund_expiry
from mereau.ledger.service import Credit
from mereau.programs import service as programs


@dataclass(frozen=True, slots=True)
class Refunded:
    """What a refund gave back, and what it kept since the goods that had earned it were returned."""

    tokens: int
    withheld_tokens: int


async def refund(session: WriteSession, redeem_entry_id: str, now: datetime, *, actor: str) -> Refunded:
    """Issue a burned redemption's tokens again: each lot's by the partner that issued it, with its original expiry.

    The redemption's burn must be final, and refunded once: a second time is psycopg's IntegrityError. Tokens whose
    expiry has passed get a time of grace, which is journalled. Where the programme forgives what returns could not
    take (`clamp`), that part is withheld; under `debt` the debt is still owed. Locks the account.
    NotFoundError where there is no such redemption.
    """
    line = (await repository.lines(session, [redeem_entry_id])).get(redeem_entry_id)
    if line is None or line.kind != EntryKind.REDEEM:
        raise NotFoundError("There is no such redemption.")
    await repository.lock_accounts(session, [line.member_id])
    uses = await repository.uses_of_entries(session, [redeem_entry_id])
    origins = await lineage.origins(session, [use.lot_entry_id for use in uses])
    origin_ids = sorted({origins.get(use.lot_entry_id, use.lot_entry_id) for use in uses})
    earlier = await lineage.refunds_of_origins(session, origin_ids)
    wanted = {*origin_ids, *(use.lot_entry_id for use in uses), *(item.entry_id for item in earlier if item.entry_id)}
    lots = {lot.entry_id: lot for lot in await repository.lots_of_entries(session, wanted)}
    forgives = (await programs.current(session)).return_policy == "clamp"
    done = settled(earlier, lots)
    refunds = []
    for use in uses:
        origin_id = origins.get(use.lot_entry_id, use.lot_entry_id)
        kept = lineage_domain.withheld(lots[origin_id], use.tokens, settled=done.get(origin_id, 0)) if forgives else 0
        done[origin_id] = done.get(origin_id, 0) + kept
        refunds.append(_refund(use, origin_id, kept, now))
    credits_ = [
        _credit(item, lots[item.lot_entry_id], line.source_id, line.source_reference, now)
        for item in refunds
        if item.entry_id is not None
    ]
    await ledger.credit(session, credits_, now)
    await lineage.add(session, refunds)
    await journal.record_many(session, _graces(refunds, lots, now, actor))
    return Refunded(sum(item.tokens for item in refunds), sum(item.withheld_tokens for item in refunds))


def _refund(use: Use, origin_id: str, kept: int, now: datetime) -> Refund:
    tokens = use.tokens - kept
    entry_id = new_id("ent", now) if tokens else None
    return Refund(use.entry_id, use.lot_entry_id, origin_id, entry_id, tokens, kept)


def _credit(item: Refund, lot: Lot, source_id: str, source_reference: str, now: datetime) -> Credit:
    return Credit(
        entry_id=str(item.entry_id),
        member_id=lot.member_id,
        partner_id=lot.partner_id,
        staff_id=None,
        tokens=item.tokens,
        source_id=source_id,
        source_reference=source_reference,
        rule=None,
        reason_code=ReasonCode.REFUND,
        occurred_at=now,
        activates_at=now,
        expires_at=refund_expiry(lot.expires_at, now),
    )


def _graces(refunds: list[Refund], lots: Mapping[str, Lot], now: datetime, actor: str) -> list[Record]:
    return [
        Record(
            now,
            actor,
            "refund.grace",
            item.entry_id,
            {"expired_at": expired_at.isoformat(), "tokens": item.tokens, "lot_entry_id": item.lot_entry_id},
        )
        for item in refunds
        if item.entry_id is not None
        and (expired_at := lots[item.lot_entry_id].expires_at) is not None
        and expired_at <= now
    ]
