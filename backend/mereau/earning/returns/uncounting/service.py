"""What returns take from the counters of rules.

Tokens that are due come off every counter that had counted them, whether the member still had them or not. Once
the whole sale is back, its rules were not used, and it counts towards no n-th purchase any more.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from mereau.core.db import WriteSession
from mereau.earning.compiled.domain import CompiledRule
from mereau.earning.limits import service as limits
from mereau.earning.limits.domain import Count, CounterKey, keys_of
from mereau.earning.rules.service import rules_by_reference
from mereau.programs import service as programs
from mereau.sales.repository import awards_of
from mereau.sales.returns import repository
from mereau.sales.returns.domain import OpenLine
from mereau.sales.returns.repository import LockedSale, ReturnRow

_Lines = Mapping[tuple[str, int], OpenLine]


async def uncount(
    session: WriteSession, rows: Sequence[ReturnRow], sales: Mapping[str, LockedSale], lines: _Lines, now: datetime
) -> None:
    """Take returns off the counters; `lines` are as they will be. Locks the counters, before the ledger's accounts.

    Two statements where no rule counts.
    """
    mine = {row.draft.sale_id: sales[row.draft.sale_id] for row in rows}
    credited = await _credits(session, mine)
    rules = await rules_by_reference(session, (reference for _, reference in credited.values()))
    stepped = await limits.stepped(session, mine)
    if not stepped and not any(rule.is_counted for rule in rules.values()):
        return
    back = await _all_back(session, mine, lines)
    taken = [(entry_id, Count(tokens=-tokens)) for row in rows for entry_id, tokens in row.dues.items()]
    taken += [(entry_id, Count(uses=-1)) for entry_id, (sale_id, _) in credited.items() if sale_id in back]
    zone = ZoneInfo((await programs.current(session)).time_zone)
    counts: dict[CounterKey, Count] = {}
    for entry_id, count in taken:
        sale_id, reference = credited[entry_id]
        for key in _keys(rules[reference], mine[sale_id], zone):
            counts[key] = counts.get(key, Count()) + count
    await limits.take_back(session, counts, back, now)


async def _credits(session: WriteSession, sales: Mapping[str, LockedSale]) -> dict[str, tuple[str, str]]:
    """Entry id -> (sale id, rule) of all that credited these sales."""
    several = await awards_of(session, list(sales))
    credited = {award.entry_id: (id_, award.rule) for id_, awards in several.items() for award in awards}
    return credited | {
        sale.entry_id: (sale.id, sale.rule)
        for sale in sales.values()
        if sale.id not in several and sale.entry_id is not None and sale.rule is not None
    }


async def _all_back(session: WriteSession, sale_ids: Iterable[str], lines: _Lines) -> set[str]:
    """Those of the sales of which every unit is back after the lines that are at hand."""
    out = await repository.lines_out(session, list(sale_ids))
    still = {key[0] for key in out if key not in lines}
    still |= {key[0] for key, line in lines.items() if line.returned_quantity < line.quantity}
    return set(sale_ids) - still


def _keys(rule: CompiledRule, sale: LockedSale, zone: ZoneInfo) -> set[CounterKey]:
    return set(keys_of(rule.external_id, rule.spec, sale.member_id or "", sale.occurred_at, zone))
