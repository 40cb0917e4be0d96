"""The reader agrees with the standard where JSON is plain, and refuses where two readers could disagree."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.core.errors import MalformedError
from mereau.core.strict_json import DEPTH_MAX, escape_pointer, parse

# Text without NUL and surrogates, which are refused.
plain_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | plain_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(plain_text, inner, max_size=4),
    max_leaves=20,
)


@given(values, st.booleans())
def test_plain_json_is_read_as_the_standard_reads_it(value: object, ascii_only: bool) -> None:
    assert parse(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_malformed(raw: bytes) -> None:
    try:
        value = parse(raw)
    except MalformedError:
        return
    assert json.loads(raw.decode()) == value or value != value  # noqa: PLR0124 - no NaN comes out; see below


@given(st.text(st.sampled_from('[]{}",:\\u0d81e+-.naNIty '), max_size=40))
def test_texts_of_structure_never_escape_as_other_errors(text: str) -> None:
    with contextlib.suppress(MalformedError):
        parse(text.encode())


@pytest.mark.parametrize(
    ("raw", "pointers"),
    [
        (b'{"a":1,"a":1}', ["/a"]),
        (b'{"a":1,"\\u0061":2}', ["/a"]),
        (b'{"a":[{"x":1},{"b/~":1,"b/~":2}]}', ["/a/1/b~1~0"]),
        (b'[{"a":1,"a":2},{"b":1,"b":2}]', ["/0/a", "/1/b"]),
        (b'{"a":{"b":1,"b":2},"a":{"c":1}}', ["/a"]),
    ],
)
def test_a_repeated_key_is_named(raw: bytes, pointers: list[str]) -> None:
    with pytest.raises(MalformedError) as refused:
        parse(raw)
    assert [error.pointer for error in refused.value.errors] == pointers


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        (b'{"a":"\\u0000"}', "/a"),
        (b'{"a":["x","\\ud800"]}', "/a/1"),
        (b'{"a":{"\\udc00":1}}', "/a"),
        (b'"\\ud800\\ud800"', ""),
    ],
)
def test_nul_and_lone_surrogates_are_named(raw: bytes, pointer: str) -> None:
    with pytest.raises(MalformedError) as refused:
        parse(raw)
    assert [error.pointer for error in refused.value.errors] == [pointer]


def test_pairs_of_surrogates_and_escaped_backslashes_are_text() -> None:
    assert parse(b'["\\ud83d\\ude00", "\\\\u0000", "\\\\ud800"]') == ["\N{GRINNING FACE}", "\\u0000", "\\ud800"]


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_constants_that_json_does_not_have_are_refused(constant: str) -> None:
    with pytest.raises(MalformedError, match=constant.lstrip("-")):
        parse(f'{{"a":{constant}}}'.encode())


def test_fractions_and_exponents_stay_floats() -> None:
    assert [type(item) for item in json.loads("[1.0, 1e3]")] == [float, float]
    value = parse(b"[1.0, 1e3, 1e999, -0.0]")
    assert isinstance(value, list)
    assert all(isinstance(item, float) for item in value)


def test_the_depth_is_bounded_exactly() -> None:
    assert parse(b"[" * DEPTH_MAX + b"]" * DEPTH_MAX)
    with pytest.raises(MalformedError, match="deeper"):
        parse(b"[" * (DEPTH_MAX + 1) + b"]" * (DEPTH_MAX + 1))


def test_brackets_in_strings_and_siblings_are_no_depth() -> None:
    wide = [["[{" * 40, '"[' * 40, "\\" * 3 + "["]] * 40
    assert parse(json.dumps(wide).encode()) == wide


def test_hostile_structure_takes_linear_time() -> None:
    for raw in (b"[" * 500_000, b'"' + b'\\"' * 500_000, b'{"a":' * 100_000, b'["' * 300_000):
        with pytest.raises(MalformedError):
            parse(raw)


def test_numbers_of_absurd_length_are_refused() -> None:
    with pytest.raises(MalformedError, match="digits"):
        parse(b"1" * 5_000)
    assert parse(b"1" * 40) == int("1" * 40)


@pytest.mark.parametrize("raw", [b"", b"  ", b"\xef\xbb\xbf{}", b"{}x", b"\xff", '{"a":1}'.encode("utf-16"), b"{}\x00"])
def test_what_is_no_utf8_json_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        parse(raw)


@given(plain_text)
def test_pointer_tokens_come_back(token: str) -> None:
    escaped = escape_pointer(token)
    assert "/" not in escaped
    assert escaped.replace("~1", "/").replace("~0", "~") == token
