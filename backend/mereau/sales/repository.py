"""SQL of sales: lookups and writes whose number does not depend on how many sales there are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import text

from mereau.core.db import ReadSession, WriteSession, copy_rows
from mereau.sales.domain import RecordedSale, SaleAward, SaleDraft
from mereau.sales.models import SaleCredit, SaleLine

Key = tuple[str, str]
"""Partner id and the partner's own reference."""

_EXISTING = text("""
    select id, partner_id, external_id, member_id, eligible_minor, tokens, rule, entry_id, inputs_digest
    from sales
    join unnest(cast(:partner_ids as text[]), cast(:external_ids as text[])) as key (partner, reference)
      on sales.partner_id = key.partner and sales.external_id = key.reference
""")

# In the order of the unique key, so that two calls with common references wait instead of deadlocking.
# The conflict clause waits for a running twin: what is not returned is recorded and visible afterwards.
_INSERT = text("""
    insert into sales (id, partner_id, location_id, staff_id, channel, member_id, external_id, occurred_at, currency,
                       shipping_minor, eligible_minor, tokens, rule, inputs_digest, entry_id, created_at)
    select id, partner_id, location_id, staff_id, channel, member_id, external_id, occurred_at, currency,
           shipping_minor, eligible_minor, tokens, rule, inputs_digest, entry_id, :now
    from unnest(
        cast(:ids as text[]), cast(:partner_ids as text[]), cast(:location_ids as text[]),
        cast(:staff_ids as text[]), cast(:channels as text[]), cast(:member_ids as text[]),
        cast(:external_ids as text[]),
        cast(:occurred as timestamptz[]), cast(:currencies as text[]), cast(:shippings as bigint[]),
        cast(:eligibles as bigint[]), cast(:tokens as bigint[]), cast(:rules as text[]),
        cast(:digests as bytea[]), cast(:entry_ids as text[])
    ) as draft (id, partner_id, location_id, staff_id, channel, member_id, external_id, occurred_at, currency,
                shipping_minor, eligible_minor, tokens, rule, inputs_digest, entry_id)
    order by partner_id, external_id
    on conflict (partner_id, external_id) do nothing
    returning id
""")

_ASSIGN = text("""
    update sales set member_id = :member_id, eligible_minor = :eligible, tokens = :tokens, rule = :rule,
                     entry_id = :entry_id
    where id = :id
""")

_ASSIGN_LINES = text("""
    update sale_lines set eligible_minor = share.eligible, tokens = share.tokens
    from unnest(cast(:eligibles as bigint[]), cast(:tokens as bigint[])) with ordinality
         as share (eligible, tokens, number)
    where sale_id = :id and line_number = share.number
""")

_AWARDS = text("""
    select sale_id, rule, entry_id, sum(tokens)::bigint from sale_credits
    where sale_id = any(cast(:sale_ids as text[]))
    group by sale_id, rule, entry_id order by entry_id
""")

_LINE_COLUMNS = (
    "sale_id", "line_number", "sku", "category", "brand", "labels", "quantity", "unit_price_micro", "amount_minor",
    "discount_minor", "tax_minor", "eligible", "eligible_minor", "tokens", "returned_quantity", "reversed_tokens",
)  # fmt: skip


# Most lines have none, and psycopg takes ten times as long to write an empty list as this.
_NO_LABELS = "{}"
_CREDIT_COLUMNS = ("entry_id", "line_number", "sale_id", "rule", "tokens", "reversed_tokens")


@dataclass(frozen=True, slots=True)
class AwardRow:
    """What one rule gives for a sale, with the lines' shares of it."""

    award: SaleAward
    line_tokens: Sequence[int]


@dataclass(frozen=True, slots=True)
class SaleRow:
    """A valued sale on its way into the table, with its lines' shares of all that its awards give."""

    id: str
    draft: SaleDraft
    digest: bytes
    eligible_minor: int
    tokens: int
    line_eligible_minor: Sequence[int]
    line_tokens: Sequence[int]
    rule: str | None
    awards: Sequence[AwardRow]

    @property
    def entry_id(self) -> str | None:
        return self.awards[0].award.entry_id if self.awards else None


async def existing(session: WriteSession, keys: Sequence[Key]) -> dict[Key, tuple[RecordedSale, bytes]]:
    """The recorded ones among the keys, each with the digest of what it said."""
    rows = await session.execute(
        _EXISTING, {"partner_ids": [key[0] for key in keys], "external_ids": [key[1] for key in keys]}
    )
    found = {(row.partner_id, row.external_id): (RecordedSale(*row[:8]), row.inputs_digest) for row in rows}
    credited = [sale.id for sale, _ in found.values() if sale.entry_id is not None]
    awards = await awards_of(session, credited) if credited else {}
    return {
        key: (replace(sale, duplicate=True, awards=awards.get(sale.id) or _only_award(sale)), digest)
        for key, (sale, digest) in found.items()
    }


def _only_award(sale: RecordedSale) -> tuple[SaleAward, ...]:
    if sale.entry_id is None or sale.rule is None:
        return ()
    return (SaleAward(sale.rule, sale.entry_id, sale.tokens),)


async def awards_of(session: ReadSession | WriteSession, sale_ids: Sequence[str]) -> dict[str, tuple[SaleAward, ...]]:
    """Sale id -> what each rule gave, in the order in which they fired; sales with less than two are absent."""
    awards: dict[str, tuple[SaleAward, ...]] = {}
    for sale_id, rule, entry_id, tokens in await session.execute(_AWARDS, {"sale_ids": list(sale_ids)}):
        awards[sale_id] = (*awards.get(sale_id, ()), SaleAward(rule, entry_id, tokens))
    return awards


async def insert_new(session: WriteSession, rows: Sequence[SaleRow], now: datetime) -> set[str]:
    """Insert sales with their lines; the ids of those that were not overtaken by a twin."""
    inserted = await session.execute(
        _INSERT,
        {
            "ids": [row.id for row in rows],
            "partner_ids": [row.draft.partner_id for row in rows],
            "location_ids": [row.draft.location_id for row in rows],
            "staff_ids": [row.draft.staff_id for row in rows],
            "channels": [row.draft.channel for row in rows],
            "member_ids": [row.draft.member_id for row in rows],
            "external_ids": [row.draft.external_id for row in rows],
            "occurred": [row.draft.occurred_at for row in rows],
            "currencies": [row.draft.currency for row in rows],
            "shippings": [row.draft.shipping_minor for row in rows],
            "eligibles": [row.eligible_minor for row in rows],
            "tokens": [row.tokens for row in rows],
            "rules": [row.rule for row in rows],
            "digests": [row.digest for row in rows],
            "entry_ids": [row.entry_id for row in rows],
            "now": now,
        },
    )
    ids = set(inserted.scalars())
    await copy_rows(session, SaleLine, _LINE_COLUMNS, _lines(row for row in rows if row.id in ids))
    if several := [row for row in rows if row.id in ids and len(row.awards) > 1]:
        await copy_rows(session, SaleCredit, _CREDIT_COLUMNS, _credits(several))
    return ids


async def assign(session: WriteSession, row: SaleRow) -> None:
    """Write what a sale that stood there for nobody known is to its member; the caller holds the sale's row."""
    await session.execute(
        _ASSIGN,
        {
            "id": row.id,
            "member_id": row.draft.member_id,
            "eligible": row.eligible_minor,
            "tokens": row.tokens,
            "rule": row.rule,
            "entry_id": row.entry_id,
        },
    )
    await session.execute(
        _ASSIGN_LINES,
        {"id": row.id, "eligibles": list(row.line_eligible_minor), "tokens": list(row.line_tokens)},
    )
    if len(row.awards) > 1:
        await copy_rows(session, SaleCredit, _CREDIT_COLUMNS, _credits([row]))


def _credits(rows: Iterable[SaleRow]) -> Iterable[Sequence[object]]:
    for row in rows:
        for share in row.awards:
            award = share.award
            for number, tokens in enumerate(share.line_tokens, 1):
                if tokens:
                    yield award.entry_id, number, row.id, award.rule, tokens, 0


def _lines(rows: Iterable[SaleRow]) -> Iterable[Sequence[object]]:
    for row in rows:
        shares = zip(row.draft.lines, row.line_eligible_minor, row.line_tokens, strict=True)
        for number, (line, eligible_minor, tokens) in enumerate(shares, 1):
            labels = list(line.labels) if line.labels else _NO_LABELS
            yield (
                row.id, number, line.sku, line.category, line.brand, labels, line.quantity, line.unit_price_micro,
                line.amount_minor, line.discount_minor, line.tax_minor, line.eligible,
                eligible_minor, tokens, 0, 0,
            )  # fmt: skip
