"""A rule ready to run, and the goods that it looks at. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

import cel

from mereau.earning.domain import WEEKDAYS, Limit, Line, RuleSpec
from mereau.earning.expressions.domain import compile_expression
from mereau.earning.limits.domain import limits_of

_MINUTES_PER_HOUR: Final = 60
_SCOPES_KEPT: Final = 4_096


_Lists = tuple[frozenset[str], frozenset[str], frozenset[str], frozenset[str]]
"""SKUs, categories, brands, labels."""


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """Which goods count, and by which amount; None where no list narrows them.

    Equal scopes are one object: goods are added up once for all of them.
    """

    post_discount: bool
    include_tax: bool
    include_shipping: bool
    included: _Lists | None
    excluded: _Lists | None

    def takes(self, line: Line) -> bool:
        """Whether a line is in scope."""
        if not line.eligible or (self.included is not None and not _is_named(line, self.included)):
            return False
        return self.excluded is None or not _is_named(line, self.excluded)

    def amount_minor(self, line: Line) -> int:
        """The part of a line in scope that earns; never negative, so no line takes from what another earns."""
        amount_minor = line.amount_minor
        if self.post_discount:
            amount_minor -= line.discount_minor
        if not self.include_tax:
            amount_minor -= line.tax_minor
        return max(0, amount_minor)


def _is_named(line: Line, names: _Lists) -> bool:
    skus, categories, brands, labels = names
    return (
        line.sku in skus
        or line.category in categories
        or line.brand in brands
        or (bool(labels) and not labels.isdisjoint(line.labels))
    )


@lru_cache(_SCOPES_KEPT)
def _scope(basis: str, include_tax: bool, include_shipping: bool, included: _Lists, excluded: _Lists) -> Scope:
    return Scope(
        post_discount=basis == "post_discount",
        include_tax=include_tax,
        include_shipping=include_shipping,
        included=included if any(included) else None,
        excluded=excluded if any(excluded) else None,
    )


def scope_of(spec: RuleSpec) -> Scope:
    """The scope of a rule; the same object for rules that look at the same goods."""
    return _scope(
        spec.basis,
        spec.include_tax,
        spec.include_shipping,
        (spec.included_skus, spec.included_categories, spec.included_brands, spec.included_labels),
        (spec.excluded_skus, spec.excluded_categories, spec.excluded_brands, spec.excluded_labels),
    )


@dataclass(frozen=True, slots=True)
class Goods:
    """The lines of a sale as one scope sees them, in their order; `eligible_minor` includes shipping that counts."""

    amounts_minor: tuple[int, ...]
    units: tuple[int, ...]
    eligible_minor: int

    @property
    def weights(self) -> tuple[int, ...]:
        """By what tokens are shared among the lines: amounts, or units where all of them are free."""
        return self.amounts_minor if any(self.amounts_minor) else self.units


def goods_in(scope: Scope, lines: Sequence[Line], shipping_minor: int) -> Goods:
    """What of a sale a scope takes. Shipping counts only beside goods that do."""
    amounts, units = [], []
    for line in lines:
        taken = scope.takes(line)
        amounts.append(scope.amount_minor(line) if taken else 0)
        units.append(line.quantity if taken else 0)
    eligible_minor = sum(amounts)
    if eligible_minor and scope.include_shipping:
        eligible_minor += max(shipping_minor, 0)
    return Goods(tuple(amounts), tuple(units), eligible_minor)


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """One version of a rule, ready to run; `reference` (id@version) is what entries name for ever.

    `segment_ids` are the segments of its audience, which the specification names by external id.
    """

    id: str
    external_id: str
    version: int
    spec: RuleSpec
    segment_ids: frozenset[str]
    reference: str
    scope: Scope
    limits: tuple[Limit, ...]
    weekdays: frozenset[int]
    minutes: tuple[tuple[int, int], ...]
    match: tuple[tuple[str, frozenset[str]], ...]
    condition: cel.Program | None
    amount: cel.Program | None

    @property
    def is_counted(self) -> bool:
        """Whether it needs counters."""
        return bool(self.limits) or self.spec.every_nth is not None

    def is_open(self, local: datetime) -> bool:
        """Whether an occasion at this local time falls on its weekdays and within its hours."""
        if self.weekdays and local.weekday() not in self.weekdays:
            return False
        minute = local.hour * _MINUTES_PER_HOUR + local.minute
        return not self.minutes or any(_is_between(minute, *hours) for hours in self.minutes)


def _is_between(minute: int, starts: int, ends: int) -> bool:
    return starts <= minute < ends if starts < ends else minute >= starts or minute < ends


def _minute(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * _MINUTES_PER_HOUR + int(minutes)


def compile_rule(
    spec: RuleSpec,
    *,
    rule_id: str = "",
    external_id: str = "",
    version: int = 0,
    segment_ids: Iterable[str] = (),
) -> CompiledRule:
    """A rule ready to run; ExpressionError for CEL that must not."""
    window = spec.window
    return CompiledRule(
        id=rule_id,
        external_id=external_id,
        version=version,
        spec=spec,
        segment_ids=frozenset(segment_ids),
        reference=f"{rule_id}@{version}",
        scope=scope_of(spec),
        limits=limits_of(spec),
        weekdays=frozenset(WEEKDAYS.index(day) for day in window.weekdays),
        minutes=tuple((_minute(hours.starts), _minute(hours.ends)) for hours in window.hours),
        match=tuple(sorted(spec.match.items())),
        condition=None if spec.condition is None else compile_expression(spec.condition),
        amount=None if spec.amount is None else compile_expression(spec.amount),
    )


def _rank(rule: CompiledRule) -> tuple[int, str, int]:
    return -rule.spec.priority, rule.external_id, rule.version


class RuleSet:
    """Rules of one trigger in the order in which they earn: highest priority first, then by external id.

    `lead` is the rule by which a sale's eligible amount is told.
    """

    def __init__(self, rules: Iterable[CompiledRule]) -> None:
        self.rules = tuple(sorted(rules, key=_rank))
        self.base = tuple(rule for rule in self.rules if rule.spec.multiplier is None)
        self.multipliers = tuple(rule for rule in self.rules if rule.spec.multiplier is not None)
        self.counted = tuple((rule.external_id, rule.spec) for rule in self.rules if rule.is_counted)
        self.segment_ids = frozenset[str]().union(*(rule.segment_ids for rule in self.rules))
        self.asks_tiers = any(_asks_tier(rule) for rule in self.rules)
        self.asks_firsts = any(rule.spec.first_only for rule in self.rules)

    def __bool__(self) -> bool:
        return bool(self.rules)

    @property
    def lead(self) -> CompiledRule:
        return (self.base or self.rules)[0]


def _asks_tier(rule: CompiledRule) -> bool:
    programs = [program for program in (rule.condition, rule.amount) if program is not None]
    by_tier = rule.spec.multiplier is not None and rule.spec.multiplier.by_tier
    return by_tier or bool(rule.spec.audience.tiers) or any("member" in program.variables() for program in programs)
