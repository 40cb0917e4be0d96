"""Transactions of type 2 and legacy ones against eth_account, byte for byte; fees and their bumps."""

from dataclasses import replace

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from mereau.chain.fees import GWEI, FeePolicy, bumped, capped
from mereau.chain.transactions import Fees, UnsignedTransaction, decode_transaction

ACCOUNT = Account.from_key(b"\x11" * 32)
fees_wei = st.integers(min_value=0, max_value=2**62)


@st.composite
def transactions(draw: st.DrawFn) -> UnsignedTransaction:
    fee = draw(fees_wei)
    return UnsignedTransaction(
        draw(st.integers(1, 2**40)),
        draw(st.integers(0, 2**63)),
        Fees(fee, draw(st.integers(0, fee))),
        draw(st.integers(21_000, 2**40)),
        draw(st.sampled_from([b"", b"\x22" * 20])),
        draw(st.one_of(st.binary(max_size=60), st.binary(min_size=250, max_size=300))),
    )


@given(unsigned=transactions())
def test_bytes_and_hash_are_those_of_eth_account(unsigned: UnsignedTransaction) -> None:
    signature = bytes(ACCOUNT.unsafe_sign_hash(unsigned.digest()).signature)
    signed = unsigned.signed(signature)
    expected = ACCOUNT.sign_transaction(
        {
            "type": 2,
            "chainId": unsigned.chain_id,
            "nonce": unsigned.nonce,
            "maxFeePerGas": unsigned.fees.max_fee_per_gas_wei,
            "maxPriorityFeePerGas": unsigned.fees.max_priority_fee_per_gas_wei,
            "gas": unsigned.gas_limit,
            "to": unsigned.target,
            "value": 0,
            "data": unsigned.data,
        }
    )
    assert signed.raw == bytes(expected.raw_transaction)
    assert signed.hash == bytes(expected.hash)
    assert decode_transaction(signed.raw) == unsigned


@given(unsigned=transactions(), price=fees_wei)
def test_legacy_bytes_are_those_of_eth_account_too(unsigned: UnsignedTransaction, price: int) -> None:
    legacy = replace(unsigned, fees=Fees(price, price, legacy=True))
    signed = legacy.signed(bytes(ACCOUNT.unsafe_sign_hash(legacy.digest()).signature))
    expected = ACCOUNT.sign_transaction(
        {
            "chainId": legacy.chain_id,
            "nonce": legacy.nonce,
            "gasPrice": price,
            "gas": legacy.gas_limit,
            "to": legacy.target,
            "value": 0,
            "data": legacy.data,
        }
    )
    assert (signed.raw, signed.hash) == (bytes(expected.raw_transaction), bytes(expected.hash))
    assert decode_transaction(signed.raw) == legacy


@pytest.mark.parametrize("size", [0, 1, 55, 56, 255, 256, 70_000])
def test_every_length_of_call_data_is_read_back(size: int) -> None:
    unsigned = UnsignedTransaction(1, 0, Fees(2, 1), 21_000, b"\x22" * 20, b"\x01" * size)
    signed = unsigned.signed(bytes(ACCOUNT.unsafe_sign_hash(unsigned.digest()).signature))
    assert decode_transaction(signed.raw) == unsigned


def test_the_cap_binds_the_whole_fee_and_the_tip_within_it() -> None:
    policy = FeePolicy(fee_max_wei=10 * GWEI)
    assert capped(5 * GWEI, GWEI, policy) == Fees(5 * GWEI, GWEI)
    assert capped(50 * GWEI, 20 * GWEI, policy) == Fees(10 * GWEI, 10 * GWEI)


@given(fee=st.integers(0, 10**12), share=st.integers(0, 100), market_fee=st.integers(0, 10**12))
def test_a_bump_is_what_every_node_takes_as_a_replacement(fee: int, share: int, market_fee: int) -> None:
    previous = Fees(fee, fee * share // 100)
    raised = bumped(previous, Fees(market_fee, market_fee // 2), FeePolicy(fee_max_wei=10**15))
    assert raised is not None
    assert raised.max_fee_per_gas_wei * 8 >= previous.max_fee_per_gas_wei * 9
    assert raised.max_priority_fee_per_gas_wei * 8 >= previous.max_priority_fee_per_gas_wei * 9
    assert raised.max_fee_per_gas_wei > previous.max_fee_per_gas_wei
    assert raised.max_fee_per_gas_wei >= raised.max_priority_fee_per_gas_wei
    assert raised.max_fee_per_gas_wei >= market_fee


def test_a_market_beyond_the_cap_is_followed_as_far_as_the_cap_lets() -> None:
    policy = FeePolicy(fee_max_wei=10 * GWEI)
    previous = Fees(8 * GWEI, GWEI)
    assert bumped(previous, Fees(90 * GWEI, GWEI), policy) == Fees(9 * GWEI, GWEI * 9 // 8)
    assert bumped(Fees(9 * GWEI, GWEI), Fees(90 * GWEI, GWEI), policy) is None


@given(price=st.integers(0, 10**12), market_price=st.integers(0, 10**12))
def test_a_legacy_bump_keeps_one_price_and_its_type(price: int, market_price: int) -> None:
    previous = Fees(price, price, legacy=True)
    raised = bumped(previous, Fees(market_price, market_price // 3), FeePolicy(fee_max_wei=10**15))
    assert raised is not None
    assert raised.legacy
    assert raised.max_fee_per_gas_wei == raised.max_priority_fee_per_gas_wei >= max(market_price, price * 9 // 8)
