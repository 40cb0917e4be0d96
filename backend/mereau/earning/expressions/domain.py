"""Expressions of rules in CEL: compiled once, bounded before they ever run. Pure.

CEL has no limit of time, so what can take long is refused where the rule is written: macros inside macros, more
than three macros, long texts. Facts are integers, texts and booleans; a rule sees at most 100 lines.
"""

import re
from collections.abc import Iterator
from typing import Final

import cel

LINES_EXPOSED_MAX: Final = 100
MACROS_MAX: Final = 3
FACTS: Final = frozenset(
    {
        "amount_minor", "items", "lines", "shipping_minor", "member", "attributes", "partner_id", "location_id",
        "channel", "weekday", "hour",
    }
)  # fmt: skip
"""`member` holds tier and tier_rank; `lines` sku, category, brand, labels, quantity and amount_minor of each."""

_MACROS: Final = frozenset({"all", "exists", "exists_one", "existsOne", "map", "filter"})
_FUNCTIONS: Final = frozenset({"size", "contains", "startsWith", "endsWith"})
_TOKEN: Final = re.compile(
    r"""(?P<text>[rRbB]{0,2}(?:'{3}.*?'{3}|"{3}.*?"{3}|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"))"""
    r"""|(?P<comment>//[^\n]*)"""
    r"""|(?P<number>[0-9][0-9A-Za-z]*(?:\.[0-9]\w*|[eE][+-]?[0-9]+)?|\.[0-9]\w*)"""
    r"""|(?P<name>[A-Za-z_]\w*)|(?P<mark>\S)""",
    re.DOTALL | re.VERBOSE,
)
_INTEGER: Final = re.compile(r"[0-9]+|0x[0-9A-Fa-f]+")


class ExpressionError(ValueError):
    """An expression that may not be, or that came to nothing usable."""


def compile_expression(text: str) -> cel.Program:
    """The program of an expression; ExpressionError says what is wrong with one that must not run."""
    bound = set(_bound_names(_tokens(text)))
    try:
        program = cel.compile(text)
    except ValueError as error:
        raise ExpressionError(str(error).splitlines()[0]) from None
    if unknown := sorted(set(program.variables()) - FACTS - bound):
        raise ExpressionError(f"{unknown[0]} is no fact; there are {', '.join(sorted(FACTS))}")
    named = {name for name in program.functions() if name.isidentifier()}
    if unknown := sorted(named - _FUNCTIONS):
        raise ExpressionError(f"{unknown[0]} is not available; there are {', '.join(sorted(_FUNCTIONS))}")
    return program


def _tokens(text: str) -> list[tuple[str, str]]:
    """(kind, token) of what is neither space nor comment; figures with a fraction are refused."""
    found = [(match.lastgroup or "", match.group()) for match in _TOKEN.finditer(text)]
    for kind, token in found:
        if kind == "number" and not _INTEGER.fullmatch(token):
            raise ExpressionError(f"{token} is no integer")
    return [(kind, token) for kind, token in found if kind != "comment"]


def _bound_names(tokens: list[tuple[str, str]]) -> Iterator[str]:
    """The variables that macros bind; ExpressionError for a macro inside a macro, and for too many of them."""
    depth = macros = 0
    inside_until: int | None = None
    for place, (kind, token) in enumerate(tokens):
        called = kind == "name" and token in _MACROS and tokens[place + 1 : place + 2] == [("mark", "(")]
        if called and tokens[place - 1] == ("mark", "."):
            macros += 1
            if inside_until is not None:
                raise ExpressionError(f"{token} stands inside another macro")
            if macros > MACROS_MAX:
                raise ExpressionError(f"at most {MACROS_MAX} macros are allowed")
            inside_until = depth
            yield from (name for _, name in tokens[place + 2 : place + 3])
        elif (kind, token) == ("mark", "("):
            depth += 1
        elif (kind, token) == ("mark", ")"):
            depth -= 1
            if inside_until is not None and depth <= inside_until:
                inside_until = None


def _run(program: cel.Program, facts: cel.Context) -> object:
    try:
        return program.execute(facts)
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ExpressionError(f"it could not be computed: {error}") from error


def is_true(program: cel.Program, facts: cel.Context) -> bool:
    """Whether the condition holds; ExpressionError where it is neither true nor false."""
    result = _run(program, facts)
    if not isinstance(result, bool):
        raise ExpressionError("it is neither true nor false")
    return result


def integer(program: cel.Program, facts: cel.Context) -> int:
    """The figure; ExpressionError where it is no integer."""
    result = _run(program, facts)
    if isinstance(result, bool) or not isinstance(result, int):
        raise ExpressionError("it is no integer")
    return result
