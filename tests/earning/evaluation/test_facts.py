"""What expressions see of an occasion, a member and the goods in scope."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from factories.earning import a_line
from factories.rules import ADA, a_rule, a_sale, given, judge, refused

GOLD = replace(ADA, tier="gold", tier_rank=2)
BASKET = (
    a_line(600, sku="bread", category="food", quantity=2),
    a_line(400, sku="wine", brand="Lune", labels=("bio", "red"), discount_minor=100),
)


def figure(expression: str, occasion: Any = None, **fields: Any) -> int:
    """The tokens that an expression comes to."""
    return judge(occasion or a_sale(*BASKET), a_rule(award={"amount": expression}, **fields)).tokens


def holds(condition: str, occasion: Any) -> bool:
    return bool(given(judge(occasion, a_rule(award={"amount": "1"}, condition=condition))))


@pytest.mark.parametrize(
    ("expression", "tokens"),
    [
        ("amount_minor", 900),
        ("items", 3),
        ("size(lines)", 2),
        ("lines[0].quantity * 10 + lines[1].quantity", 21),
        ("lines[1].amount_minor", 300),
        ("lines.filter(l, l.brand == '').size()", 1),
        ("lines.filter(l, l.category == 'food').size()", 1),
        ("lines.filter(l, 'bio' in l.labels).size()", 1),
        ("shipping_minor", 250),
        ("member.tier_rank + 1", 1),
    ],
)
def test_figures_of_a_sale(expression: str, tokens: int) -> None:
    assert figure(expression, a_sale(*BASKET, shipping_minor=250)) == tokens


@pytest.mark.parametrize(
    ("scope", "expression", "tokens"),
    [
        ({"included_skus": ["wine"]}, "size(lines)", 1),
        ({"included_skus": ["wine"]}, "lines[0].sku == 'wine' ? 7 : 1", 7),
        ({"excluded_labels": ["red"]}, "amount_minor", 600),
        ({"included_skus": ["bread"]}, "items", 2),
        ({"basis": "pre_discount"}, "lines[1].amount_minor", 400),
    ],
    ids=str,
)
def test_a_rule_sees_the_goods_in_its_scope_alone(scope: dict[str, Any], expression: str, tokens: int) -> None:
    assert figure(expression, **scope) == tokens


def test_rules_of_different_scopes_do_not_see_each_others_goods() -> None:
    """Facts are made once per scope; a sale of many rules must not mix them up."""
    rules = [
        a_rule(f"{sku}-{name}", {"amount": expression}, included_skus=[sku])
        for sku in ("bread", "wine")
        for name, expression in (("lines", "lines[0].amount_minor"), ("amount", "amount_minor + 1"))
    ]
    assert given(judge(a_sale(*BASKET), *rules)) == {
        "bread-lines": 600, "bread-amount": 601, "wine-lines": 300, "wine-amount": 301,
    }  # fmt: skip


@pytest.mark.parametrize(("lines", "seen"), [(1, 1), (99, 99), (100, 100), (101, 100), (200, 100)])
def test_a_hundred_lines_are_seen_and_all_of_them_are_added_up(lines: int, seen: int) -> None:
    sale = a_sale(*(a_line(10, sku=f"sku-{n}") for n in range(lines)))
    assert figure("size(lines)", sale) == seen
    assert figure("items * 1000 + amount_minor", sale) == 1_010 * lines


@pytest.mark.parametrize(
    ("at", "figure_of_the_clock"),
    [
        (datetime(2026, 1, 4, 22, 59, tzinfo=UTC), 723),
        (datetime(2026, 1, 4, 23, 0, tzinfo=UTC), 100),
        (datetime(2026, 3, 29, 0, 59, tzinfo=UTC), 701),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), 703),
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), 702),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), 702),
        (datetime(2026, 10, 25, 22, 59, tzinfo=UTC), 723),
        (datetime(2026, 10, 25, 23, 0, tzinfo=UTC), 100),
    ],
    ids=str,
)
def test_weekday_and_hour_are_the_programmes(at: datetime, figure_of_the_clock: int) -> None:
    """Monday is 1, Sunday 7; 02:00 is skipped in March and comes twice in October."""
    assert figure("weekday * 100 + hour", a_sale(occurred_at=at)) == figure_of_the_clock


@pytest.mark.parametrize(
    ("condition", "changes"),
    [
        ("member.tier == 'gold'", {"member": GOLD}),
        ("channel == 'web'", {"channel": "web"}),
        ("partner_id == 'par_2'", {"partner_id": "par_2"}),
        ("location_id.startsWith('loc_')", {"location_id": "loc_7"}),
        ("attributes.size == 'XL'", {"attributes": {"size": "XL"}}),
        ("attributes.is_first", {"attributes": {"is_first": True}}),
        ("attributes.stars >= 4", {"attributes": {"stars": 5}}),
    ],
)
def test_what_is_said_is_known_and_what_is_not_is_empty(condition: str, changes: dict[str, Any]) -> None:
    """An absent text is an empty one, so that conditions need no test for it; an absent attribute is no fact."""
    assert holds(condition, a_sale(**changes))
    assert not holds(condition, a_sale())


def test_an_attribute_that_is_not_there_is_named_as_the_reason() -> None:
    outcome = judge(a_sale(), a_rule(condition="attributes.stars >= 4"))
    assert refused(outcome) == {"base": "condition"}
    assert "stars" in outcome.skipped[0].detail


def test_an_expression_may_ask_whether_an_attribute_is_there() -> None:
    assert holds("'stars' in attributes", a_sale(attributes={"stars": 0}))
    assert not holds("'stars' in attributes", a_sale())
