"""Recording returns: units go back per line and cumulatively, tokens through the ledger's door."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from mereau.core.db import WriteSession
from mereau.core.errors import MereauError, NotFoundError
from mereau.core.ids import new_id
from mereau.earning.errors import RecordedOtherwiseError
from mereau.earning.returns.uncounting.service import uncount
from mereau.journal import service as journal
from mereau.ledger import service as ledger
from mereau.outbox import service as outbox
from mereau.sales.returns import repository
from mereau.sales.returns.domain import (
    OpenLine,
    RecordedReturn,
    ReturnDraft,
    Share,
    inputs_digest,
    line_refusal,
    merged,
    refusal,
)
from mereau.sales.returns.repository import Candidate, Key, LockedSale, ReturnRow

ReturnOutcome = RecordedReturn | MereauError
"""What became of one return: recorded (perhaps before), or the reason why not."""

_Recorded = dict[Key, tuple[RecordedReturn, bytes]]
_Lines = dict[tuple[str, int], OpenLine]


async def record_returns(session: WriteSession, drafts: Sequence[ReturnDraft], now: datetime) -> list[ReturnOutcome]:
    """Record returns and reverse what the goods had earned; one outcome per draft, in the drafts' order.

    A constant number of statements however many drafts; several may touch one sale. Idempotent by (partner,
    external id, sale), for ever: the same content again gives the recorded return with `duplicate`, other
    content a RecordedOtherwiseError in its place. In place of an impossible one stand NotFoundError (no such
    sale of this partner), InvalidSaleError or OverReturnError; the others of the call stand. Locks the sales'
    rows, so returns of one sale follow each other. A sale's reversals never exceed what it was credited.
    """
    outcomes: list[ReturnOutcome | None] = [refusal(draft, now) for draft in drafts]
    possible = [i for i, refused in enumerate(outcomes) if refused is None]
    sales = await repository.lock_sales(session, [drafts[i].sale_id for i in possible])
    for i in possible:
        sale = sales.get(drafts[i].sale_id)
        if sale is None or sale.partner_id != drafts[i].partner_id:
            outcomes[i] = NotFoundError("There is no such sale.")
    possible = [i for i in possible if outcomes[i] is None]
    recorded = await repository.existing(session, [_key(drafts[i]) for i in possible])
    keys = {(drafts[i].sale_id, number): None for i in possible for number, _ in drafts[i].lines}
    lines = await repository.lines(session, list(keys))
    digests = {i: inputs_digest(drafts[i]) for i in possible}
    rows: dict[Key, ReturnRow] = {}
    for i in possible:
        key = _key(drafts[i])
        if key in recorded or key in rows:
            continue
        outcomes[i] = line_refusal(drafts[i], lines)
        if outcomes[i] is None:
            rows[key] = _apply(drafts[i], digests[i], sales[drafts[i].sale_id], lines, now)
    recorded |= await _write(session, rows, sales, lines, now)
    for i in possible:
        if outcomes[i] is None:
            outcomes[i] = _outcome(drafts[i], digests[i], recorded)
    return [outcome for outcome in outcomes if outcome is not None]


async def recorded_references(session: WriteSession, partner_id: str, external_ids: Sequence[str]) -> set[str]:
    """Which of a partner's references name a recorded return, whatever sales it touches."""
    return await repository.references(session, partner_id, external_ids)


async def match_candidates(
    session: WriteSession, partner_id: str, keys: Sequence[tuple[str, str, int]]
) -> list[Candidate]:
    """Lines with open units of this partner's sales by (member id, SKU, unit price in millionths).

    The latest first: by the sale's time, then by the line's number. Locks their sales until the transaction
    ends, so that what is matched can still be returned.
    """
    found = await repository.candidates(session, partner_id, sorted(set(keys)))
    return sorted(found, key=lambda line: (line.occurred_at, line.sale_id, line.line_number), reverse=True)


def _key(draft: ReturnDraft) -> Key:
    return draft.partner_id, draft.external_id, draft.sale_id


def _apply(draft: ReturnDraft, digest: bytes, sale: LockedSale, lines: _Lines, now: datetime) -> ReturnRow:
    units = merged(draft.lines)
    touched = [lines[draft.sale_id, number] for number in units]
    before = _reversed_by_entry(sale, touched)
    line_tokens = [
        (number, quantity, line.take_back(quantity))
        for (number, quantity), line in zip(units.items(), touched, strict=True)
    ]
    after = _reversed_by_entry(sale, touched)
    return ReturnRow(
        id=new_id("ret", now),
        draft=draft,
        digest=digest,
        tokens_due=sum(tokens for _, _, tokens in line_tokens),
        dues={entry_id: tokens - before[entry_id] for entry_id, tokens in after.items() if tokens > before[entry_id]},
        line_tokens=line_tokens,
    )


def _reversed_by_entry(sale: LockedSale, lines: Sequence[OpenLine]) -> dict[str, int]:
    """What has come back of each entry on these lines."""
    if sale.entry_id is None:
        return {}
    totals: dict[str, int] = {}
    for line in lines:
        for share in line.shares or [Share(sale.entry_id, "", line.tokens, line.reversed_tokens)]:
            totals[share.entry_id] = totals.get(share.entry_id, 0) + share.reversed_tokens
    return totals


async def _write(
    session: WriteSession, rows: dict[Key, ReturnRow], sales: Mapping[str, LockedSale], lines: _Lines, now: datetime
) -> _Recorded:
    if not rows:
        return {}
    await uncount(session, list(rows.values()), sales, lines, now)
    due = [(row, entry_id, tokens) for row in rows.values() for entry_id, tokens in row.dues.items()]
    reversals = [_reversal(*one, now) for one in due]
    posted = await ledger.reverse(session, reversals, now) if reversals else []
    results: dict[str, list[ledger.PostedReversal]] = {}
    for (row, _, _), result in zip(due, posted, strict=True):
        results.setdefault(row.id, []).append(result)
    done = [(row, _recorded(row, results.get(row.id, []))) for row in rows.values()]
    touched = {(row.draft.sale_id, number): None for row in rows.values() for number, _, _ in row.line_tokens}
    await repository.insert(session, done, {key: lines[key] for key in touched}, now)
    await _announce(session, done, now)
    return {_key(row.draft): (result, row.digest) for row, result in done}


def _reversal(row: ReturnRow, credit_entry_id: str, tokens: int, now: datetime) -> ledger.Reversal:
    return ledger.Reversal(
        entry_id=new_id("ent", now),
        credit_entry_id=credit_entry_id,
        tokens=tokens,
        partner_id=row.draft.partner_id,
        staff_id=row.draft.staff_id,
        source_id=row.id,
        source_reference=row.draft.external_id,
        reason_code="return",
        occurred_at=row.draft.occurred_at,
    )


def _recorded(row: ReturnRow, posted: Sequence[ledger.PostedReversal]) -> RecordedReturn:
    """The return; of several entries that took tokens back it names the first."""
    entry_ids = [result.entry_id for result in posted if result.entry_id is not None]
    return RecordedReturn(
        id=row.id,
        sale_id=row.draft.sale_id,
        partner_id=row.draft.partner_id,
        external_id=row.draft.external_id,
        tokens_due=row.tokens_due,
        tokens_reversed=sum(result.cancelled_tokens + result.reversed_tokens for result in posted),
        entry_id=entry_ids[0] if entry_ids else None,
    )


async def _announce(session: WriteSession, rows: Sequence[tuple[ReturnRow, RecordedReturn]], now: datetime) -> None:
    records, events = [], []
    for row, done in rows:
        draft = row.draft
        actor = f"staff:{draft.staff_id}" if draft.staff_id else f"partner:{draft.partner_id}"
        detail = {
            "external_id": draft.external_id,
            "sale_id": draft.sale_id,
            "tokens_due": done.tokens_due,
            "tokens_reversed": done.tokens_reversed,
        }
        records.append(journal.Record(now, actor, "return.recorded", row.id, detail))
        events.append(outbox.Event("return.recorded", row.id, detail | {"partner_id": draft.partner_id}))
    await journal.record_many(session, records)
    await outbox.publish(session, events, now)


def _outcome(draft: ReturnDraft, digest: bytes, recorded: _Recorded) -> ReturnOutcome:
    key = _key(draft)
    done, known_digest = recorded[key]
    if digest != known_digest:
        return RecordedOtherwiseError(
            f"The partner's return {draft.external_id} of this sale is already recorded with other content."
        )
    recorded[key] = (replace(done, duplicate=True), known_digest)
    return done
