"""Voucher codes and the reasons why not: the pure part."""

import hashlib
import hmac
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.rewards.domain import Obstacle, RewardDraft, findings, obstacles, voucher_code, voucher_digest

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
        assert voucher_digest(typed) == digest


@pytest.mark.parametrize(
    "typed", ["", "ABCD", "A" * 15, "A" * 17, "U" * 16, "é" * 16, "A" * 15 + "\n", "A" * 15 + "\0"]
)
def test_what_is_no_code_has_no_digest(typed: str) -> None:
    assert voucher_digest(typed) is None


@pytest.mark.parametrize(
    ("status", "stock", "available", "expected"),
    [
        ("active", None, 50, []),
        ("active", 1, 50, []),
        ("active", 0, 50, [Obstacle("out_of_stock")]),
        ("inactive", 1, 50, [Obstacle("inactive")]),
        ("draft", 1, 50, [Obstacle("inactive")]),
        ("active", 1, 49, [Obstacle("insufficient_balance", 1)]),
        ("inactive", 0, 0, [Obstacle("inactive"), Obstacle("out_of_stock"), Obstacle("insufficient_balance", 50)]),
    ],
)
def test_every_obstacle_is_named(status: str, stock: int | None, available: int, expected: list[Obstacle]) -> None:
    assert obstacles(status=status, stock=stock, price_tokens=50, available_tokens=available) == expected


@pytest.mark.parametrize(
    ("changes", "pointers"),
    [
        ({}, []),
        ({"external_id": " "}, ["/external_id"]),
        ({"name_fr": "", "name_en": ""}, ["/name_fr", "/name_en"]),
        ({"price_tokens": 0}, ["/price_tokens"]),
        ({"price_tokens": 2**53}, ["/price_tokens"]),
        ({"stock": -1}, ["/stock"]),
        ({"stock": 0}, []),
        ({"validity_days": 0}, ["/validity_days"]),
        ({"validity_days": 3_651}, ["/validity_days"]),
    ],
    ids=str,
)
def test_a_reward_is_judged_field_by_field(changes: dict[str, object], pointers: list[str]) -> None:
    fields: dict[str, object] = {
        "external_id": "r",
        "partner_id": "p",
        "name_fr": "a",
        "name_en": "b",
        "price_tokens": 5,
    }
    draft = RewardDraft(**fields | changes)
    assert [finding.pointer for finding in findings(draft)] == pointers
