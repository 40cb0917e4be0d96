"""How long the rules take to judge one sale: 50 active rules of every kind, 20 lines, in one process.

What is timed is the decision alone, as POST /sales runs it: the rules stand ready, compiled once per version. The
yardstick is the same decision where each sale parses and compiles the rules again from what is stored.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from mereau.earning.compiled.domain import RuleSet, compile_rule
from mereau.earning.domain import parse_spec
from mereau.earning.evaluation.domain import Outcome, evaluate
from mereau.earning.evaluation.facts.domain import MemberFacts, Occasion
from mereau.sales.domain import SaleLineDraft

RULES: Final = 50
LINES: Final = 20
SALES: Final = 1_000
_NAIVE_SALES: Final = 50
_ZONE: Final = ZoneInfo("Europe/Paris")
_NOON: Final = datetime(2026, 1, 5, 12, tzinfo=UTC)
_MS_PER_S: Final = 1_000

_KINDS: Final[tuple[Mapping[str, Any], ...]] = (
    {"rate": {"tokens": 1, "per_minor": 100}},
    {"rate": {"tokens": 3, "per_minor": 100}, "audience": {"tiers": ["gold"]}},
    {"fixed": {"tokens": 2, "per": "item"}, "included_labels": ["bio"]},
    {"fixed": {"tokens": 5, "per": "visit"}},
    {"every_nth": {"n": 5, "tokens": 50, "period": "month"}},
    {"rate": {"tokens": 1, "per_minor": 50}, "window": {"hours": [{"starts": "08:00", "ends": "09:00"}]}},
    {"fixed": {"tokens": 9}, "stacking": "best_of", "stacking_group": "offer", "minimum_minor": 2_000},
    {"rate": {"tokens": 1, "per_minor": 200}, "limits": [{"per": "member", "period": "week", "tokens": 500}]},
    {"amount": "amount_minor / 500 + items", "condition": "amount_minor > 1000 && member.tier != 'bronze'"},
    {"multiplier": {"percent": 150}, "audience": {"channels": ["web", "pos"]}},
)  # fmt: skip


def earning(options: argparse.Namespace) -> dict[str, float | int]:
    """Medians over `--repeat` runs; spread is the largest less the smallest."""
    stored = list(_stored())
    rules = _compiled(stored)
    sales = list(_sales())
    fired = sum(len(evaluate(rules, sale, {}, _ZONE).fired) for sale in sales)
    runs = [_times_ms(lambda sale: evaluate(rules, sale, {}, _ZONE), sales) for _ in range(options.repeat)]
    naive = _times_ms(lambda sale: evaluate(_compiled(stored), sale, {}, _ZONE), sales[:_NAIVE_SALES])
    medians = [statistics.median(run) for run in runs]
    return {
        "rules": RULES,
        "lines": LINES,
        "sales": SALES,
        "runs": options.repeat,
        "fired_per_sale": round(fired / SALES, 1),
        "median_ms": round(statistics.median(medians), 3),
        "median_spread_ms": round(max(medians) - min(medians), 3),
        "p99_ms": round(statistics.median(statistics.quantiles(run, n=100)[98] for run in runs), 3),
        "naive_median_ms": round(statistics.median(naive), 3),
    }


def _stored() -> Sequence[dict[str, Any]]:
    """Rules as they lie in their table: each kind five times, over other goods and with another priority."""
    rules = []
    for number in range(RULES):
        spec = dict(_KINDS[number % len(_KINDS)]) | {"priority": number}
        if number % 3 == 0:
            spec["excluded_skus"] = [f"sku-{number % LINES}", "gift-card"]
        elif number % 3 == 1:
            spec["included_categories"] = [f"category-{number % 4}", "category-1"]
        rules.append(spec)
    return rules


def _compiled(stored: Sequence[Mapping[str, Any]]) -> RuleSet:
    return RuleSet(
        compile_rule(parse_spec(spec), rule_id=f"rul_{number}", external_id=f"rule-{number:02}", version=1)
        for number, spec in enumerate(stored)
    )


def _sales() -> Sequence[Occasion]:
    chance = random.Random(7)  # noqa: S311 - sales, not secrets
    member = MemberFacts("mem_1", tier="gold", tier_rank=3, tier_multiplier_percent=150)
    return [
        Occasion(
            "sale", _NOON + timedelta(minutes=number), member, partner_id="par_1", channel="web",
            lines=[_line(chance) for _ in range(LINES)], shipping_minor=490,
        )
        for number in range(SALES)
    ]  # fmt: skip


def _line(chance: random.Random) -> SaleLineDraft:
    return SaleLineDraft(
        sku=f"sku-{chance.randrange(LINES)}",
        category=f"category-{chance.randrange(4)}",
        quantity=chance.randint(1, 4),
        unit_price_micro=None,
        amount_minor=chance.randint(50, 9_000),
        discount_minor=chance.choice((0, 0, 25)),
        tax_minor=chance.randint(0, 40),
        brand=f"brand-{chance.randrange(6)}",
        labels=chance.choice((("bio",), (), ())),
    )


def _times_ms(decide: Callable[[Occasion], Outcome], sales: Sequence[Occasion]) -> list[float]:
    times = []
    for sale in sales:
        began = time.perf_counter()
        decide(sale)
        times.append((time.perf_counter() - began) * _MS_PER_S)
    return times
