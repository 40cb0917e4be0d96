"""Counting what rules gave, under the locks of their counters."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from mereau.core.db import ReadSession, WriteSession
from mereau.earning.domain import RuleSpec
from mereau.earning.limits import repository
from mereau.earning.limits.domain import Count, CounterKey, Dry, keys_of
from mereau.outbox import service as outbox
from mereau.outbox.service import Event


@dataclass(frozen=True, slots=True)
class Counters:
    """The counters that a call may touch: what they count, and whose budgets were announced as exhausted."""

    usage: dict[CounterKey, Count]
    announced: frozenset[CounterKey]


Moment = tuple[str, datetime]
"""A member, and when something of theirs occurred."""


def keys_for(rules: Iterable[tuple[str, RuleSpec]], moments: Iterable[Moment], zone: ZoneInfo) -> list[CounterKey]:
    """Every counter that rules (external id, specification) may touch, in the order in which they are locked.

    Rules that begin later or are over make nobody wait.
    """
    known = set(moments)
    found: set[CounterKey] = set()
    for external_id, spec in rules:
        for who, at in known:
            if spec.window.holds(at):
                found.update(keys_of(external_id, spec, who, at, zone))
    return sorted(found)


async def lock(session: WriteSession, keys: Iterable[CounterKey]) -> Counters:
    """Lock counters until the transaction ends: whoever counts with them waits. Two statements, or none."""
    wanted = list(keys)
    return _counters(await repository.lock(session, wanted) if wanted else {})


async def read(session: ReadSession | WriteSession, keys: Iterable[CounterKey]) -> Counters:
    """What counters say now, for a dry run. Locks nothing."""
    wanted = list(keys)
    return _counters(await repository.read(session, wanted) if wanted else {})


def _counters(found: Mapping[CounterKey, repository.Counter]) -> Counters:
    return Counters(
        {key: counter.count for key, counter in found.items()},
        frozenset(key for key, counter in found.items() if counter.was_dry),
    )


async def add(
    session: WriteSession,
    counters: Counters,
    counts: Mapping[CounterKey, Count],
    dry: Iterable[Dry],
    now: datetime,
) -> None:
    """Write what was counted under the locks of `lock`; a budget that ended says so once, `budget.exhausted`."""
    ended = {one.key: one for one in dry if one.key not in counters.announced}
    changes = dict.fromkeys(ended, Count()) | dict(counts)
    if not changes:
        return
    await repository.change(session, changes, frozenset(ended), now)
    await outbox.publish(session, [_exhausted(one) for one in ended.values()], now)


async def note_steps(session: WriteSession, steps: Iterable[tuple[str, CounterKey]]) -> None:
    """Remember which sales count towards every n-th, as (sale id, counter)."""
    wanted = list(steps)
    if wanted:
        await repository.add_steps(session, wanted)


async def take_back(
    session: WriteSession, counts: Mapping[CounterKey, Count], returned_sale_ids: Iterable[str], now: datetime
) -> None:
    """Take from counters what returns took from awards, and the steps of sales of which all came back.

    Locks the counters. A budget that ended stays announced; what came back may be given again.
    """
    changes = dict(counts)
    for key in await repository.drop_steps(session, returned_sale_ids):
        changes[key] = changes.get(key, Count()) + Count(seen=-1)
    if changes:
        await repository.lock(session, sorted(changes))
        await repository.change(session, changes, frozenset(), now)


async def stepped(session: WriteSession, sale_ids: Iterable[str]) -> set[str]:
    """Those of the sales that count towards some rule's every n-th."""
    return await repository.stepped(session, sale_ids)


def _exhausted(dry: Dry) -> Event:
    key = dry.key
    payload = {
        "rule": dry.rule,
        "per": "rule" if key.rule else "programme",
        "period": key.period,
        "starts_at": key.starts_at.isoformat(),
        "limit_tokens": dry.limit_tokens,
    }
    return Event("budget.exhausted", dry.rule.partition("@")[0], payload)
