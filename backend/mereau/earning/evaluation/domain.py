"""What an occasion earns: every rule fires or says why not. Pure.

The order: base rules by priority; of those that would earn, stacking groups decide; limits reduce or refuse; then
multipliers earn on what the base rules gave, with stacking and limits of their own. Every award is a floored
integer, shared among the lines by largest remainder.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from mereau.core.amounts import MAX_TOKENS, share_by_largest_remainder
from mereau.earning.compiled.domain import CompiledRule, Goods, RuleSet, Scope, goods_in
from mereau.earning.domain import Limit
from mereau.earning.evaluation.facts.domain import CelFacts, MemberFacts, Occasion
from mereau.earning.expressions.domain import ExpressionError, integer, is_true
from mereau.earning.limits.domain import NOTHING, Count, CounterKey, Dry, Usage, key_of, keys_of, nth_key

_PERCENT: Final = 100


class SkipCode(StrEnum):
    """Why a rule gave nothing. The set is closed: programs act on it."""

    NO_MEMBER = "no_member"
    OTHER_CAMPAIGN = "other_campaign"
    WINDOW = "window"
    AUDIENCE_TIER = "audience_tier"
    AUDIENCE_SEGMENT = "audience_segment"
    PARTNER = "partner"
    LOCATION = "location"
    CHANNEL = "channel"
    ATTRIBUTE = "attribute"
    NO_ISSUER = "no_issuer"
    FIRST_ONLY = "first_only"
    NO_ELIGIBLE_LINE = "no_eligible_line"
    MINIMUM = "minimum"
    CONDITION = "condition"
    NOT_NTH = "not_nth"
    NOTHING_EARNED = "nothing_earned"
    LIMIT_REACHED = "limit_reached"
    BUDGET_EXHAUSTED = "budget_exhausted"
    OUT_STACKED = "out_stacked"


@dataclass(frozen=True, slots=True)
class Fired:
    """What one rule gives; `line_tokens` stand in the order of the sale's lines and sum to `tokens`.

    `computed_tokens` is what it would have been without limits.
    """

    rule: CompiledRule
    tokens: int
    line_tokens: tuple[int, ...]
    computed_tokens: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """A rule that gave nothing, and why."""

    rule: CompiledRule
    code: SkipCode
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one occasion. `counts` is what its rules add to their counters.

    `lead` is the first rule that fired, or the first that was asked: its scope tells the eligible amounts.
    """

    lead: CompiledRule
    fired: tuple[Fired, ...]
    skipped: tuple[Skipped, ...]
    eligible_minor: int
    line_eligible_minor: tuple[int, ...]
    counts: Mapping[CounterKey, Count]
    dry: tuple[Dry, ...]

    @property
    def tokens(self) -> int:
        return sum(fired.tokens for fired in self.fired)

    @property
    def line_tokens(self) -> tuple[int, ...]:
        """All tokens of each line."""
        if not self.fired:
            return (0,) * len(self.line_eligible_minor)
        return tuple(map(sum, zip(*(fired.line_tokens for fired in self.fired), strict=True)))


@dataclass(slots=True, eq=False)
class _Candidate:
    """A rule that would earn."""

    rule: CompiledRule
    tokens: int
    weights: Sequence[int]


class _Refusal(Exception):  # noqa: N818 - no error: how a rule leaves the race
    def __init__(self, code: SkipCode, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


def evaluate(rules: RuleSet, occasion: Occasion, usage: Usage, zone: ZoneInfo) -> Outcome:
    """What the rules of the occasion's trigger give for it, after what `usage` says was given before.

    Depends on neither the order of the rules nor on anything but its arguments. Nobody known earns nothing.
    """
    judge = _Judge(occasion, usage, zone)
    member = occasion.member
    if member is None:
        judge.skipped += [Skipped(rule, SkipCode.NO_MEMBER) for rule in rules.rules]
    else:
        judge.let_earn(rules.base, member)
        judge.let_earn(rules.multipliers, member)
    return judge.outcome(rules)


@dataclass(slots=True)
class _Judge:
    occasion: Occasion
    usage: Usage
    zone: ZoneInfo
    fired: list[Fired] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    counts: dict[CounterKey, Count] = field(default_factory=dict)
    dry: list[Dry] = field(default_factory=list)
    _goods: dict[Scope, Goods] = field(default_factory=dict)
    _facts: CelFacts | None = None
    _local: datetime | None = None
    _base: list[int] | None = None

    def let_earn(self, rules: Iterable[CompiledRule], member: MemberFacts) -> None:
        """Ask rules, let them stack, and grant what their limits leave."""
        candidates = []
        for rule in rules:
            try:
                candidates.append(self._candidate(rule, member))
            except _Refusal as refusal:
                self.skipped.append(Skipped(rule, refusal.code, refusal.detail))
        standing = _stacked(candidates)
        for candidate in candidates:
            if candidate not in standing:
                self.skipped.append(Skipped(candidate.rule, SkipCode.OUT_STACKED))
                continue
            try:
                self.fired.append(self._granted(candidate, member))
            except _Refusal as refusal:
                self.skipped.append(Skipped(candidate.rule, refusal.code, refusal.detail))

    def outcome(self, rules: RuleSet) -> Outcome:
        lead = self.fired[0].rule if self.fired else rules.lead
        goods = self._goods_of(lead)
        return Outcome(
            lead, tuple(self.fired), tuple(self.skipped), goods.eligible_minor, goods.amounts_minor, self.counts,
            tuple(self.dry),
        )  # fmt: skip

    @property
    def local(self) -> datetime:
        if self._local is None:
            self._local = self.occasion.occurred_at.astimezone(self.zone)
        return self._local

    def _candidate(self, rule: CompiledRule, member: MemberFacts) -> _Candidate:
        """The rule's award before stacking; _Refusal says why there is none."""
        self._check_window(rule)
        self._check_audience(rule, member)
        self._check_occasion(rule, member)
        goods = self._goods_of(rule)
        if self.occasion.lines:
            if not any(goods.units):
                raise _Refusal(SkipCode.NO_ELIGIBLE_LINE)
            if goods.eligible_minor < rule.spec.minimum_minor:
                detail = f"{goods.eligible_minor} of {rule.spec.minimum_minor} minor units"
                raise _Refusal(SkipCode.MINIMUM, detail)
        self._check_condition(rule, goods, member)
        for limit in rule.limits:
            self._check_limit(rule, limit, member)
        tokens, weights = self._award(rule, goods, member)
        if tokens <= 0:
            raise _Refusal(SkipCode.NOTHING_EARNED)
        return _Candidate(rule, tokens, weights)

    def _goods_of(self, rule: CompiledRule) -> Goods:
        goods = self._goods.get(rule.scope)
        if goods is None:
            goods = goods_in(rule.scope, self.occasion.lines, self.occasion.shipping_minor)
            self._goods[rule.scope] = goods
        return goods

    def _check_window(self, rule: CompiledRule) -> None:
        if not rule.spec.window.holds(self.occasion.occurred_at):
            raise _Refusal(SkipCode.WINDOW)
        if (rule.weekdays or rule.minutes) and not rule.is_open(self.local):
            raise _Refusal(SkipCode.WINDOW)

    def _check_audience(self, rule: CompiledRule, member: MemberFacts) -> None:
        audience, occasion = rule.spec.audience, self.occasion
        if audience.tiers and member.tier not in audience.tiers:
            raise _Refusal(SkipCode.AUDIENCE_TIER)
        if audience.segments and rule.segment_ids.isdisjoint(member.segment_ids):
            raise _Refusal(SkipCode.AUDIENCE_SEGMENT)
        if audience.partners and occasion.partner_id not in audience.partners:
            raise _Refusal(SkipCode.PARTNER)
        if audience.locations and occasion.location_id not in audience.locations:
            raise _Refusal(SkipCode.LOCATION)
        if audience.channels and occasion.channel not in audience.channels:
            raise _Refusal(SkipCode.CHANNEL)

    def _check_occasion(self, rule: CompiledRule, member: MemberFacts) -> None:
        campaign = self.occasion.rule_external_id
        if campaign is not None and campaign != rule.external_id:
            raise _Refusal(SkipCode.OTHER_CAMPAIGN)
        for name, values in rule.match:
            if self.occasion.attributes.get(name) not in values:
                raise _Refusal(SkipCode.ATTRIBUTE, name)
        if self.occasion.partner_id is None and rule.spec.issuer_partner_id is None:
            raise _Refusal(SkipCode.NO_ISSUER)
        if rule.spec.first_only and member.has_bought:
            raise _Refusal(SkipCode.FIRST_ONLY)

    def _cel(self, member: MemberFacts) -> CelFacts:
        if self._facts is None:
            self._facts = CelFacts(self.occasion, member, self.local)
        return self._facts

    def _check_condition(self, rule: CompiledRule, goods: Goods, member: MemberFacts) -> None:
        if rule.condition is None:
            return
        try:
            holds = is_true(rule.condition, self._cel(member).context(rule.condition, goods))
        except ExpressionError as error:
            raise _Refusal(SkipCode.CONDITION, str(error)) from error
        if not holds:
            raise _Refusal(SkipCode.CONDITION)

    def _count(self, key: CounterKey) -> Count:
        return self.usage.get(key, NOTHING) + self.counts.get(key, NOTHING)

    def _check_limit(self, rule: CompiledRule, limit: Limit, member: MemberFacts) -> int | None:
        """The tokens that a limit leaves, None where it has none to say; _Refusal where nothing is left."""
        key = key_of(rule.external_id, limit, member.id, self.occasion.occurred_at, self.zone)
        count = self._count(key)
        if limit.uses is not None and count.uses >= limit.uses:
            raise _Refusal(SkipCode.LIMIT_REACHED, f"{limit.uses} uses per {limit.per} and {limit.period}")
        if limit.tokens is None:
            return None
        if count.tokens >= limit.tokens:
            raise self._dry(rule, limit, key)
        return limit.tokens - count.tokens

    def _dry(self, rule: CompiledRule, limit: Limit, key: CounterKey) -> _Refusal:
        detail = f"{limit.tokens} tokens per {limit.per} and {limit.period}"
        if limit.per == "member":
            return _Refusal(SkipCode.LIMIT_REACHED, detail)
        self.dry.append(Dry(key, rule.reference, limit.tokens or 0))
        return _Refusal(SkipCode.BUDGET_EXHAUSTED, detail)

    def _award(self, rule: CompiledRule, goods: Goods, member: MemberFacts) -> tuple[int, Sequence[int]]:
        """The tokens before limits, and the weights by which the lines share them."""
        spec = rule.spec
        if spec.rate is not None:
            return goods.eligible_minor * spec.rate.tokens // spec.rate.per_minor, goods.amounts_minor
        if spec.fixed is not None:
            if spec.fixed.per == "item":
                return spec.fixed.tokens * sum(goods.units), goods.units
            return spec.fixed.tokens, goods.weights
        if spec.multiplier is not None:
            earned = self._earned_on(goods)
            percent = spec.multiplier.percent or member.tier_multiplier_percent
            return sum(earned) * (percent - _PERCENT) // _PERCENT, earned
        if spec.every_nth is not None:
            return self._nth(rule, member), goods.weights
        return self._computed(rule, goods, member), goods.weights

    def _earned_on(self, goods: Goods) -> list[int]:
        """What the base rules gave on each line in scope."""
        if self._base is None:
            shares = [fired.line_tokens for fired in self.fired]
            self._base = list(map(sum, zip(*shares, strict=True))) if shares else [0] * len(goods.units)
        return [tokens if units else 0 for tokens, units in zip(self._base, goods.units, strict=True)]

    def _nth(self, rule: CompiledRule, member: MemberFacts) -> int:
        """The bonus where this occasion completes a row that was not paid yet; it counts in any case."""
        nth = rule.spec.every_nth
        if nth is None:
            raise TypeError("a rule of every n-th occasion is expected")
        key = nth_key(rule.external_id, nth.period, member.id, self.occasion.occurred_at, self.zone)
        self._add(key, Count(seen=1))
        count = self._count(key)
        if count.seen // nth.n <= count.uses:
            raise _Refusal(SkipCode.NOT_NTH, f"{count.seen % nth.n} of {nth.n}")
        return nth.tokens

    def _computed(self, rule: CompiledRule, goods: Goods, member: MemberFacts) -> int:
        if rule.amount is None:
            raise TypeError("a rule with an expression is expected")
        try:
            tokens = integer(rule.amount, self._cel(member).context(rule.amount, goods))
        except ExpressionError as error:
            raise _Refusal(SkipCode.CONDITION, str(error)) from error
        if tokens > MAX_TOKENS:
            raise _Refusal(SkipCode.CONDITION, "it exceeds what readers keep exact")
        return tokens

    def _add(self, key: CounterKey, count: Count) -> None:
        self.counts[key] = self.counts.get(key, NOTHING) + count

    def _granted(self, candidate: _Candidate, member: MemberFacts) -> Fired:
        """The award within its limits, counted; _Refusal where a limit refuses it whole."""
        rule, tokens = candidate.rule, candidate.tokens
        at = self.occasion.occurred_at
        for limit in rule.limits:
            left = self._check_limit(rule, limit, member)
            if left is not None and left < candidate.tokens:
                if limit.over == "refuse":
                    raise self._dry(rule, limit, key_of(rule.external_id, limit, member.id, at, self.zone))
                tokens = min(tokens, left)
        if rule.is_counted:
            for key in set(keys_of(rule.external_id, rule.spec, member.id, at, self.zone)):
                self._add(key, Count(uses=1, tokens=tokens))
        for limit in rule.limits:
            key = key_of(rule.external_id, limit, member.id, at, self.zone)
            if limit.per != "member" and limit.tokens is not None and self._count(key).tokens >= limit.tokens:
                self.dry.append(Dry(key, rule.reference, limit.tokens))
        return Fired(rule, tokens, _shares(tokens, candidate.weights), candidate.tokens)


def _shares(tokens: int, weights: Sequence[int]) -> tuple[int, ...]:
    return tuple(share_by_largest_remainder(tokens, weights)) if weights else ()


def _stacked(candidates: Sequence[_Candidate]) -> set[_Candidate]:
    """Those that stand beside each other: see RuleSpec. Candidates come in the order of their priority."""
    groups: dict[str | None, list[_Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(candidate.rule.spec.stacking_group, []).append(candidate)
    standing = set()
    for group in groups.values():
        alone = [candidate for candidate in group if candidate.rule.spec.stacking == "exclusive"]
        if alone:
            standing.add(alone[0])
            continue
        rivals = [candidate for candidate in group if candidate.rule.spec.stacking == "best_of"]
        best = max(rivals, key=lambda rival: rival.tokens, default=None)
        standing |= {one for one in group if one is best or one.rule.spec.stacking == "additive"}
    return standing
