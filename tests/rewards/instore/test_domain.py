"""Codes for the till: how they are written, read and kept."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.rewards.instore.domain import LENGTH, code_digest, code_text

SECRET = bytes(range(32))


@given(st.binary(min_size=5, max_size=5))
def test_a_code_is_read_however_people_type_it(randomness: bytes) -> None:
    code = code_text(randomness)
    plain = code.replace("-", "")
    assert len(plain) == LENGTH
    message = b"mereau redemption code v1\n" + plain.encode()
    expected = hmac.new(SECRET, message, hashlib.sha256).digest()
    for typed in (code, plain, code.lower(), f" {code} ", plain.replace("0", "o").replace("1", "l")):
        assert code_digest(SECRET, typed) == expected
    assert code_digest(bytes(32), code) != expected


@given(st.binary(min_size=5, max_size=5), st.binary(min_size=5, max_size=5))
def test_other_bits_are_another_code(one: bytes, other: bytes) -> None:
    assert (code_text(one) == code_text(other)) == (one == other)


@pytest.mark.parametrize("typed", ["", "ABCD", "A" * 7, "A" * 9, "U" * 8, "é" * 8, "A" * 7 + "\n"])
def test_what_is_no_code_has_no_digest(typed: str) -> None:
    assert code_digest(SECRET, typed) is None
