"""Each kind of award, each condition and each limit: where the rule fires, and where it says why not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from factories.earning import a_line
from factories.rules import ADA, MONDAY_NOON, a_rule, a_sale, fixed, given, judge, merged, refused
from mereau.earning.evaluation.domain import SkipCode
from mereau.earning.evaluation.facts.domain import MemberFacts, Occasion

GOLD = replace(ADA, tier="gold", tier_rank=2, tier_multiplier_percent=150)
TWO_LINES = (a_line(600, sku="bread", category="food"), a_line(400, sku="wine", brand="Lune", labels=("bio",)))


@pytest.mark.parametrize(
    ("award", "tokens"),
    [
        ({"rate": {"tokens": 2, "per_minor": 100}}, 20),
        (fixed(7), 7),
        (fixed(3, "item"), 6),
        (fixed(1, "visit"), 1),
        ({"amount": "amount_minor / 300 + items"}, 5),
        ({"amount": "size(lines)"}, 2),
    ],
    ids=str,
)
def test_each_kind_of_award(award: dict[str, Any], tokens: int) -> None:
    outcome = judge(a_sale(*TWO_LINES), a_rule(award=award))
    assert given(outcome) == {"base": tokens}
    assert sum(outcome.line_tokens) == tokens
    assert outcome.eligible_minor == 1_000


@pytest.mark.parametrize(
    ("scope", "line_tokens"),
    [
        ({"included_skus": ["bread"]}, (6, 0)),
        ({"included_brands": ["Lune"]}, (0, 4)),
        ({"included_labels": ["bio", "new"]}, (0, 4)),
        ({"included_categories": ["food"], "included_labels": ["bio"]}, (6, 4)),
        ({"excluded_brands": ["Lune"]}, (6, 0)),
        ({"excluded_labels": ["bio"]}, (6, 0)),
        ({"included_labels": ["bio"], "excluded_skus": ["bread"]}, (0, 4)),
    ],
    ids=str,
)
def test_goods_in_scope_earn_and_the_others_do_not(scope: dict[str, Any], line_tokens: tuple[int, ...]) -> None:
    assert judge(a_sale(*TWO_LINES), a_rule(**scope)).line_tokens == line_tokens


def test_a_rule_without_goods_in_scope_says_so() -> None:
    assert refused(judge(a_sale(*TWO_LINES), a_rule(included_skus=["gold bar"]))) == {"base": "no_eligible_line"}


def test_goods_that_were_free_share_by_units() -> None:
    """A stamp card counts a coffee that costs nothing."""
    sale = a_sale(a_line(500, discount_minor=500), a_line(300, discount_minor=300, quantity=3))
    assert judge(sale, a_rule(award=fixed(8))).line_tokens == (2, 6)


WINDOWS = [
    ({"starts_at": "2026-01-05T11:00:00Z"}, True),
    ({"starts_at": "2026-01-05T11:00:01Z"}, False),
    ({"ends_at": "2026-01-05T11:00:01Z"}, True),
    ({"ends_at": "2026-01-05T11:00:00Z"}, False),
    ({"weekdays": ["mon", "sun"]}, True),
    ({"weekdays": ["tue"]}, False),
    ({"hours": [{"starts": "12:00", "ends": "12:01"}]}, True),
    ({"hours": [{"starts": "11:00", "ends": "12:00"}]}, False),
    ({"hours": [{"starts": "22:00", "ends": "12:30"}]}, True),
    ({"hours": [{"starts": "22:00", "ends": "06:00"}]}, False),
    ({"hours": [{"starts": "08:00", "ends": "09:00"}, {"starts": "12:00", "ends": "14:00"}]}, True),
]


@pytest.mark.parametrize(("window", "is_open"), WINDOWS, ids=str)
def test_windows_are_those_of_the_programmes_zone(window: dict[str, Any], is_open: bool) -> None:
    """11:00 in UTC is noon in Paris."""
    outcome = judge(a_sale(), a_rule(window=window))
    assert (given(outcome), refused(outcome)) == (({"base": 10}, {}) if is_open else ({}, {"base": "window"}))


def test_a_weekday_begins_at_midnight_in_the_programmes_zone() -> None:
    late = a_sale(occurred_at=datetime(2026, 7, 5, 22, 30, tzinfo=UTC))
    assert given(judge(late, a_rule(window={"weekdays": ["mon"]}))) == {"base": 10}


AUDIENCES = [
    ({"tiers": ["gold", "silver"]}, {"member": GOLD}, "audience_tier"),
    ({"partners": ["par_1"]}, {}, "partner"),
    ({"locations": ["loc_1"]}, {"location_id": "loc_1"}, "location"),
    ({"channels": ["web"]}, {"channel": "web"}, "channel"),
]


@pytest.mark.parametrize(("audience", "met", "code"), AUDIENCES, ids=lambda value: str(value)[:30])
def test_an_audience_is_met_or_named(audience: dict[str, Any], met: dict[str, Any], code: str) -> None:
    rule = a_rule(audience=audience)
    assert given(judge(a_sale(**met), rule)) == {"base": 10}
    missed = a_sale(member=ADA, partner_id="par_2", location_id=None, channel="pos")
    assert refused(judge(missed, rule)) == {"base": code}


def test_a_segment_is_known_by_its_id() -> None:
    rule = a_rule(audience={"segments": ["regulars"]}, segment_ids=["seg_1"])
    assert given(judge(a_sale(member=replace(ADA, segment_ids=frozenset({"seg_1"}))), rule)) == {"base": 10}
    assert refused(judge(a_sale(member=replace(ADA, segment_ids=frozenset({"seg_2"}))), rule)) == {
        "base": "audience_segment"
    }


def test_nobody_known_earns_nothing_and_the_amount_is_told() -> None:
    outcome = judge(a_sale(member=None), a_rule(), a_rule("bonus", fixed(5)))
    assert refused(outcome) == {"base": "no_member", "bonus": "no_member"}
    assert (outcome.tokens, outcome.line_tokens, outcome.eligible_minor) == (0, (0,), 1_000)


def test_a_first_purchase_is_the_first() -> None:
    rule = a_rule(award=fixed(100), first_only=True)
    assert given(judge(a_sale(), rule)) == {"base": 100}
    assert refused(judge(a_sale(member=replace(ADA, has_bought=True)), rule)) == {"base": "first_only"}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("amount_minor >= 1000 && items == 2", True),
        ("lines.exists(line, line.brand == 'Lune' && line.amount_minor == 400)", True),
        ("lines.exists(line, 'bio' in line.labels)", True),
        ("lines.all(line, line.category == 'food')", False),
        ("member.tier == 'gold' && member.tier_rank > 1", False),
        ("weekday == 1 && hour == 12", True),
        ("attributes.table == 7", False),
        ("amount_minor / (items - 2) > 1", False),
    ],
)
def test_a_condition_holds_or_does_not(condition: str, holds: bool) -> None:
    outcome = judge(a_sale(*TWO_LINES), a_rule(condition=condition))
    assert refused(outcome) == ({} if holds else {"base": "condition"})


def test_an_expression_that_comes_to_nothing_earns_nothing() -> None:
    for amount, code in (
        ("0 - 5", "nothing_earned"),
        ("0", "nothing_earned"),
        ("'ten'", "condition"),
        ("amount_minor * 9007199254741", "condition"),
    ):
        assert refused(judge(a_sale(), a_rule(award={"amount": amount}))) == {"base": code}
    outcome = judge(a_sale(), a_rule(condition="amount_minor"))
    assert outcome.skipped[0].detail == "it is neither true nor false"


def an_event(**changes: Any) -> Occasion:
    fields: dict[str, Any] = {"trigger": "custom_event", "attributes": {"event": "visit", "rating": 5}, "lines": ()}
    return replace(a_sale(), **fields | changes)


def test_attributes_are_matched_by_text() -> None:
    rule = a_rule(award=fixed(3), trigger="custom_event", match={"event": ["visit", "call"]})
    assert given(judge(an_event(), rule)) == {"base": 3}
    outcome = judge(an_event(attributes={"event": "mail"}), rule)
    assert (refused(outcome), outcome.skipped[0].detail) == ({"base": "attribute"}, "event")


def test_an_occasion_without_partner_needs_an_issuer() -> None:
    issuer = f"par_{'0' * 26}"
    paid = a_rule("paid", fixed(3), trigger="custom_event", issuer_partner_id=issuer)
    unpaid = a_rule("unpaid", fixed(3), trigger="custom_event")
    outcome = judge(an_event(partner_id=None), paid, unpaid)
    assert (given(outcome), refused(outcome)) == ({"paid": 3}, {"unpaid": "no_issuer"})
    assert outcome.fired[0].line_tokens == ()


def test_an_occasion_may_be_for_one_rule_alone() -> None:
    rules = [a_rule(name, fixed(3), trigger="custom_event") for name in ("one", "two")]
    outcome = judge(an_event(rule_external_id="two"), *rules)
    assert (given(outcome), refused(outcome)) == ({"two": 3}, {"one": "other_campaign"})


def test_every_third_occasion_is_paid() -> None:
    rule = a_rule(award={"every_nth": {"n": 3, "tokens": 50}})
    usage: dict[Any, Any] = {}
    paid = []
    for _ in range(7):
        outcome = judge(a_sale(), rule, usage=usage)
        usage = merged(usage, outcome)
        paid.append(outcome.tokens)
    assert paid == [0, 0, 50, 0, 0, 50, 0]
    assert refused(outcome) == {"base": "not_nth"}
    assert outcome.skipped[0].detail == "1 of 3"


def test_a_row_begins_again_with_the_period() -> None:
    rule = a_rule(award={"every_nth": {"n": 2, "tokens": 50, "period": "month"}})
    usage = merged({}, judge(a_sale(), rule))
    february = a_sale(occurred_at=MONDAY_NOON + timedelta(days=30))
    assert judge(february, rule, usage=usage).tokens == 0
    assert judge(a_sale(), rule, usage=usage).tokens == 50


def test_multipliers_raise_what_the_others_gave_on_their_goods() -> None:
    double = a_rule("double", {"multiplier": {"percent": 200}}, included_skus=["wine"])
    outcome = judge(a_sale(*TWO_LINES), double, a_rule(), a_rule("visit", fixed(10)))
    assert given(outcome) == {"base": 10, "visit": 10, "double": 8}
    assert outcome.line_tokens == (12, 16)
    assert [fired.rule.external_id for fired in outcome.fired] == ["base", "visit", "double"]


def test_a_tier_multiplies_by_its_own_figure() -> None:
    rule = a_rule("tier", {"multiplier": {"by_tier": True}})
    assert given(judge(a_sale(member=GOLD), rule, a_rule())) == {"base": 10, "tier": 5}
    assert refused(judge(a_sale(), rule, a_rule())) == {"tier": "nothing_earned"}


def test_an_exclusive_rule_that_earns_stands_alone_in_its_group() -> None:
    alone = a_rule("alone", fixed(3), stacking="exclusive", stacking_group="promo", minimum_minor=1_000)
    rules = [alone, a_rule("other", fixed(9), stacking_group="promo", priority=5), a_rule()]
    outcome = judge(a_sale(), *rules)
    assert (given(outcome), refused(outcome)) == ({"base": 10, "alone": 3}, {"other": "out_stacked"})
    below = judge(a_sale(a_line(900)), *rules)
    assert (given(below), refused(below)) == ({"base": 9, "other": 9}, {"alone": "minimum"})


def test_of_exclusive_rules_the_highest_priority_stands() -> None:
    rules = [a_rule(f"e{i}", fixed(i), stacking="exclusive", priority=i) for i in (1, 3, 2)]
    assert given(judge(a_sale(), *rules)) == {"e3": 3}


def test_of_the_best_the_best_stands_beside_the_others() -> None:
    rules = [a_rule(f"b{i}", fixed(i), stacking="best_of", priority=-i) for i in (4, 9, 6)]
    outcome = judge(a_sale(), *rules, a_rule())
    assert (given(outcome), refused(outcome)) == ({"base": 10, "b9": 9}, {"b4": "out_stacked", "b6": "out_stacked"})


def test_a_rule_with_nothing_left_does_not_compete() -> None:
    """The best offer is used up: the next best counts, instead of none."""
    best = a_rule("best", fixed(9), stacking="best_of", limits=[{"per": "member", "period": "day", "uses": 1}])
    next_best = a_rule("next", fixed(4), stacking="best_of")
    first = judge(a_sale(), best, next_best)
    second = judge(a_sale(), best, next_best, usage=merged({}, first))
    assert (given(first), given(second)) == ({"best": 9}, {"next": 4})
    assert refused(second) == {"best": "limit_reached"}


def test_the_codes_are_a_closed_set() -> None:
    assert len(SkipCode) == 19
    assert all(code.value == code.name.lower() for code in SkipCode)


def test_a_member_is_what_rules_ask_for() -> None:
    assert MemberFacts("mem_1").tier_multiplier_percent == 100
