"""Short words for rules, occasions and what becomes of them, without a database."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from factories.earning import a_line
from mereau.earning.compiled.domain import CompiledRule, RuleSet, compile_rule
from mereau.earning.domain import parse_spec
from mereau.earning.evaluation.domain import Outcome, evaluate
from mereau.earning.evaluation.facts.domain import MemberFacts, Occasion
from mereau.earning.limits.domain import Count, CounterKey

MONDAY_NOON = datetime(2026, 1, 5, 11, tzinfo=UTC)
"""12:00 in Paris."""
PARIS = ZoneInfo("Europe/Paris")
ADA = MemberFacts("mem_ada")
RATE: Mapping[str, Any] = {"rate": {"tokens": 1, "per_minor": 100}}


def a_rule(external_id: str = "base", award: Mapping[str, Any] = RATE, **fields: Any) -> CompiledRule:
    """One token per whole unit of money, unless told otherwise."""
    segments = fields.pop("segment_ids", ())
    spec = parse_spec({**award, **fields})
    return compile_rule(spec, rule_id=f"rul_{external_id}", external_id=external_id, version=1, segment_ids=segments)


def fixed(tokens: int, per: str = "occasion") -> dict[str, Any]:
    return {"fixed": {"tokens": tokens, "per": per}}


def a_sale(*lines: Any, **changes: Any) -> Occasion:
    """A sale of 10.00 to Ada, on a Monday at noon."""
    fields: dict[str, Any] = {
        "trigger": "sale",
        "occurred_at": MONDAY_NOON,
        "member": ADA,
        "partner_id": "par_1",
        "lines": lines or (a_line(1_000),),
    }
    return Occasion(**fields | changes)


def judge(
    occasion: Occasion, *rules: CompiledRule, usage: Mapping[CounterKey, Count] | None = None, zone: ZoneInfo = PARIS
) -> Outcome:
    return evaluate(RuleSet(rules), occasion, usage or {}, zone)


def given(outcome: Outcome) -> dict[str, int]:
    """External id -> tokens of what fired."""
    return {fired.rule.external_id: fired.tokens for fired in outcome.fired}


def refused(outcome: Outcome) -> dict[str, str]:
    """External id -> code of what did not."""
    return {skipped.rule.external_id: skipped.code.value for skipped in outcome.skipped}


def merged(usage: Mapping[CounterKey, Count], outcome: Outcome) -> dict[CounterKey, Count]:
    """The counters after an outcome."""
    after = dict(usage)
    for key, count in outcome.counts.items():
        after[key] = after.get(key, Count()) + count
    return after
