"""The evaluator beside a second one that was written apart from it, over random rules and histories."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from earning.evaluation.oracle import Books, give
from factories.earning import a_line
from factories.rules import PARIS, a_rule, a_sale, merged
from mereau.earning.compiled.domain import RuleSet
from mereau.earning.evaluation.domain import evaluate
from mereau.earning.limits.domain import Count, CounterKey

TOKENS = st.integers(1, 60)
AWARDS = st.one_of(
    st.builds(lambda t, p: {"rate": {"tokens": t, "per_minor": p}}, st.integers(1, 5), st.integers(10, 300)),
    st.builds(lambda t, per: {"fixed": {"tokens": t, "per": per}}, TOKENS, st.sampled_from(["occasion", "item"])),
    st.builds(lambda n, t: {"every_nth": {"n": n, "tokens": t, "period": "ever"}}, st.integers(2, 3), TOKENS),
    st.builds(lambda p: {"multiplier": {"percent": p}}, st.integers(101, 350)),
)
LIMITS = st.lists(
    st.fixed_dictionaries(
        {
            "per": st.sampled_from(["member", "rule", "programme"]),
            "period": st.just("ever"),
            "over": st.sampled_from(["reduce", "refuse"]),
            "tokens": st.integers(1, 150),
        },
        optional={"uses": st.integers(1, 4)},
    ),
    max_size=2,
)
MORE = st.fixed_dictionaries(
    {"limits": LIMITS},
    optional={
        "included_skus": st.sampled_from([["wine"], ["bread", "tea"]]),
        "minimum_minor": st.sampled_from([500, 2_000]),
        "stacking": st.sampled_from(["best_of", "exclusive", "additive"]),
        "stacking_group": st.just("promo"),
    },
)
RULES = st.lists(st.tuples(AWARDS, MORE), min_size=1, max_size=6)
LINES = st.lists(
    st.builds(
        a_line,
        st.integers(-50, 3_000),
        sku=st.sampled_from(["bread", "wine", "tea"]),
        quantity=st.integers(1, 4),
        discount_minor=st.integers(0, 200),
        eligible=st.sampled_from([True, True, True, False]),
    ),
    min_size=1,
    max_size=5,
)


def named(rules: list[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Rules by name; every second one has the priority of the one before it, unless it would stand alone."""
    return {
        f"r{number}": {**award, **more, "priority": number if more.get("stacking") == "exclusive" else number // 2}
        for number, (award, more) in enumerate(rules)
    }


@settings(max_examples=300)
@given(RULES, st.lists(LINES, min_size=1, max_size=5))
def test_two_evaluators_agree_on_every_history(rules: Any, history: Any) -> None:
    specs = named(rules)
    compiled = RuleSet([a_rule(name, {}, **spec) for name, spec in specs.items()])
    usage: Mapping[CounterKey, Count] = {}
    books = Books()
    for lines in history:
        outcome = evaluate(compiled, a_sale(*lines), usage, PARIS)
        usage = merged(usage, outcome)
        assert {one.rule.external_id: list(one.line_tokens) for one in outcome.fired} == give(specs, lines, books)
    by_pot: dict[str, Count] = {}
    for key, count in usage.items():
        by_pot[key.rule] = max(by_pot.get(key.rule, Count()), count, key=lambda count: (count.tokens, count.seen))
    for pot, tokens in books.tokens.items():
        assert (by_pot[pot].uses, by_pot[pot].tokens) == (books.uses[pot], tokens)
