"""Voucher codes and the reasons why not: the pure part."""

import hashlib
import hmac
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.core.codes import digest_of
from mereau.rewards.domain import voucher_code

SECRET = bytes(range(32))
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def independent_code(secret: bytes, redemption_id: str) -> str:
    """The same derivation, written from its description."""
    mac = hmac.new(secret, f"mereau voucher v1\n{redemption_id}".encode(), hashlib.sha256).digest()
    bits = "".join(f"{byte:08b}" for byte in mac[:10])
    plain = "".join(ALPHABET[int(bits[i : i + 5], 2)] for i in range(0, 80, 5))
    return f"{plain[:4]}-{plain[4:8]}-{plain[8:12]}-{plain[12:]}"


@given(st.binary(min_size=32, max_size=64), st.text(max_size=40))
def test_a_code_is_eighty_bits_of_the_hmac(secret: bytes, redemption_id: str) -> None:
    code = voucher_code(secret, redemption_id)
    assert code == independent_code(secret, redemption_id)
    assert re.fullmatch(rf"([{ALPHABET}]{{4}}-){{3}}[{ALPHABET}]{{4}}", code)


def test_codes_differ_by_redemption_and_by_installation() -> None:
    codes = {voucher_code(SECRET, f"red_{i}") for i in range(1_000)}
    codes |= {voucher_code(SECRET[::-1], f"red_{i}") for i in range(1_000)}
    assert len(codes) == 2_000


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        voucher_code(bytes(31), "red_1")


@given(st.text(alphabet=ALPHABET, min_size=16, max_size=16), st.randoms(use_true_random=False))
def test_a_code_is_read_however_people_type_it(plain: str, rng: object) -> None:
    grouped = "-".join(plain[i : i + 4] for i in range(0, 16, 4))
    misread = plain.replace("1", "l").replace("0", "o")
    digest = hashlib.sha256(plain.encode()).digest()
    for typed in (plain, grouped, grouped.lower(), f" {grouped} ", misread, misread.replace("l", "i")):
        assert digest_of(typed) == digest


@pytest.mark.parametrize(
    "typed", ["", "ABCD", "A" * 15, "A" * 17, "U" * 16, "é" * 16, "A" * 15 + "\n", "A" * 15 + "\0"]
)
def test_what_is_no_code_has_no_digest(typed: str) -> None:
    assert digest_of(typed) is None
