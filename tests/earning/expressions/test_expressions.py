"""Expressions: what compiles, what is refused before it runs, and what comes to nothing."""

import cel
import pytest

from mereau.earning.expressions.domain import ExpressionError, compile_expression, integer, is_true

FACTS = cel.Context(
    variables={
        "amount_minor": 1_000, "items": 3, "lines": [{"sku": "a", "quantity": 1}, {"sku": "b", "quantity": 2}],
        "attributes": {"event": "visit", "score": 4}, "member": {"tier": "gold", "tier_rank": 2},
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("amount_minor / 300", 3),
        ("attributes.score * 10 + items", 43),
        ("size(lines.filter(line, line.quantity > 1))", 1),
        ("lines.map(line, line.quantity).size() + lines.filter(l, l.sku == 'a').size()", 3),
        ("member.tier == 'gold' ? 7 : 0x1F", 7),
        ("items // a remark with (brackets\n", 3),
        ("size('lines.map(x, lines.map(y, y))')", 29),
    ],
)
def test_figures_are_computed(text: str, result: int) -> None:
    assert integer(compile_expression(text), FACTS) == result


@pytest.mark.parametrize(
    "text",
    [
        "lines.exists(a, lines.exists(b, a == b))",
        "lines.map(a, (lines.map(b, b)))",
        "lines . map ( a , lines . all ( b , true ) ).size() > 1",
        "lines.map(a, a).map(a, a).map(a, a).map(a, a).size()",
        "1.5 > 1.0", "1e3 > 2", ".5 > 0.1", "double(3) > 2.0",
        "timestamp('2020-01-01T00:00:00Z') > timestamp('2021-01-01T00:00:00Z')", "'a'.matches('a+')",
        "now > 1", "password", "cel.bind(x, 1, x)", "lines.sortBy(l, l.sku)",
        "amount_minor >", "", "'", "((((", "lines.map(", "lines.map(x, x", "@", "\\", "a b",
    ],
)  # fmt: skip
def test_what_must_not_run_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(text)


@pytest.mark.parametrize(
    "text", ["amount_minor / (items - 3)", "attributes.nothing", "lines[7].sku", "9223372036854775807 + items"]
)
def test_what_cannot_be_computed_says_so(text: str) -> None:
    with pytest.raises(ExpressionError, match="could not be computed"):
        integer(compile_expression(text), FACTS)


@pytest.mark.parametrize("text", ["true", "'7'", "lines", "[1]", "null"])
def test_a_figure_is_an_integer(text: str) -> None:
    with pytest.raises(ExpressionError, match="no integer"):
        integer(compile_expression(text), FACTS)


@pytest.mark.parametrize("text", ["1", "'true'", "null"])
def test_a_condition_is_true_or_false(text: str) -> None:
    with pytest.raises(ExpressionError, match="neither true nor false"):
        is_true(compile_expression(text), FACTS)
    assert is_true(compile_expression("items == 3"), FACTS)
