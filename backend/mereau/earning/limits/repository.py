"""SQL of counters: opened, locked in the order of their keys, and written, however many at once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Result, text

from mereau.core.db import ReadSession, WriteSession, copy_rows
from mereau.earning.limits.domain import Count, CounterKey
from mereau.earning.models import EarningStep

_KEYS = """
    unnest(cast(:rules as text[]), cast(:member_ids as text[]), cast(:periods as text[]),
           cast(:starts as timestamptz[])) as key (rule, member_id, period, starts_at)
"""
_MINE = """
    earning_counters.rule = key.rule and earning_counters.member_id = key.member_id
    and earning_counters.period = key.period and earning_counters.starts_at = key.starts_at
"""
_COUNTED = """
    select earning_counters.rule, earning_counters.member_id, earning_counters.period, earning_counters.starts_at,
           uses, tokens, seen, exhausted_at is not null
"""

_OPEN = text(f"""
    insert into earning_counters (rule, member_id, period, starts_at, uses, tokens, seen)
    select rule, member_id, period, starts_at, 0, 0, 0 from {_KEYS}
    order by rule, member_id, period, starts_at
    on conflict do nothing
""")  # noqa: S608 - texts of this file
_READ = text(f"{_COUNTED} from earning_counters join {_KEYS} on {_MINE}")
_LOCK = text(f"""
    {_COUNTED} from earning_counters join {_KEYS} on {_MINE}
    order by 1, 2, 3, 4 for update of earning_counters
""")
_CHANGES = """
    unnest(cast(:rules as text[]), cast(:member_ids as text[]), cast(:periods as text[]),
           cast(:starts as timestamptz[]), cast(:uses as bigint[]), cast(:tokens as bigint[]), cast(:seen as bigint[]),
           cast(:dry as boolean[])) as key (rule, member_id, period, starts_at, uses, tokens, seen, dry)
"""
# What a returned sale gives back was perhaps counted by a rule that counted otherwise then: never below 0.
_CHANGE = text(f"""
    update earning_counters set
        uses = greatest(0, earning_counters.uses + key.uses),
        tokens = greatest(0, earning_counters.tokens + key.tokens),
        seen = greatest(0, earning_counters.seen + key.seen),
        exhausted_at = case when key.dry then coalesce(exhausted_at, :now) else exhausted_at end
    from {_CHANGES}
    where {_MINE}
""")  # noqa: S608 - texts of this file

_DROP_STEPS = text("""
    delete from earning_steps where sale_id = any(cast(:sale_ids as text[]))
    returning rule, member_id, period, starts_at
""")
_STEPPED = text("select distinct sale_id from earning_steps where sale_id = any(cast(:sale_ids as text[]))")


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter as it stands; `was_dry` where its budget's end was announced before."""

    count: Count
    was_dry: bool


def _columns(keys: Iterable[CounterKey]) -> dict[str, object]:
    ordered = list(keys)
    return {
        "rules": [key.rule for key in ordered],
        "member_ids": [key.member_id for key in ordered],
        "periods": [key.period for key in ordered],
        "starts": [key.starts_at for key in ordered],
    }


def _counters(rows: Result[*tuple[Any, ...]]) -> dict[CounterKey, Counter]:
    return {
        CounterKey(rule, member_id, period, starts_at): Counter(Count(uses, tokens, seen), was_dry)
        for rule, member_id, period, starts_at, uses, tokens, seen, was_dry in rows
    }


async def lock(session: WriteSession, keys: Iterable[CounterKey]) -> dict[CounterKey, Counter]:
    """The counters, opened at zero where there were none, locked until the transaction ends."""
    columns = _columns(keys)
    await session.execute(_OPEN, columns)
    return _counters(await session.execute(_LOCK, columns))


async def read(session: ReadSession | WriteSession, keys: Iterable[CounterKey]) -> dict[CounterKey, Counter]:
    """The counters as they stand; those that count nothing may be absent. Locks nothing."""
    return _counters(await session.execute(_READ, _columns(keys)))


async def change(
    session: WriteSession, changes: Mapping[CounterKey, Count], dry: frozenset[CounterKey], now: datetime
) -> None:
    """Add to counters that the caller has locked, and note which budgets ended."""
    await session.execute(
        _CHANGE,
        _columns(changes)
        | {
            "uses": [count.uses for count in changes.values()],
            "tokens": [count.tokens for count in changes.values()],
            "seen": [count.seen for count in changes.values()],
            "dry": [key in dry for key in changes],
            "now": now,
        },
    )


async def add_steps(session: WriteSession, steps: Iterable[tuple[str, CounterKey]]) -> None:
    """Note which sales count towards every n-th, as (sale id, counter)."""
    await copy_rows(
        session,
        EarningStep,
        ("sale_id", "rule", "member_id", "period", "starts_at"),
        ((sale_id, key.rule, key.member_id, key.period, key.starts_at) for sale_id, key in steps),
    )


async def stepped(session: WriteSession, sale_ids: Iterable[str]) -> set[str]:
    """Those of the sales that count towards some rule's every n-th."""
    return set((await session.execute(_STEPPED, {"sale_ids": list(sale_ids)})).scalars())


async def drop_steps(session: WriteSession, sale_ids: Iterable[str]) -> list[CounterKey]:
    """Let sales no longer count towards every n-th; the counters that counted them, each once per sale."""
    rows = await session.execute(_DROP_STEPS, {"sale_ids": list(sale_ids)})
    return [CounterKey(*row) for row in rows]
