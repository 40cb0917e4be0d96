"""The laws of several rules side by side, whatever they say and whatever is sold."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from factories.earning import a_line
from factories.rules import ADA, MONDAY_NOON, PARIS, a_rule, a_sale, merged
from mereau.earning.compiled.domain import CompiledRule, RuleSet
from mereau.earning.evaluation.domain import Outcome, evaluate
from mereau.earning.evaluation.facts.domain import Occasion
from mereau.earning.limits.domain import Count, CounterKey, key_of
from mereau.sales.domain import SaleLineDraft

SKUS = ["bread", "wine", "tea"]
LINES = st.lists(
    st.builds(
        a_line,
        st.integers(-200, 50_000),
        sku=st.sampled_from(SKUS),
        quantity=st.integers(1, 5),
        discount_minor=st.integers(0, 500),
        eligible=st.sampled_from([True, True, True, False]),
    ),
    min_size=1,
    max_size=6,
)
TOKENS = st.integers(1, 500)
AWARDS = st.one_of(
    st.builds(lambda t, p: {"rate": {"tokens": t, "per_minor": p}}, st.integers(1, 20), st.integers(1, 500)),
    st.builds(
        lambda t, per: {"fixed": {"tokens": t, "per": per}}, TOKENS, st.sampled_from(["occasion", "item", "visit"])
    ),
    st.builds(lambda n, t: {"every_nth": {"n": n, "tokens": t}}, st.integers(2, 4), TOKENS),
    st.builds(lambda p: {"multiplier": {"percent": p}}, st.integers(101, 400)),
    st.just({"amount": "amount_minor / 70 + items"}),
)
LIMITS = st.lists(
    st.builds(
        lambda per, period, uses, tokens, over: {
            "per": per, "period": period, "uses": uses, "tokens": tokens, "over": over
        },
        st.sampled_from(["member", "rule", "programme"]),
        st.sampled_from(["day", "week", "ever"]),
        st.integers(1, 4),
        st.integers(1, 900),
        st.sampled_from(["reduce", "refuse"]),
    ),
    max_size=2,
)  # fmt: skip


@st.composite
def rule_sets(draw: st.DrawFn) -> list[CompiledRule]:
    return [
        a_rule(
            f"r{number}",
            draw(AWARDS),
            included_skus=draw(st.sampled_from([[], [], ["wine"], ["bread", "tea"]])),
            minimum_minor=draw(st.sampled_from([0, 0, 5_000])),
            stacking=draw(st.sampled_from(["additive", "additive", "best_of", "exclusive"])),
            stacking_group=draw(st.sampled_from([None, "promo"])),
            priority=100 * draw(st.integers(0, 2)) + number,
            limits=draw(LIMITS),
        )
        for number in range(draw(st.integers(1, 7)))
    ]


HISTORIES = st.lists(st.tuples(LINES, st.integers(0, 3)), min_size=1, max_size=6)


def play(rules: list[CompiledRule], history: list[tuple[list[SaleLineDraft], int]]) -> list[tuple[Occasion, Outcome]]:
    """Sales one after the other, some days apart, each after what those before it were given."""
    usage: Mapping[CounterKey, Count] = {}
    played = []
    at = MONDAY_NOON
    for lines, days in history:
        at += timedelta(days=days)
        occasion = a_sale(*lines, occurred_at=at)
        outcome = evaluate(RuleSet(rules), occasion, usage, PARIS)
        usage = merged(usage, outcome)
        played.append((occasion, outcome))
    return played


@given(rule_sets(), HISTORIES)
def test_every_rule_fires_or_says_why_and_lines_sum_to_tokens(rules: list[CompiledRule], history: Any) -> None:
    for occasion, outcome in play(rules, history):
        fired = [one.rule.external_id for one in outcome.fired]
        skipped = [one.rule.external_id for one in outcome.skipped]
        assert sorted(fired + skipped) == sorted(rule.external_id for rule in rules)
        for one in outcome.fired:
            assert 0 < one.tokens <= one.computed_tokens
            assert sum(one.line_tokens) == one.tokens
            assert all(
                tokens == 0 or (line.eligible and one.rule.scope.takes(line))
                for tokens, line in zip(one.line_tokens, occasion.lines, strict=True)
            )
        assert sum(outcome.line_tokens) == outcome.tokens == sum(one.tokens for one in outcome.fired)


@given(rule_sets(), HISTORIES)
def test_no_rule_goes_beyond_its_limits(rules: list[CompiledRule], history: Any) -> None:
    """Added up from what fired, beside the evaluator's own counters."""
    uses: dict[CounterKey, int] = {}
    tokens: dict[CounterKey, int] = {}
    for occasion, outcome in play(rules, history):
        for one in outcome.fired:
            keys = {
                key_of(one.rule.external_id, limit, ADA.id, occasion.occurred_at, PARIS) for limit in one.rule.limits
            }
            for key in keys:
                uses[key] = uses.get(key, 0) + 1
                tokens[key] = tokens.get(key, 0) + one.tokens
            for limit in one.rule.limits:
                key = key_of(one.rule.external_id, limit, ADA.id, occasion.occurred_at, PARIS)
                assert limit.uses is None or uses[key] <= limit.uses
                assert limit.tokens is None or tokens[key] <= limit.tokens


@given(rule_sets(), HISTORIES, st.randoms(use_true_random=False))
def test_the_order_in_which_rules_are_listed_does_not_matter(rules: list[CompiledRule], history: Any, rng: Any) -> None:
    shuffled = list(rules)
    rng.shuffle(shuffled)
    assert [outcome for _, outcome in play(rules, history)] == [outcome for _, outcome in play(shuffled, history)]


@given(rule_sets(), LINES, st.randoms(use_true_random=False))
def test_the_order_of_lines_does_not_matter(rules: list[CompiledRule], lines: list[SaleLineDraft], rng: Any) -> None:
    """For what rules look at; what multipliers add may differ by the token that a tie gives to another line."""
    base = [rule for rule in rules if rule.spec.multiplier is None] or [a_rule()]
    shuffled = list(lines)
    rng.shuffle(shuffled)
    one = evaluate(RuleSet(base), a_sale(*lines), {}, PARIS)
    other = evaluate(RuleSet(base), a_sale(*shuffled), {}, PARIS)
    assert [(f.rule.external_id, f.tokens) for f in one.fired] == [(f.rule.external_id, f.tokens) for f in other.fired]


@given(AWARDS.filter(lambda award: "multiplier" not in award), LINES, st.integers(1, 900), st.integers(0, 900))
def test_a_wider_limit_never_gives_less(award: Any, lines: list[SaleLineDraft], tokens: int, more: int) -> None:
    def given_within(most: int) -> int:
        limit = {"per": "rule", "period": "day", "tokens": most, "over": "reduce"}
        return evaluate(RuleSet([a_rule(award=award, limits=[limit])]), a_sale(*lines), {}, PARIS).tokens

    assert given_within(tokens) <= given_within(tokens + more)
    assert given_within(tokens) <= tokens


@settings(max_examples=50)
@given(rule_sets(), LINES)
def test_of_one_group_what_stands_is_one_alone_or_the_best_beside_the_additive(
    rules: list[CompiledRule], lines: list[SaleLineDraft]
) -> None:
    outcome = evaluate(RuleSet(rules), a_sale(*lines), {}, PARIS)
    for group in (None, "promo"):
        for multiplies in (False, True):
            standing = [
                one.rule.spec.stacking
                for one in outcome.fired
                if one.rule.spec.stacking_group == group and (one.rule.spec.multiplier is not None) == multiplies
            ]
            assert standing.count("best_of") <= 1
            assert "exclusive" not in standing or len(standing) == 1


@given(rule_sets(), HISTORIES)
def test_what_is_counted_is_what_was_given(rules: list[CompiledRule], history: Any) -> None:
    for _, outcome in play(rules, history):
        for key, count in outcome.counts.items():
            mine = [one for one in outcome.fired if key.rule in {"", one.rule.external_id}]
            assert count.tokens <= sum(one.tokens for one in mine)
            assert count.uses <= len(mine)
