"""Recording sales: valued by the active rule, counted once, credited through the ledger's door."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from mereau.core.db import WriteSession
from mereau.core.errors import MereauError
from mereau.core.ids import new_id
from mereau.earning.domain import evaluate
from mereau.earning.errors import RecordedOtherwiseError
from mereau.earning.rules.service import ActiveRule, active_rule
from mereau.earning.sales.domain import life, too_many_tokens
from mereau.journal import service as journal
from mereau.ledger import service as ledger
from mereau.outbox import service as outbox
from mereau.programs import service as programs
from mereau.programs.models import Program
from mereau.sales import repository
from mereau.sales.domain import RecordedSale, SaleDraft, inputs_digest, refusal
from mereau.sales.repository import Key, SaleRow

SaleOutcome = RecordedSale | MereauError
"""What became of one sale: recorded (perhaps before), or the reason why not."""

_Recorded = dict[Key, tuple[RecordedSale, bytes]]


async def record_sales(session: WriteSession, drafts: Sequence[SaleDraft], now: datetime) -> list[SaleOutcome]:
    """Record sales and credit what they earn; one outcome per draft, in the order of the drafts.

    A constant number of statements however many drafts. Idempotent by (partner, external id), for ever: the
    same content again gives the recorded sale with `duplicate`, other content a RecordedOtherwiseError in
    its place; an impossible sale gives an InvalidSaleError in its place. The others of the call stand.
    Raises NoActiveRuleError before a rule is active, and whatever `ledger.credit` refuses. Sales without a
    member or with no tokens are recorded without an entry. Waits for a running call with common references.
    """
    program = await programs.current(session)
    rule = await active_rule(session)
    outcomes: list[SaleOutcome | None] = [refusal(draft, program.currency, now) for draft in drafts]
    digests = {i: inputs_digest(drafts[i]) for i, refused in enumerate(outcomes) if refused is None}
    recorded = await repository.existing(session, [_key(drafts[i]) for i in digests])
    rows: dict[Key, SaleRow] = {}
    for i, digest in digests.items():
        key = _key(drafts[i])
        if key in recorded or key in rows:
            continue
        row = _value(drafts[i], digest, rule, now)
        outcomes[i] = too_many_tokens(row.tokens)
        if outcomes[i] is None:
            rows[key] = row
    recorded |= await _write(session, rows, program, now)
    for i, digest in digests.items():
        if outcomes[i] is None:
            outcomes[i] = _outcome(drafts[i], digest, recorded)
    return [outcome for outcome in outcomes if outcome is not None]


def _key(draft: SaleDraft) -> Key:
    return draft.partner_id, draft.external_id


def _value(draft: SaleDraft, digest: bytes, rule: ActiveRule, now: datetime) -> SaleRow:
    earned = evaluate(rule.spec, draft.lines, draft.shipping_minor)
    credited = draft.member_id is not None and earned.tokens > 0
    return SaleRow(
        id=new_id("sal", now),
        draft=draft,
        digest=digest,
        eligible_minor=earned.eligible_minor,
        # What nobody can be credited for is no token: the sale of an unknown customer earns nothing.
        tokens=earned.tokens if credited else 0,
        line_eligible_minor=earned.line_eligible_minor,
        line_tokens=earned.line_tokens if credited else (0,) * len(draft.lines),
        rule=rule.reference,
        entry_id=new_id("ent", now) if credited else None,
    )


async def _write(session: WriteSession, rows: dict[Key, SaleRow], program: Program, now: datetime) -> _Recorded:
    """Insert, credit and announce new sales; those that a running twin took are read back instead."""
    if not rows:
        return {}
    inserted = await repository.insert_new(session, list(rows.values()), now)
    fresh = {key: row for key, row in rows.items() if row.id in inserted}
    await _announce(session, list(fresh.values()), now)
    credits_ = [_credit(row, row.entry_id, program, now) for row in fresh.values() if row.entry_id]
    if credits_:
        await ledger.credit(session, credits_, now)
    written = {key: (_recorded(row), row.digest) for key, row in fresh.items()}
    overtaken = [key for key in rows if key not in fresh]
    return written | (await repository.existing(session, overtaken) if overtaken else {})


def _recorded(row: SaleRow) -> RecordedSale:
    return RecordedSale(
        id=row.id,
        partner_id=row.draft.partner_id,
        external_id=row.draft.external_id,
        member_id=row.draft.member_id,
        eligible_minor=row.eligible_minor,
        tokens=row.tokens,
        rule=row.rule,
        entry_id=row.entry_id,
    )


def _credit(row: SaleRow, entry_id: str, program: Program, now: datetime) -> ledger.Credit:
    draft = row.draft
    activates_at, expires_at = life(draft.occurred_at, now, program.activation_delay_s, program.token_life_days)
    return ledger.Credit(
        entry_id=entry_id,
        member_id=draft.member_id or "",
        partner_id=draft.partner_id,
        staff_id=draft.staff_id,
        tokens=row.tokens,
        source_id=row.id,
        source_reference=draft.external_id,
        rule=row.rule,
        reason_code="sale",
        occurred_at=draft.occurred_at,
        activates_at=activates_at,
        expires_at=expires_at,
    )


async def _announce(session: WriteSession, rows: Sequence[SaleRow], now: datetime) -> None:
    records, events = [], []
    for row in rows:
        draft = row.draft
        actor = f"staff:{draft.staff_id}" if draft.staff_id else f"partner:{draft.partner_id}"
        detail = {"external_id": draft.external_id, "tokens": row.tokens, "rule": row.rule}
        records.append(journal.Record(now, actor, "sale.recorded", row.id, detail))
        payload = detail | {"partner_id": draft.partner_id, "member_id": draft.member_id}
        events.append(outbox.Event("sale.recorded", row.id, payload))
    await journal.record_many(session, records)
    await outbox.publish(session, events, now)


def _outcome(draft: SaleDraft, digest: bytes, recorded: _Recorded) -> SaleOutcome:
    """The recorded sale for the first draft of a reference, the same as a duplicate for those after it."""
    key = _key(draft)
    sale, known_digest = recorded[key]
    if digest != known_digest:
        return RecordedOtherwiseError(
            f"The partner's sale {draft.external_id} is already recorded with other content, as {sale.id}."
        )
    recorded[key] = (replace(sale, duplicate=True), known_digest)
    return sale
