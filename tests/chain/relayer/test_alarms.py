"""Fees beyond the cap and gas money running out: work waits, nothing is lost, and the operator is told."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.relayer.kit import NOW, Desk, frozen, seconds
from mereau.chain.broadcasting import BroadcastPolicy
from mereau.chain.fees import GWEI, FeePolicy, Market
from mereau.chain.orders import OrderKind
from mereau.chain.relayer import RelayerPolicy
from mereau.chain.relayer_alarms import FundsPolicy, fee_alarm, funds_alarm
from mereau.chain.rpc import quantity
from mereau.chain.transactions import Fees

CAPPED = replace(NOW, broadcast=BroadcastPolicy(10, 60, FeePolicy(fee_max_wei=3 * GWEI)))


async def standing(desk: Desk) -> list[str]:
    return [row.name for row in await desk.rows("select name from chain_alarms order by name")]


async def set_base_fee(desk: Desk, gwei: float) -> None:
    await desk.rpc.call("anvil_setNextBlockBaseFeePerGas", quantity(int(gwei * GWEI)))
    await desk.rpc.call("evm_mine")


async def credit(desk: Desk, number: int) -> None:
    await desk.enqueue(desk.order(OrderKind.ISSUE, desk.member(number), 5))


async def test_above_the_cap_new_orders_wait_and_the_alarm_stands_until_the_market_falls(slow_desk: Desk) -> None:
    desk = slow_desk
    await set_base_fee(desk, 100)
    await credit(desk, 1)
    async with desk.relayer(CAPPED) as relayer:
        progress = await relayer.step()
        assert (progress.orders, progress.waits_for) == (0, "fees above the cap")
        assert await standing(desk) == ["fee_cap"]
        (row,) = await desk.rows("select detail from chain_alarms")
        assert "the cap is 3:" in row.detail
        assert await desk.batches() == []
        await set_base_fee(desk, 0.5)
        assert (await relayer.step()).orders == 1
        assert await standing(desk) == []
        await desk.rpc.call("anvil_mine", "0x7")
        await desk.cycle(relayer)
    assert await desk.balance(desk.member(1)) == 5


async def test_what_is_out_stays_at_the_cap_and_is_mined_when_the_market_falls(slow_desk: Desk) -> None:
    desk = slow_desk
    clock = frozen(desk)
    await set_base_fee(desk, 0.5)
    await credit(desk, 1)
    async with desk.relayer(CAPPED) as relayer:
        await relayer.step()
        await set_base_fee(desk, 100)
        await credit(desk, 2)
        for _ in range(8):
            clock.advance(seconds(61))
            assert (await relayer.step()).orders == 0
        fees = await desk.rows("select max_fee_per_gas_wei as fee from chain_attempts")
        assert 1 < len(fees) < 9
        assert all(row.fee <= 3 * GWEI for row in fees)
        assert await standing(desk) == ["fee_cap"]
        await set_base_fee(desk, 0.5)
        await set_base_fee(desk, 0.5)
        await desk.cycle(relayer)
        await desk.rpc.call("anvil_mine", "0x7")
        await desk.cycle(relayer)
    assert [await desk.balance(desk.member(number)) for number in (1, 2)] == [5, 5]
    assert await standing(desk) == []


async def test_an_alarm_of_a_former_process_is_lowered_by_the_next(slow_desk: Desk) -> None:
    desk = slow_desk
    await set_base_fee(desk, 100)
    await credit(desk, 1)
    async with desk.relayer(CAPPED) as relayer:
        await relayer.step()
    async with desk.relayer() as successor:
        assert await standing(desk) == ["fee_cap"]
        await successor.step()
    assert await standing(desk) == []


async def test_without_gas_money_orders_wait_and_go_on_after_funding(slow_desk: Desk) -> None:
    desk = slow_desk
    await desk.rpc.call("anvil_setBalance", desk.actors.relayer, "0x0")
    await credit(desk, 1)
    async with desk.relayer() as relayer:
        for _ in range(3):
            await relayer.step()
            await desk.rpc.call("evm_mine")
        assert await standing(desk) == ["relayer_funds"]
        assert await desk.balance(desk.member(1)) == 0
        await credit(desk, 2)
        await desk.rpc.call("anvil_setBalance", desk.actors.relayer, quantity(10**20))
        await desk.cycle(relayer)
        await desk.rpc.call("anvil_mine", "0x7")
        await desk.cycle(relayer, 2)
    assert await standing(desk) == []
    assert [await desk.balance(desk.member(number)) for number in (1, 2)] == [5, 5]
    assert {batch.state for batch in await desk.batches()} == {"final"}
    assert desk.rejected == []


async def test_the_funds_alarm_comes_before_the_money_is_gone(desk: Desk) -> None:
    plenty, little = RelayerPolicy(seal_delay_s=0), RelayerPolicy(seal_delay_s=0, funds=FundsPolicy(10**9))
    await credit(desk, 1)
    async with desk.relayer(little) as relayer:
        assert (await desk.cycle(relayer)).orders == 1
        assert await standing(desk) == ["relayer_funds"]
    await credit(desk, 1)
    async with desk.relayer(plenty) as relayer:
        await desk.cycle(relayer)
    assert await standing(desk) == []
    assert await desk.balance(desk.member(1)) == 10


@given(balance=st.integers(0, 10**20), cost=st.integers(0, 10**18), batches=st.integers(1, 100))
def test_the_funds_alarm_begins_below_the_least_and_ends_at_twice_it(balance: int, cost: int, batches: int) -> None:
    policy = FundsPolicy(batches)
    begins = funds_alarm(balance, cost, policy, standing=False)
    goes_on = funds_alarm(balance, cost, policy, standing=True)
    assert (begins is not None) == (balance < batches * cost)
    assert (goes_on is not None) == (balance < 2 * batches * cost)
    if begins is not None:
        assert f"{balance // cost} full batches" in begins


@pytest.mark.parametrize(
    ("price_wei", "words"),
    [(3 * GWEI, None), (3 * GWEI + 1, "3.000000001 gwei"), (100 * GWEI, "100 gwei"), (2_500 * GWEI, "2,500 gwei")],
)
def test_the_fee_alarm_names_price_and_cap(price_wei: int, words: str | None) -> None:
    detail = fee_alarm(Market(Fees(1, 1), price_wei), FeePolicy(fee_max_wei=3 * GWEI))
    assert detail is None if words is None else detail is not None and words in detail
