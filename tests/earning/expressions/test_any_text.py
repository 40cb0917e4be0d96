"""Whatever somebody types as an expression is compiled or refused, quickly, and nothing else happens."""

from contextlib import suppress

from hypothesis import example, given, settings
from hypothesis import strategies as st

from factories.rules import a_rule, a_sale, judge
from mereau.earning.domain import EXPRESSION_CHARS_MAX
from mereau.earning.expressions.domain import FACTS, ExpressionError, compile_expression

WORDS = st.sampled_from(
    [
        *sorted(FACTS), "lines.exists(", "lines.map(", ".all(", ".size()", "size(", "x", "x,", "(", ")", "[", "]", "{",
        "}", ".", ",", "+", "-", "*", "/", "%", "==", "<", "&&", "||", "!", "?", ":", "1", "0", "7", "'a'", '"b"',
        "true", "null", "//", "\n", "in", "1.5", "0x10", "'", "r'",
    ]
)  # fmt: skip
TEXTS = st.lists(WORDS, max_size=14).map(" ".join) | st.text(max_size=60)


@settings(max_examples=400)
@given(TEXTS)
@example("(" * EXPRESSION_CHARS_MAX)
@example("[" * 200 + "]" * 200)
@example("-" * EXPRESSION_CHARS_MAX)
@example("!" * 400 + "true")
@example("lines.map(x, [x, x, x, x]).map(y, [y, y, y, y]).map(z, [z, z, z, z]) == lines")
def test_any_text_is_compiled_or_refused(text: str) -> None:
    with suppress(ExpressionError):
        assert compile_expression(text).source == text


@settings(max_examples=150)
@given(TEXTS)
def test_what_compiles_judges_or_says_why_not(text: str) -> None:
    """As a condition and as an amount, on a real sale: a figure, or a code."""
    try:
        compile_expression(text)
    except ExpressionError:
        return
    condition = judge(a_sale(), a_rule("condition", condition=text))
    amount = judge(a_sale(), a_rule("amount", {"amount": text}))
    assert len(condition.fired) + len(condition.skipped) == len(amount.fired) + len(amount.skipped) == 1
    assert {skipped.code.value for skipped in (*condition.skipped, *amount.skipped)} <= {
        "condition",
        "nothing_earned",
    }
