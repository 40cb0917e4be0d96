"""Reads entries and lots for the trail. Records are built anew from their columns, so that edits show."""

from collections.abc import Sequence

from sqlalchemy import text

from mereau.core.db import ReadSession
from mereau.ledger.domain import Record, document_hash, record_fields
from mereau.ledger.trail.domain import DisclosedRecord, WalletFigures
from mereau.partners import service as partners

_ENTRIES = text("""
    select e.id, e.kind, e.partner_id, e.wallet, e.tokens, e.rule, e.reason_code, e.source_id, e.source_reference,
           e.document_salt, e.record_salt, e.occurred_at,
           coalesce((select min(x.from_at) from lot_extensions x where x.lot_entry_id = l.entry_id), l.expires_at)
             as expires_at
    from entries e left join lots l on l.entry_id = e.id
    where e.id = any(:ids) and e.record_salt is not null and e.document_salt is not null
""")

_FIGURES = text("""
    with owners as (select distinct member_id, wallet from entries),
         held as (
           select member_id, coalesce(sum(remaining) filter (where state <> 'pending'), 0) + sum(held) as tokens
           from lots group by member_id
         )
    select o.wallet, a.available, a.held, coalesce(h.tokens, 0)
    from accounts a join owners o using (member_id) left join held h using (member_id)
    where a.available <> 0 or a.held <> 0 or coalesce(h.tokens, 0) <> 0
""")


async def disclosed_records(session: ReadSession, entry_ids: Sequence[str]) -> dict[str, DisclosedRecord]:
    """Records with their salts by entry id; erased ones are missing."""
    rows = (await session.execute(_ENTRIES.bindparams(ids=list(entry_ids)))).all()
    numbers = await partners.numbers(session, sorted({row.partner_id for row in rows if row.partner_id}))
    disclosed = {}
    for row in rows:
        record = Record(
            id=row.id,
            kind=row.kind,
            partner_number=numbers.get(row.partner_id),
            wallet=row.wallet,
            tokens=row.tokens,
            rule=row.rule,
            reason_code=row.reason_code,
            document=document_hash(row.document_salt, row.source_id, row.source_reference),
            occurred_at=row.occurred_at,
            expires_at=row.expires_at,
        )
        disclosed[row.id] = DisclosedRecord(record_fields(record), row.record_salt)
    return disclosed


async def wallet_figures(session: ReadSession) -> list[WalletFigures]:
    """Each wallet's counters and what its lots hold, where any of them is not zero."""
    rows = await session.execute(_FIGURES)
    return [WalletFigures(bytes(wallet), available, held, int(lots)) for wallet, available, held, lots in rows]
