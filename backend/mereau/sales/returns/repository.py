"""SQL of returns: locks, lookups and writes whose number does not depend on how many returns there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import text

from mereau.core.db import ReadSession, WriteSession, copy_rows
from mereau.sales.models import Return, ReturnLine
from mereau.sales.returns.domain import OpenLine, RecordedReturn, ReturnDraft, Share

Key = tuple[str, str, str]
"""Partner id, the partner's own reference, sale id."""

# The sale's row is the lock of all its lines; taken in one order, so that returns wait for each other.
_LOCK_SALES = text("""
    select id, partner_id, member_id, entry_id, rule, occurred_at from sales where id = any(cast(:ids as text[]))
    order by id for update
""")

_EXISTING = text("""
    select id, sale_id, partner_id, external_id, tokens_due, tokens_reversed, entry_id, inputs_digest
    from returns
    join unnest(cast(:partner_ids as text[]), cast(:external_ids as text[]), cast(:sale_ids as text[]))
         as key (partner, reference, sale)
      on partner_id = key.partner and external_id = key.reference and sale_id = key.sale
""")

_REFERENCES = text("""
    select distinct external_id from returns
    where partner_id = :partner_id and external_id = any(cast(:external_ids as text[]))
""")

_LINES = text("""
    select sale_id, line_number, quantity, tokens, returned_quantity, reversed_tokens
    from sale_lines
    join unnest(cast(:sale_ids as text[]), cast(:numbers as integer[])) as key (sale, number)
      on sale_id = key.sale and line_number = key.number
""")

_SHARES = text("""
    select sale_id, line_number, entry_id, rule, tokens, reversed_tokens from sale_credits
    where sale_id = any(cast(:sale_ids as text[])) order by entry_id
""")

_UPDATE_SHARES = text("""
    update sale_credits set reversed_tokens = key.reversed
    from unnest(cast(:entry_ids as text[]), cast(:numbers as integer[]), cast(:reversed as bigint[]))
         as key (entry, number, reversed)
    where entry_id = key.entry and line_number = key.number
""")

_LINES_OUT = text("""
    select sale_id, line_number from sale_lines
    where sale_id = any(cast(:sale_ids as text[])) and returned_quantity < quantity
""")

_UPDATE_LINES = text("""
    update sale_lines set returned_quantity = key.returned, reversed_tokens = key.reversed
    from unnest(cast(:sale_ids as text[]), cast(:numbers as integer[]), cast(:returned as bigint[]),
                cast(:reversed as bigint[])) as key (sale, number, returned, reversed)
    where sale_id = key.sale and line_number = key.number
""")

# Both rows are locked: a return that runs meanwhile is waited for, and its units are seen as taken.
# A member's lines are read once, however many of their keys are asked for.
_CANDIDATES = text("""
    select sale_lines.sale_id, sales.external_id, sales.occurred_at, sale_lines.line_number, sales.member_id,
           sale_lines.sku, sale_lines.unit_price_micro,
           sale_lines.quantity - sale_lines.returned_quantity as open_quantity
    from sales join sale_lines on sale_lines.sale_id = sales.id
    where sales.partner_id = :partner_id
      and sales.member_id = any(cast(:members as text[]))
      and sale_lines.returned_quantity < sale_lines.quantity
      and (sales.member_id, sale_lines.sku, sale_lines.unit_price_micro) in (
          select * from unnest(cast(:member_ids as text[]), cast(:skus as text[]), cast(:prices as bigint[]))
      )
    order by sales.id, sale_lines.line_number
    for update of sales, sale_lines
""")


@dataclass(frozen=True, slots=True)
class LockedSale:
    id: str
    partner_id: str
    member_id: str | None
    entry_id: str | None
    rule: str | None
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sale's line with units not yet returned; the sale's row is locked until the transaction ends."""

    sale_id: str
    sale_external_id: str
    occurred_at: datetime
    line_number: int
    member_id: str
    sku: str
    unit_price_micro: int
    open_quantity: int


@dataclass(frozen=True, slots=True)
class ReturnRow:
    """A return on its way into the table; `line_tokens` is (line number, units, tokens due).

    `dues` tells the tokens due by the entry that had credited them.
    """

    id: str
    draft: ReturnDraft
    digest: bytes
    tokens_due: int
    dues: Mapping[str, int]
    line_tokens: Sequence[tuple[int, int, int]]


async def lock_sales(session: WriteSession, ids: Sequence[str]) -> dict[str, LockedSale]:
    rows = await session.execute(_LOCK_SALES, {"ids": sorted(set(ids))})
    return {row.id: LockedSale(*row) for row in rows}


async def existing(session: ReadSession | WriteSession, keys: Sequence[Key]) -> dict[Key, tuple[RecordedReturn, bytes]]:
    """The recorded ones among the keys, each with the digest of what it said."""
    partner_ids, external_ids, sale_ids = zip(*keys, strict=True) if keys else ((), (), ())
    rows = await session.execute(
        _EXISTING,
        {
            "partner_ids": list(partner_ids),
            "external_ids": list(external_ids),
            "sale_ids": list(sale_ids),
        },
    )
    return {
        (row.partner_id, row.external_id, row.sale_id): (
            replace(RecordedReturn(*row[:7]), duplicate=True),
            row.inputs_digest,
        )
        for row in rows
    }


async def references(session: WriteSession, partner_id: str, external_ids: Sequence[str]) -> set[str]:
    rows = await session.execute(_REFERENCES, {"partner_id": partner_id, "external_ids": list(external_ids)})
    return set(rows.scalars())


async def lines(session: WriteSession, keys: Sequence[tuple[str, int]]) -> dict[tuple[str, int], OpenLine]:
    """The lines by (sale id, line number), each with the shares of its entries where there are several."""
    rows = await session.execute(_LINES, {"sale_ids": [key[0] for key in keys], "numbers": [key[1] for key in keys]})
    shares: dict[tuple[str, int], list[Share]] = {}
    for sale_id, number, *share in await session.execute(_SHARES, {"sale_ids": list({key[0] for key in keys})}):
        shares.setdefault((sale_id, number), []).append(Share(*share))
    return {
        (sale_id, number): OpenLine(quantity, tokens, returned, reversed_tokens, shares.get((sale_id, number), ()))
        for sale_id, number, quantity, tokens, returned, reversed_tokens in rows
    }


async def lines_out(session: WriteSession, sale_ids: Sequence[str]) -> set[tuple[str, int]]:
    """(sale id, line number) of the lines of which some unit is not back."""
    rows = await session.execute(_LINES_OUT, {"sale_ids": list(sale_ids)})
    return {(sale_id, number) for sale_id, number in rows}


async def insert(
    session: WriteSession,
    rows: Sequence[tuple[ReturnRow, RecordedReturn]],
    changed: Mapping[tuple[str, int], OpenLine],
    now: datetime,
) -> None:
    """Write returns with their lines, and the new counters of the sales' lines."""
    await copy_rows(
        session,
        Return,
        ("id", "sale_id", "partner_id", "staff_id", "external_id", "occurred_at", "tokens_due",
         "tokens_reversed", "inputs_digest", "entry_id", "created_at"),
        (
            (row.id, row.draft.sale_id, row.draft.partner_id, row.draft.staff_id, row.draft.external_id,
             row.draft.occurred_at, row.tokens_due, done.tokens_reversed, row.digest, done.entry_id, now)
            for row, done in rows
        ),
    )  # fmt: skip
    await copy_rows(
        session,
        ReturnLine,
        ("return_id", "line_number", "quantity", "tokens"),
        ((row.id, *line) for row, _ in rows for line in row.line_tokens),
    )
    await session.execute(
        _UPDATE_LINES,
        {
            "sale_ids": [key[0] for key in changed],
            "numbers": [key[1] for key in changed],
            "returned": [line.returned_quantity for line in changed.values()],
            "reversed": [line.reversed_tokens for line in changed.values()],
        },
    )
    shares = [(key[1], share) for key, line in changed.items() for share in line.shares]
    if shares:
        await session.execute(
            _UPDATE_SHARES,
            {
                "entry_ids": [share.entry_id for _, share in shares],
                "numbers": [number for number, _ in shares],
                "reversed": [share.reversed_tokens for _, share in shares],
            },
        )


async def candidates(session: WriteSession, partner_id: str, keys: Sequence[tuple[str, str, int]]) -> list[Candidate]:
    rows = await session.execute(
        _CANDIDATES,
        {
            "partner_id": partner_id,
            "members": sorted({key[0] for key in keys}),
            "member_ids": [key[0] for key in keys],
            "skus": [key[1] for key in keys],
            "prices": [key[2] for key in keys],
        },
    )
    return [Candidate(*row) for row in rows]
