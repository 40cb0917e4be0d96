"""Decoding against eth-account, which signs: every field, the sender and the hash."""

from typing import Any

import pytest
import rlp
from eth_utils import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.embedded.support import CHAIN_ID, GWEI, STRANGER, account, sign
from mereau.chain.embedded.errors import InvalidTransactionError
from mereau.chain.embedded.transactions import (
    ACCESS_LIST,
    DYNAMIC_FEE,
    LEGACY,
    SET_CODE,
    Transaction,
    decode_mined,
    decode_transaction,
)

SENDER = account(0)
SLOTS = st.lists(st.integers(0, 2**256 - 1), max_size=3)
ACCESS = st.lists(st.tuples(st.binary(min_size=20, max_size=20), SLOTS), max_size=3)


def decoded(raw: str) -> Transaction:
    return decode_transaction(bytes.fromhex(raw[2:]), chain_id=CHAIN_ID)


def fees(kind: int, fee: int, tip: int) -> dict[str, Any]:
    if kind == LEGACY:
        return {"type": None, "gasPrice": fee, "maxFeePerGas": None, "maxPriorityFeePerGas": None}
    if kind == ACCESS_LIST:
        return {"type": 1, "gasPrice": fee, "maxFeePerGas": None, "maxPriorityFeePerGas": None}
    return {"type": kind, "maxFeePerGas": fee, "maxPriorityFeePerGas": min(tip, fee)}


@settings(max_examples=150)
@given(
    kind=st.sampled_from([LEGACY, ACCESS_LIST, DYNAMIC_FEE, SET_CODE]),
    nonce=st.integers(0, 2**63),
    gas=st.integers(0, 2**40),
    fee=st.integers(0, 2**80),
    tip=st.integers(0, 2**80),
    value=st.integers(0, 2**200),
    data=st.binary(max_size=100),
    access=ACCESS,
)
def test_every_field_comes_back(
    kind: int,
    nonce: int,
    gas: int,
    fee: int,
    tip: int,
    value: int,
    data: bytes,
    access: list[tuple[bytes, list[int]]],
) -> None:
    given_fields: dict[str, Any] = {"nonce": nonce, "gas": gas, "value": value, "data": data, **fees(kind, fee, tip)}
    if kind != LEGACY:
        given_fields["accessList"] = [
            {"address": "0x" + address.hex(), "storageKeys": [f"0x{slot:064x}" for slot in slots]}
            for address, slots in access
        ]
    if kind == SET_CODE:
        grant = {"chainId": CHAIN_ID, "address": STRANGER, "nonce": 5}
        given_fields["authorizationList"] = [SENDER.sign_authorization(grant)]
    raw = sign(SENDER, **given_fields)
    transaction = decoded(raw)
    assert (transaction.type_id, transaction.chain_id) == (kind, CHAIN_ID)
    assert (transaction.nonce, transaction.gas, transaction.value) == (nonce, gas, value)
    assert (transaction.data, transaction.to) == (data, bytes.fromhex(STRANGER[2:]))
    assert transaction.max_fee_per_gas == fee
    expected_tip = min(tip, fee) if kind in {DYNAMIC_FEE, SET_CODE} else fee
    assert transaction.max_priority_fee_per_gas == expected_tip
    assert transaction.sender == bytes.fromhex(SENDER.address[2:])
    assert transaction.hash == keccak(hexstr=raw)
    if kind != LEGACY:
        assert transaction.access_list == tuple((address, tuple(slots)) for address, slots in access)
    if kind == SET_CODE:
        assert [(grant.nonce, grant.chain_id) for grant in transaction.authorization_list] == [(5, CHAIN_ID)]
    assert decode_mined(transaction.raw, transaction.sender, CHAIN_ID) == transaction


@pytest.mark.parametrize(
    ("fields", "intrinsic", "floor"),
    [
        ({}, 21_000, 21_000),
        ({"data": b"\0" * 10}, 21_040, 21_100),
        ({"data": b"\1" * 10}, 21_160, 21_400),
        ({"to": None, "data": b"\1" * 33}, 53_528, 22_320),
        ({"accessList": [{"address": STRANGER, "storageKeys": ["0x" + "00" * 32] * 2}]}, 27_200, 21_000),
    ],
)
def test_what_it_costs_before_it_runs(fields: dict[str, Any], intrinsic: int, floor: int) -> None:
    transaction = decoded(sign(SENDER, **fields))
    assert transaction.intrinsic_gas == intrinsic
    assert transaction.floor_gas == floor
    assert transaction.initcode_gas == (4 if fields.get("to", STRANGER) is None else 0)


def test_an_authorization_costs_25_000() -> None:
    grants = [SENDER.sign_authorization({"chainId": 0, "address": STRANGER, "nonce": n}) for n in (0, 1)]
    assert decoded(sign(SENDER, type=4, authorizationList=grants)).intrinsic_gas == 71_000


@pytest.mark.parametrize(("base_fee", "price"), [(0, 2), (7, 9), (9, 10), (50, 10)])
def test_the_price_is_capped_by_what_was_offered(base_fee: int, price: int) -> None:
    transaction = Transaction(max_fee_per_gas=10, max_priority_fee_per_gas=2)
    assert transaction.price(base_fee) == price


def typed(kind: int, fields: list[Any]) -> bytes:
    return bytes((kind,)) + rlp.encode(fields)


GOOD = [b"\x51\x5a", b"", b"\1", b"\2", b"\x52\x08", b"\3" * 20, b"", b"", [], b"", b"\1", b"\1"]


def with_field(index: int, value: Any) -> bytes:
    fields = list(GOOD)
    fields[index] = value
    return typed(DYNAMIC_FEE, fields)


@pytest.mark.parametrize(
    "raw",
    [
        with_field(8, b"\1"),
        with_field(8, [b"\1"]),
        with_field(8, [[b"\1" * 20]]),
        with_field(8, [[b"\1" * 19, []]]),
        with_field(8, [[b"\1" * 20, [b"\1"]]]),
        with_field(8, [[b"\1" * 20, b"\1"]]),
        with_field(5, []),
        with_field(7, []),
        with_field(9, b"\1\1"),
        typed(SET_CODE, [*GOOD[:9], [], *GOOD[9:]]),
        typed(SET_CODE, [*GOOD[:9], [[b"\1"]], *GOOD[9:]]),
        typed(SET_CODE, [*GOOD[:9], [[b"\1", b"\1" * 19, b"", b"", b"", b""]], *GOOD[9:]]),
        typed(SET_CODE, [*GOOD[:5], b"", *GOOD[6:9], [[b"", b"\1" * 20, b"", b"", b"", b""]], *GOOD[9:]]),
        typed(DYNAMIC_FEE, GOOD[:-1]),
        bytes((DYNAMIC_FEE,)) + rlp.encode(b"abc"),
        rlp.encode([b""] * 8),
    ],
)
def test_a_wrong_shape_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidTransactionError, match="rlp: "):
        decode_transaction(raw, chain_id=CHAIN_ID)


def test_a_signature_for_another_chain_is_another_sender() -> None:
    raw = sign(SENDER, type=None, gasPrice=GWEI, maxFeePerGas=None, maxPriorityFeePerGas=None, chainId=1)
    with pytest.raises(InvalidTransactionError, match="have 1 want 20826"):
        decoded(raw)
    assert decode_transaction(bytes.fromhex(raw[2:]), chain_id=1).chain_id == 1
