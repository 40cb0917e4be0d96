"""Recording sales: valued by the active rules, counted once, credited through the ledger's door."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from mereau.core.db import WriteSession
from mereau.core.errors import MereauError
from mereau.core.ids import new_id
from mereau.earning.crediting.service import Valuer, credit_of, new_entry_ids, open_valuer
from mereau.earning.errors import RecordedOtherwiseError
from mereau.earning.evaluation.domain import Outcome
from mereau.earning.evaluation.facts.domain import Occasion
from mereau.earning.limits.domain import CounterKey
from mereau.earning.limits.service import note_steps
from mereau.earning.rules.service import sale_rules
from mereau.earning.sales.domain import too_many_tokens
from mereau.journal import service as journal
from mereau.ledger import service as ledger
from mereau.outbox import service as outbox
from mereau.programs import service as programs
from mereau.programs.lives.domain import Lives
from mereau.programs.settings.service import lives_of
from mereau.sales import repository
from mereau.sales.domain import RecordedSale, SaleAward, SaleDraft, inputs_digest, refusal
from mereau.sales.repository import AwardRow, Key, SaleRow

SaleOutcome = RecordedSale | MereauError
"""What became of one sale: recorded (perhaps before), or the reason why not."""

_Recorded = dict[Key, tuple[RecordedSale, bytes]]


async def record_sales(session: WriteSession, drafts: Sequence[SaleDraft], now: datetime) -> list[SaleOutcome]:
    """Record sales and credit what they earn, an entry for each rule; one outcome per draft, in their order.

    A constant number of statements however many drafts. Idempotent by (partner, external id), for ever: the
    same content again gives the recorded sale with `duplicate`, other content a RecordedOtherwiseError in
    its place; an impossible sale gives an InvalidSaleError in its place. The others of the call stand.
    Raises NoActiveRuleError before a rule is active, and whatever `ledger.credit` refuses. Sales without a
    member or with no tokens are recorded without an entry. Locks the counters of limited rules, and waits for
    a running call with common references.
    """
    program = await programs.current(session)
    rules = await sale_rules(session)
    outcomes: list[SaleOutcome | None] = [refusal(draft, program.currency, now) for draft in drafts]
    digests = {i: inputs_digest(drafts[i]) for i, refused in enumerate(outcomes) if refused is None}
    recorded = await repository.existing(session, [_key(drafts[i]) for i in digests])
    new: dict[Key, int] = {}
    for i in digests:
        if _key(drafts[i]) not in recorded:
            new.setdefault(_key(drafts[i]), i)
    moments = [(drafts[i].member_id, drafts[i].occurred_at) for i in new.values()]
    valuer = await open_valuer(session, rules, moments, ZoneInfo(program.time_zone))
    if rules.counted and new:  # Whoever held the counters may have recorded some of these.
        recorded |= await repository.existing(session, list(new))
    valued: dict[Key, _Valued] = {}
    for key, i in new.items():
        if key not in recorded:
            sale = _value(new_id("sal", now), drafts[i], digests[i], valuer, now)
            outcomes[i] = too_many_tokens(sale.outcome.tokens)
            if outcomes[i] is None:
                valuer.count(sale.outcome, buyer_id=drafts[i].member_id)
                valued[key] = sale
    recorded |= await _write(session, valued, valuer, lives_of(program), now)
    for i, digest in digests.items():
        if outcomes[i] is None:
            outcomes[i] = _outcome(drafts[i], digest, recorded, first=new.get(_key(drafts[i])) == i)
    return [outcome for outcome in outcomes if outcome is not None]


async def assign_sale(session: WriteSession, sale_id: str, draft: SaleDraft, now: datetime) -> RecordedSale:
    """Let a recorded sale of nobody known earn for the member of `draft`, as it would have when it happened.

    The caller holds the lock of the sale's row, of which nothing came back yet. Raises what `record_sales` raises,
    and InvalidSaleError where the sale would earn too much. Locks the counters of limited rules.
    """
    program = await programs.current(session)
    moments = [(draft.member_id, draft.occurred_at)]
    valuer = await open_valuer(session, await sale_rules(session), moments, ZoneInfo(program.time_zone))
    sale = _value(sale_id, draft, b"", valuer, now)
    if (refused := too_many_tokens(sale.outcome.tokens)) is not None:
        raise refused
    await repository.assign(session, sale.row)
    await valuer.keep(session, [sale.outcome], now)
    await note_steps(session, _steps([sale]))
    await ledger.credit(session, list(_credits(sale, lives_of(program), now)), now)
    return _recorded(sale.row)


@dataclass(frozen=True, slots=True)
class _Valued:
    """A sale on its way into the books: what it is to the rules, what they gave, and its row."""

    occasion: Occasion
    outcome: Outcome
    row: SaleRow


def _key(draft: SaleDraft) -> Key:
    return draft.partner_id, draft.external_id


def _value(sale_id: str, draft: SaleDraft, digest: bytes, valuer: Valuer, now: datetime) -> _Valued:
    occasion = Occasion(
        trigger="sale",
        occurred_at=draft.occurred_at,
        member=valuer.member(draft.member_id),
        source_id=sale_id,
        source_reference=draft.external_id,
        partner_id=draft.partner_id,
        location_id=draft.location_id,
        staff_id=draft.staff_id,
        channel=draft.channel,
        lines=draft.lines,
        shipping_minor=draft.shipping_minor,
    )
    outcome = valuer.value(occasion)
    entry_ids = new_entry_ids(len(outcome.fired), now)
    row = SaleRow(
        id=sale_id,
        draft=draft,
        digest=digest,
        eligible_minor=outcome.eligible_minor,
        tokens=outcome.tokens,
        line_eligible_minor=outcome.line_eligible_minor,
        line_tokens=outcome.line_tokens,
        rule=outcome.lead.reference,
        awards=[
            AwardRow(SaleAward(fired.rule.reference, entry_id, fired.tokens), fired.line_tokens)
            for fired, entry_id in zip(outcome.fired, entry_ids, strict=True)
        ],
    )
    return _Valued(occasion, outcome, row)


async def _write(
    session: WriteSession, valued: dict[Key, _Valued], valuer: Valuer, lives: Lives, now: datetime
) -> _Recorded:
    """Insert, count, credit and announce new sales; those that a running twin took are read back instead."""
    if not valued:
        return {}
    inserted = await repository.insert_new(session, [sale.row for sale in valued.values()], now)
    fresh = {key: sale for key, sale in valued.items() if sale.row.id in inserted}
    await _announce(session, [sale.row for sale in fresh.values()], now)
    await valuer.keep(session, [sale.outcome for sale in fresh.values()], now)
    await note_steps(session, _steps(fresh.values()))
    credits_ = [credit for sale in fresh.values() for credit in _credits(sale, lives, now)]
    if credits_:
        await ledger.credit(session, credits_, now)
    written = {key: (_recorded(sale.row), sale.row.digest) for key, sale in fresh.items()}
    overtaken = [key for key in valued if key not in fresh]
    return written | (await repository.existing(session, overtaken) if overtaken else {})


def _steps(sales: Iterable[_Valued]) -> Iterator[tuple[str, CounterKey]]:
    """The sales that count towards every n-th of a rule, whether it was paid or not."""
    for sale in sales:
        yield from ((sale.row.id, key) for key, count in sale.outcome.counts.items() if count.seen)


def _credits(sale: _Valued, lives: Lives, now: datetime) -> Iterator[ledger.Credit]:
    for fired, share in zip(sale.outcome.fired, sale.row.awards, strict=True):
        yield credit_of(sale.occasion, fired, share.award.entry_id, lives, now, reason_code="sale")


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
        awards=tuple(share.award for share in row.awards),
    )


async def _announce(session: WriteSession, rows: Sequence[SaleRow], now: datetime) -> None:
    records, events = [], []
    for row in rows:
        draft = row.draft
        actor = f"staff:{draft.staff_id}" if draft.staff_id else f"partner:{draft.partner_id}"
        detail = {"external_id": draft.external_id, "tokens": row.tokens, "rule": row.rule}
        records.append(journal.Record(now, actor, "sale.recorded", row.id, detail))
        rules = [share.award.rule for share in row.awards]
        payload = detail | {"partner_id": draft.partner_id, "member_id": draft.member_id, "rules": rules}
        events.append(outbox.Event("sale.recorded", row.id, payload))
    await journal.record_many(session, records)
    await outbox.publish(session, events, now)


def _outcome(draft: SaleDraft, digest: bytes, recorded: _Recorded, *, first: bool) -> SaleOutcome:
    """The recorded sale for the first draft of a reference, the same as a duplicate for those after it."""
    sale, known_digest = recorded[_key(draft)]
    if digest != known_digest:
        return RecordedOtherwiseError(
            f"The partner's sale {draft.external_id} is already recorded with other content, as {sale.id}."
        )
    return sale if first or sale.duplicate else replace(sale, duplicate=True)
