"""SQL of sales: lookups and writes whose number does not depend on how many sales there are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import text

from mereau.core.db import WriteSession, copy_rows
from mereau.sales.domain import RecordedSale, SaleDraft
from mereau.sales.models import SaleLine

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

_LINE_COLUMNS = (
    "sale_id", "line_number", "sku", "category", "brand", "labels", "quantity", "unit_price_micro", "amount_minor",
    "discount_minor", "tax_minor", "eligible_minor", "tokens", "returned_quantity", "reversed_tokens",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SaleRow:
    """A valued sale on its way into the table, with its lines' shares."""

    id: str
    draft: SaleDraft
    digest: bytes
    eligible_minor: int
    tokens: int
    line_eligible_minor: Sequence[int]
    line_tokens: Sequence[int]
    rule: str | None
    entry_id: str | None


async def existing(session: WriteSession, keys: Sequence[Key]) -> dict[Key, tuple[RecordedSale, bytes]]:
    """The recorded ones among the keys, each with the digest of what it said."""
    rows = await session.execute(
        _EXISTING, {"partner_ids": [key[0] for key in keys], "external_ids": [key[1] for key in keys]}
    )
    return {
        (row.partner_id, row.external_id): (replace(RecordedSale(*row[:8]), duplicate=True), row.inputs_digest)
        for row in rows
    }


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
    return ids


def _lines(rows: Iterable[SaleRow]) -> Iterable[Sequence[object]]:
    for row in rows:
        shares = zip(row.draft.lines, row.line_eligible_minor, row.line_tokens, strict=True)
        for number, (line, eligible_minor, tokens) in enumerate(shares, 1):
            yield (
                row.id, number, line.sku, line.category, line.brand, list(line.labels), line.quantity,
                line.unit_price_micro, line.amount_minor, line.discount_minor, line.tax_minor,
                eligible_minor, tokens, 0, 0,
            )  # fmt: skip
