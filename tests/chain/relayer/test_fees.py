"""Fees as pure arithmetic: the cap holds, bumps are accepted, and a ladder of bumps ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.relayer.proxy import Fault, FaultProxy
from mereau.chain.fees import GWEI, FeePolicy, Market, bumped, capped, market
from mereau.chain.rpc import RpcClient
from mereau.chain.transactions import Fees

wei = st.integers(0, 2_000 * GWEI)
policies = st.builds(FeePolicy, st.integers(1, 1_000 * GWEI), st.integers(0, 10 * GWEI))


@st.composite
def fees_within(draw: st.DrawFn) -> tuple[Fees, FeePolicy]:
    """Fees that `capped` gave, and their policy."""
    policy = draw(policies)
    return capped(draw(wei), draw(wei), policy), policy


@given(fee=wei, tip=wei, policy=policies)
def test_capped_fees_keep_the_cap_and_the_order(fee: int, tip: int, policy: FeePolicy) -> None:
    fees = capped(fee, tip, policy)
    assert 0 <= fees.max_priority_fee_per_gas_wei <= fees.max_fee_per_gas_wei <= policy.fee_max_wei
    if fee <= policy.fee_max_wei:
        assert fees.max_fee_per_gas_wei == fee


@given(held=fees_within(), market_fee=wei, market_tip=wei)
def test_a_bump_is_an_eighth_more_on_both_or_nothing(
    held: tuple[Fees, FeePolicy], market_fee: int, market_tip: int
) -> None:
    previous, policy = held
    fees = bumped(previous, capped(market_fee, market_tip, policy), policy)
    if fees is None:
        least = max(previous.max_fee_per_gas_wei, previous.max_priority_fee_per_gas_wei)
        assert least * 9 / 8 > policy.fee_max_wei or least + 1 > policy.fee_max_wei
        return
    for name in ("max_fee_per_gas_wei", "max_priority_fee_per_gas_wei"):
        before, after = getattr(previous, name), getattr(fees, name)
        assert after * 8 >= before * 9
        assert after > before
    assert fees.max_priority_fee_per_gas_wei <= fees.max_fee_per_gas_wei <= policy.fee_max_wei


@given(held=fees_within(), market_fee=wei, market_tip=wei)
def test_a_ladder_of_bumps_ends_at_the_cap(held: tuple[Fees, FeePolicy], market_fee: int, market_tip: int) -> None:
    fees, policy = held
    offered = capped(market_fee, market_tip, policy)
    for _ in range(400):
        following = bumped(fees, offered, policy)
        if following is None:
            return
        fees = following
    raise AssertionError("the bumps go on for ever")


@given(held=fees_within())
def test_a_market_that_fell_does_not_lower_a_bump(held: tuple[Fees, FeePolicy]) -> None:
    previous, policy = held
    assert bumped(previous, Fees(0, 0), policy) == bumped(previous, previous, policy)


@pytest.mark.parametrize(
    ("base", "tip", "cap", "expected"),
    [
        (10, 2, 100, Fees(22, 2)),
        (0, 0, 100, Fees(0, 0)),
        (60, 3, 100, Fees(100, 3)),
        (1, 500, 100, Fees(100, 100)),
    ],
)
async def test_the_market_is_twice_the_base_fee_and_the_tip(
    proxy: FaultProxy, faulty_rpc: RpcClient, base: int, tip: int, cap: int, expected: Fees
) -> None:
    answers = {
        "eth_getBlockByNumber": {"baseFeePerGas": hex(base)},
        "eth_maxPriorityFeePerGas": hex(tip),
        "eth_gasPrice": hex(base + tip),
    }
    proxy.rule = lambda method, _: Fault(forward=False, result=answers[method])
    found = await market(faulty_rpc, FeePolicy(fee_max_wei=cap))
    assert found == Market(expected, base + tip)
    assert found.exceeds(FeePolicy(fee_max_wei=cap)) == (base + tip > cap)
