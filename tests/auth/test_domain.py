"""Keys, scopes and roles, without a database."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mereau.auth.domain import (
    ROLE_SCOPES,
    Principal,
    Role,
    Scope,
    bearer_key,
    digest_of,
    excess_scopes,
    format_key,
    hint_of,
    is_key,
    known_scopes,
)

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def from_base62(text: str) -> int:
    value = 0
    for char in text:
        value = value * 62 + ALPHABET.index(char)
    return value


@given(st.binary(min_size=32, max_size=32), st.sampled_from(["live", "test"]))
def test_a_key_holds_its_32_bytes_and_a_checksum(secret: bytes, mode: str) -> None:
    key = format_key("live" if mode == "live" else "test", secret)
    prefix, body, checksum = key[:8], key[8:51], key[51:]
    assert prefix == f"mk_{mode}_"
    assert len(key) == 57
    assert from_base62(body).to_bytes(32) == secret
    assert from_base62(checksum) == zlib.crc32(key[:51].encode())
    assert is_key(key)


@given(st.binary(min_size=32, max_size=32), st.integers(0, 56), st.sampled_from(ALPHABET + "_- é\n\0"))
def test_one_wrong_character_is_noticed(secret: bytes, place: int, char: str) -> None:
    key = format_key("live", secret)
    changed = key[:place] + char + key[place + 1 :]
    assert is_key(changed) is (changed == key)


@given(st.text(max_size=80))
def test_nothing_else_is_a_key(text: str) -> None:
    assert not is_key(text)


def test_a_key_in_digits_of_another_script_is_none() -> None:
    key = format_key("live", bytes(32))
    assert not is_key(key.replace("0", "\N{ARABIC-INDIC DIGIT ZERO}", 1))


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "Bearer   "])
def test_the_scheme_is_read_in_any_case(scheme: str) -> None:
    key = format_key("test", bytes(range(32)))
    assert bearer_key(scheme + key) == key


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic {key}", "{key}", "Bearer {key}x", "Bearer\t{key}"]
)
def test_what_is_no_bearer_key_is_none(header: str | None) -> None:
    text = None if header is None else header.format(key=format_key("test", bytes(range(32))))
    assert bearer_key(text) is None


def test_the_digest_is_of_the_whole_key_and_the_hint_tells_little() -> None:
    key = format_key("live", bytes(range(32)))
    assert len(digest_of(key)) == 32
    assert digest_of(key) != digest_of(key[:-1])
    assert hint_of(key) == f"mk_live_...{key[-4:]}"


def test_roles_bound_scopes() -> None:
    assert ROLE_SCOPES[Role.OPERATOR] == set(Scope)
    assert all(scope.endswith(":read") for scope in ROLE_SCOPES[Role.AUDITOR])
    assert ROLE_SCOPES[Role.STAFF] < ROLE_SCOPES[Role.PARTNER]
    assert ROLE_SCOPES[Role.PARTNER] - ROLE_SCOPES[Role.STAFF] == {
        Scope.STAFF_WRITE, Scope.REDEMPTIONS_REFUND, Scope.ACTIONS_WRITE, Scope.KEYS_READ, Scope.KEYS_WRITE,
        Scope.ADJUSTMENTS_APPROVE,
    }  # fmt: skip
    own = {Scope.REDEMPTIONS_WRITE, Scope.PROFILE_WRITE}
    assert {scope for scope in ROLE_SCOPES[Role.MEMBER] if scope.endswith(":write")} <= own


@given(st.sampled_from(Role), st.sampled_from(Role), st.sets(st.sampled_from(Scope)), st.sets(st.sampled_from(Scope)))
def test_nobody_grants_more_than_they_hold(role: Role, granter_role: Role, held: set[Scope], asked: set[Scope]) -> None:
    granter = Principal("key_1", granter_role, frozenset(held))
    excess = set(excess_scopes(role, asked, granter))
    assert asked - excess <= ROLE_SCOPES[role] & held & ROLE_SCOPES[granter_role]
    assert excess <= asked
    assert set(excess_scopes(role, asked, None)) == asked - ROLE_SCOPES[role]


def test_a_scope_outside_of_the_role_counts_for_nothing() -> None:
    member = Principal("key_1", Role.MEMBER, frozenset(Scope), member_id="mem_1")
    assert member.may(Scope.LEDGER_READ)
    assert not member.may(Scope.SALES_WRITE)
    assert not Principal("key_1", Role.OPERATOR, frozenset()).may(Scope.SALES_READ)


def test_a_dropped_scope_means_nothing() -> None:
    assert known_scopes(["sales:read", "moon:write"]) == {Scope.SALES_READ}


def test_reach_follows_the_owner() -> None:
    assert Principal("k", Role.STAFF, frozenset(), partner_id="par_1", staff_id="stf_1").reach.partner_id == "par_1"
    assert Principal("k", Role.MEMBER, frozenset(), member_id="mem_1").reach.member_id == "mem_1"
    operator = Principal("k", Role.OPERATOR, frozenset()).reach
    assert (operator.partner_id, operator.member_id) == (None, None)
