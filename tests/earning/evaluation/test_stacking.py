"""How rules stand beside each other: groups, multipliers among themselves, and rows that go on counting."""

from typing import Any

import pytest

from factories.earning import a_line
from factories.rules import a_rule, a_sale, fixed, given, judge, merged, refused
from mereau.earning.limits.domain import Count


def times(external_id: str, percent: int, **fields: Any) -> Any:
    return a_rule(external_id, {"multiplier": {"percent": percent}}, **fields)


BASE = a_rule("base")
"""Ten tokens for a sale of 10.00."""


@pytest.mark.parametrize(
    ("rules", "tokens"),
    [
        ([times("x2", 200), times("x15", 150)], {"base": 10, "x2": 10, "x15": 5}),
        ([times("x2", 200, stacking="best_of"), times("x3", 300, stacking="best_of")], {"base": 10, "x3": 20}),
        (
            [times("x2", 200, stacking="best_of"), times("x3", 300, stacking="best_of"), times("x15", 150)],
            {"base": 10, "x3": 20, "x15": 5},
        ),
        ([times("x2", 200, stacking="exclusive"), times("x3", 300)], {"base": 10, "x2": 10}),
        (
            [times("x2", 200, stacking="exclusive", priority=1), times("x3", 300, stacking="exclusive")],
            {"base": 10, "x2": 10},
        ),
        (
            [times("x2", 200, stacking="exclusive", stacking_group="a"), times("x3", 300)],
            {"base": 10, "x2": 10, "x3": 20},
        ),
        ([times("x1", 109)], {"base": 10}),
        ([times("x1", 110)], {"base": 10, "x1": 1}),
    ],
    ids=lambda value: "+".join(rule.external_id for rule in value) if isinstance(value, list) else "",
)
def test_multipliers_raise_the_base_and_never_each_other(rules: list[Any], tokens: dict[str, int]) -> None:
    assert given(judge(a_sale(), BASE, *rules)) == tokens


def test_multipliers_and_base_rules_do_not_compete() -> None:
    """They share the group without a name, and still an exclusive multiplier does not end what it multiplies."""
    alone = times("alone", 200, stacking="exclusive")
    assert given(judge(a_sale(), BASE, a_rule("visit", fixed(5)), alone)) == {"base": 10, "visit": 5, "alone": 15}


def test_an_exclusive_base_rule_leaves_the_multipliers_only_itself() -> None:
    outcome = judge(a_sale(), BASE, a_rule("gift", fixed(3), stacking="exclusive"), times("x2", 200))
    assert (given(outcome), refused(outcome)) == ({"gift": 3, "x2": 3}, {"base": "out_stacked"})


def test_without_anything_earned_there_is_nothing_to_raise() -> None:
    outcome = judge(a_sale(a_line(99)), BASE, times("x2", 200))
    assert refused(outcome) == {"base": "nothing_earned", "x2": "nothing_earned"}


@pytest.mark.parametrize(
    ("over", "tokens", "code"), [("reduce", {"base": 10, "x3": 7}, None), ("refuse", {"base": 10}, "limit_reached")]
)
def test_a_multiplier_has_limits_of_its_own(over: str, tokens: dict[str, int], code: str | None) -> None:
    rule = times("x3", 300, limits=[{"per": "member", "period": "month", "tokens": 7, "over": over}])
    outcome = judge(a_sale(), BASE, rule)
    assert given(outcome) == tokens
    assert refused(outcome).get("x3") == code


def test_a_reduced_base_is_what_is_multiplied() -> None:
    capped = a_rule("base", limits=[{"per": "member", "period": "day", "tokens": 4}])
    assert given(judge(a_sale(), capped, times("x2", 200))) == {"base": 4, "x2": 4}


def test_groups_know_nothing_of_each_other() -> None:
    rules = [
        a_rule(f"{group}-{tokens}", fixed(tokens), stacking="best_of", stacking_group=group)
        for group in ("spring", "club")
        for tokens in (3, 8)
    ]
    outcome = judge(a_sale(), *rules)
    assert given(outcome) == {"spring-8": 8, "club-8": 8}
    assert set(refused(outcome).values()) == {"out_stacked"}


def test_of_two_that_are_equally_good_the_first_in_order_stands() -> None:
    """By priority, then by name: never by which was edited last."""
    rules = [a_rule(name, fixed(5), stacking="best_of") for name in ("b", "a", "c")]
    assert given(judge(a_sale(), *rules)) == {"a": 5}
    assert given(judge(a_sale(), *rules, a_rule("d", fixed(5), stacking="best_of", priority=1))) == {"d": 5}


def test_an_occasion_counts_towards_a_row_that_another_rule_kept_from_being_paid() -> None:
    """The second coffee falls on a day of an exclusive gift: the bonus waits for the next coffee, and is not lost."""
    nth = a_rule("nth", {"every_nth": {"n": 2, "tokens": 20}})
    gift = a_rule("gift", fixed(1), stacking="exclusive", audience={"channels": ["web"]})
    usage: dict[Any, Count] = {}
    paid = []
    for channel in ("pos", "web", "pos", "pos"):
        outcome = judge(a_sale(channel=channel), nth, gift, usage=usage)
        usage = merged(usage, outcome)
        paid.append(given(outcome))
    assert paid == [{}, {"gift": 1}, {"nth": 20}, {"nth": 20}]


def test_what_a_rule_does_not_take_counts_towards_no_row() -> None:
    nth = a_rule("nth", {"every_nth": {"n": 2, "tokens": 20}}, minimum_minor=500)
    usage: dict[Any, Count] = {}
    paid = []
    for amount in (500, 499, 499, 500):
        outcome = judge(a_sale(a_line(amount)), nth, usage=usage)
        usage = merged(usage, outcome)
        paid.append(outcome.tokens)
    assert paid == [0, 0, 0, 20]


@pytest.mark.parametrize(
    ("limits", "tokens"),
    [
        ([{"per": "member", "period": "day", "tokens": 6}, {"per": "rule", "period": "day", "tokens": 4}], 4),
        ([{"per": "member", "period": "day", "tokens": 4}, {"per": "rule", "period": "year", "tokens": 6}], 4),
        ([{"per": "member", "period": "day", "tokens": 10}, {"per": "programme", "period": "day", "tokens": 99}], 10),
        ([{"per": "member", "period": "day", "uses": 1}, {"per": "programme", "period": "ever", "tokens": 1}], 1),
        (
            [
                {"per": "member", "period": "day", "tokens": 9},
                {"per": "rule", "period": "day", "tokens": 9, "over": "refuse"},
            ],
            0,
        ),
    ],
    ids=str,
)
def test_of_several_limits_the_tightest_holds(limits: list[dict[str, Any]], tokens: int) -> None:
    outcome = judge(a_sale(), a_rule(limits=limits))
    assert outcome.tokens == tokens
    assert all(count.tokens == tokens for count in outcome.counts.values())


@pytest.mark.parametrize(("budget", "dry"), [(9, 1), (10, 1), (11, 0)])
def test_a_budget_that_is_just_enough_is_over_too(budget: int, dry: int) -> None:
    outcome = judge(a_sale(), a_rule(limits=[{"per": "programme", "period": "month", "tokens": budget}]))
    assert outcome.tokens == min(10, budget)
    assert [one.limit_tokens for one in outcome.dry] == [budget] * dry
