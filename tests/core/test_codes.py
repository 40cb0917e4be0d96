"""Codes survive being typed, and nothing else is one."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.core.codes import CODE_BYTES, CODE_LENGTH, digest_of, format_code, respell


@given(st.binary(min_size=CODE_BYTES, max_size=CODE_BYTES))
def test_a_code_is_found_however_it_is_typed(secret: bytes) -> None:
    code = format_code(secret)
    plain = code.replace("-", "")
    assert len(plain) == CODE_LENGTH
    for typed in (code, code.lower(), plain, plain.replace("0", "O").replace("1", "l"), " ".join(plain)):
        assert digest_of(typed) == hashlib.sha256(plain.encode()).digest()
        assert respell(typed) == code


@given(st.sets(st.binary(min_size=CODE_BYTES, max_size=CODE_BYTES), min_size=2, max_size=2))
def test_two_secrets_are_two_codes(secrets: set[bytes]) -> None:
    assert len({format_code(secret) for secret in secrets}) == 2


@pytest.mark.parametrize(
    "text", ["", "7K2M", "7K2M-9QRT-4VWX-0Z1", "7K2M-9QRT-4VWX-0Z1AA", "7K2M-9QRT-4VWX-0Z1U", "\u0661" * 16]
)
def test_what_is_no_code_has_no_digest(text: str) -> None:
    assert digest_of(text) is None
    assert respell(text) is None


@pytest.mark.parametrize("length", [0, 9, 11])
def test_a_code_has_eighty_bits(length: int) -> None:
    with pytest.raises(ValueError, match="10 bytes"):
        format_code(bytes(length))
