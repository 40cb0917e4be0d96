"""What a code looks like, and how it is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.core.codes import CODE_BYTES, format_code
from mereau.earning.codes.domain import code_digest, is_uploadable

SECRETS = st.binary(min_size=CODE_BYTES, max_size=CODE_BYTES)


def test_nobody_guesses_a_code() -> None:
    """M5: 64 bits at least."""
    assert CODE_BYTES * 8 >= 64


@given(SECRETS, SECRETS)
def test_codes_are_as_different_as_their_bits(one: bytes, other: bytes) -> None:
    assert (code_digest(format_code(one)) == code_digest(format_code(other))) == (one == other)


@given(SECRETS)
def test_a_code_is_known_however_it_is_typed(secret: bytes) -> None:
    code = format_code(secret)
    for typed in (code.lower(), code.replace("-", ""), f" {code} ", code.replace("0", "O").replace("1", "I")):
        assert code_digest(typed) == code_digest(code)
    assert is_uploadable(code)


@given(st.text(max_size=50))
def test_anything_typed_has_a_digest(typed: str) -> None:
    assert len(code_digest(typed)) == 32


@pytest.mark.parametrize("code", ["", "SHORT", "A" * 11, "A" * 65, "ABCDEFGHJKL!", "ÀBCDEFGHJKLM", "-" * 20])
def test_what_could_be_guessed_is_not_uploaded(code: str) -> None:
    assert not is_uploadable(code)


@pytest.mark.parametrize("code", ["A" * 12, "A" * 64, "SPRING-2026-ABCDEF"])
def test_long_codes_of_ones_own_are_uploaded(code: str) -> None:
    assert is_uploadable(code)
