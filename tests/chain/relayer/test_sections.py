"""Several partners' batches in one transaction: all of them or none, and a failing one put aside."""

from dataclasses import replace
from typing import Any

import pytest

from chain.relayer.kit import PARTNER, Desk, register
from chain.relayer.proxy import Fault, FaultProxy, let_pass
from mereau.chain import contract
from mereau.chain.orders import NewOrder, OrderKind
from mereau.chain.rpc import RpcClient, hex_bytes
from mereau.chain.sealing import Limits

OTHERS = (2, 3, 4)


def credit(desk: Desk, partner: int, tokens: int = 5) -> NewOrder:
    """A credit by this partner for the member of the same number."""
    return replace(desk.order(OrderKind.ISSUE, desk.member(partner), tokens), partner_number=partner)


async def held(desk: Desk) -> list[int]:
    return [await desk.balance(desk.member(number)) for number in (PARTNER, *OTHERS)]


async def mine(desk: Desk, blocks: int = 1) -> None:
    for _ in range(blocks):
        await desk.rpc.call("evm_mine")


async def sections(desk: Desk) -> list[tuple[str, ...]]:
    """The batches' partners by transaction, in the order of their nonces."""
    rows = await desk.rows("""
        select array_agg(batch.partner_number order by batch.seq) as partners
        from chain_transactions as sent
        left join chain_sections as section on section.transaction_id = sent.id
        left join chain_batches as batch on batch.id = section.batch_id
        group by sent.id, sent.nonce order by sent.nonce
    """)
    return [tuple(row.partners) for row in rows]


async def states(desk: Desk) -> dict[int, str]:
    """The newest batch's state by partner."""
    return {batch.partner_number: batch.state for batch in await desk.batches()}


async def test_partners_share_a_transaction(desk: Desk) -> None:
    for number in OTHERS:
        await register(desk, number)
    await desk.enqueue(*(credit(desk, number, 10 + number) for number in (PARTNER, *OTHERS)))
    async with desk.relayer() as relayer:
        progress = await desk.cycle(relayer)
    assert (progress.batches, progress.orders, progress.broadcasts) == (4, 4, 1)
    assert await held(desk) == [11, 12, 13, 14]
    batches = await desk.batches()
    assert {batch.state for batch in batches} == {"final"}
    assert len({batch.transaction_hash for batch in batches}) == 1
    assert await sections(desk) == [(PARTNER, *OTHERS)]
    (sent,) = await desk.rows("select state from chain_transactions")
    assert sent.state == "open"
    call = await desk.rpc.call("eth_getTransactionByHash", batches[0].transaction_hash)
    assert hex_bytes(call["input"]) == contract.encode_together([batch.call_data for batch in batches])


async def test_a_partners_credits_and_returns_take_their_sequences_within_one_transaction(desk: Desk) -> None:
    await desk.enqueue(credit(desk, PARTNER, 5))
    async with desk.relayer() as relayer:
        await desk.cycle(relayer)
        await desk.enqueue(credit(desk, PARTNER, 7), desk.order(OrderKind.REVERSE, desk.member(PARTNER), 11))
        progress = await desk.cycle(relayer)
    assert (progress.batches, progress.broadcasts) == (2, 1)
    assert [(batch.kind, batch.sequence) for batch in await desk.batches()] == [
        ("issue", 1), ("issue", 2), ("reverse", 3)
    ]  # fmt: skip
    assert await desk.balance(desk.member(PARTNER)) == 1


async def test_redemptions_and_admin_orders_travel_alone(desk: Desk) -> None:
    await register(desk, 2)
    await desk.enqueue(credit(desk, PARTNER))
    call = contract.encode_set_partner(7, desk.actors.partner, allowance=None, period_cap=None, active=True)
    async with desk.relayer() as relayer:
        await desk.cycle(relayer)
        await desk.enqueue(
            desk.admin_order(call, desk.actors.partner_admin),
            credit(desk, PARTNER),
            credit(desk, 2),
            desk.order(OrderKind.REDEEM, desk.member(PARTNER), 1),
        )
        progress = await desk.cycle(relayer)
    assert (progress.batches, progress.broadcasts) == (4, 3)
    assert await held(desk) == [9, 5, 0, 0]


async def test_a_refused_partner_is_found_before_sealing_and_holds_up_no_other(desk: Desk) -> None:
    for number in OTHERS:
        await register(desk, number, active=number != 3)
    ids = await desk.enqueue(*(credit(desk, number) for number in (PARTNER, *OTHERS)))
    async with desk.relayer() as relayer:
        assert (await desk.cycle(relayer)).orders == 3
        # Only when nothing is in flight that could still help it.
        assert desk.rejected == []
        await desk.cycle(relayer)
    assert [one.id for one in desk.rejected] == [ids[2]]
    assert await held(desk) == [5, 5, 0, 5]


async def test_a_missing_partner_key_holds_up_its_own_line_only(desk: Desk) -> None:
    signer = await register(desk, 2)
    await desk.enqueue(credit(desk, PARTNER), credit(desk, 2))
    desk.keys.drop(signer)
    async with desk.relayer() as relayer:
        await desk.cycle(relayer)
        assert await held(desk) == [5, 0, 0, 0]
        desk.keys.add(f"{desk.name} partner 2")
        await desk.cycle(relayer)
    assert await held(desk) == [5, 5, 0, 0]


async def test_a_line_that_waits_does_not_fill_every_window(desk: Desk) -> None:
    signer = await register(desk, 2)
    await desk.enqueue(*(credit(desk, 2) for _ in range(3)), credit(desk, PARTNER))
    desk.keys.drop(signer)
    async with desk.relayer(window_orders_max=2) as relayer:
        assert (await desk.cycle(relayer)).orders == 0
        assert (await desk.cycle(relayer)).orders == 1
        assert (await desk.cycle(relayer)).orders == 0
        desk.keys.add(f"{desk.name} partner 2")
        await desk.cycle(relayer, 3)
    assert await held(desk) == [5, 15, 0, 0]


@pytest.mark.parametrize("message", ["gas required exceeds allowance (1)", "the request is beyond me"])
async def test_what_a_node_finds_too_large_together_goes_in_halves(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient, message: str
) -> None:
    for number in OTHERS:
        await register(desk, number)
    two = [contract.encode_call("issue", 1, 1, bytes(32), bytes(32), bytes(65))] * 2
    limit = 2 * len(contract.encode_together(two)) + 2
    refusal = Fault(error={"code": -32000, "message": message})
    proxy.rule = lambda method, params: (
        refusal if method == "eth_estimateGas" and len(params[0]["data"]) > limit else None
    )
    await desk.enqueue(*(credit(desk, number) for number in (PARTNER, *OTHERS)))
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        await desk.cycle(relayer)
    assert await sections(desk) == [(1, 2), (3, 4)]
    assert await held(desk) == [5, 5, 5, 5]


async def test_what_a_node_refuses_of_one_partner_in_unknown_words_goes_in_halves(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient
) -> None:
    limit = 2 * len(contract.encode_call("issue", 1, 1, bytes(32), bytes(2 * 32), bytes(65))) + 2
    refusal = Fault(error={"code": -32000, "message": "the request is beyond me"})
    proxy.rule = lambda method, params: (
        refusal if method == "eth_estimateGas" and len(params[0]["data"]) > limit else None
    )
    await desk.enqueue(*(credit(desk, PARTNER) for _ in range(8)))
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        await desk.cycle(relayer, 8)
    assert await held(desk) == [40, 0, 0, 0]
    assert max(batch.order_count for batch in await desk.batches()) == 2


async def test_one_order_that_a_node_refuses_in_unknown_words_waits(
    desk: Desk, proxy: FaultProxy, faulty_rpc: RpcClient
) -> None:
    proxy.fail_always("eth_estimateGas", Fault(error={"code": -32000, "message": "the request is beyond me"}))
    (order,) = await desk.enqueue(credit(desk, PARTNER))
    async with desk.relayer(rpc=faulty_rpc) as relayer:
        await desk.cycle(relayer)
        assert await desk.states() == {order: "queued"}
        proxy.rule = let_pass
        await desk.cycle(relayer)
    assert await held(desk) == [5, 0, 0, 0]


async def test_a_section_that_fails_in_its_block_is_left_out_of_the_next_transaction(slow_desk: Desk) -> None:
    """A partner is suspended after sealing: its neighbours go again without it, and its own sequence is voided."""
    desk = slow_desk
    for number in OTHERS:
        await register(desk, number)
    await mine(desk)
    ids = await desk.enqueue(*(credit(desk, number) for number in (PARTNER, *OTHERS)))
    async with desk.relayer() as relayer:
        await relayer.step()
        await spoil(desk, lambda: register(desk, 3, active=False))
        assert await held(desk) == [0, 0, 0, 0]
        await desk.cycle(relayer)
        await mine(desk)
        assert await held(desk) == [5, 5, 0, 5]
        await mine(desk, 6)
        await desk.cycle(relayer, 2)
        await mine(desk, 7)
        await desk.cycle(relayer, 4)
    assert [one.id for one in desk.rejected] == [ids[2]]
    assert (await desk.read("totalSupply"))[0] == 15
    assert await states(desk) == {1: "final", 2: "final", 3: "superseded", 4: "final"}
    assert max(len(carried) for carried in await sections(desk)) == 4
    closed = await desk.rows("select nonce, state from chain_transactions order by nonce")
    assert closed[0].state == "replaced"
    assert "mined" in {row.state for row in closed[1:]}


async def spoil(desk: Desk, change: Any) -> None:
    """Take the transaction in flight out of the pool, change the chain, and let it come too late."""
    (attempt,) = await desk.rows("select hash, raw from chain_attempts")
    await desk.rpc.call("anvil_dropTransaction", attempt.hash)
    await change()
    await mine(desk)
    await desk.rpc.call("eth_sendRawTransaction", attempt.raw)
    await mine(desk)


async def test_a_section_whose_sequence_another_payload_used_is_superseded_alone(slow_desk: Desk) -> None:
    desk = slow_desk
    await register(desk, 2)
    await mine(desk)
    await desk.enqueue(credit(desk, PARTNER), credit(desk, 2))
    async with desk.relayer() as relayer:
        await relayer.step()
        await spoil(desk, lambda: desk.issue_directly([(desk.member(9), 1)], b"\x09" * 32))
        await desk.cycle(relayer)
        await mine(desk, 7)
        assert await held(desk) == [0, 5, 0, 0]
        await desk.follow()
        assert (await relayer.step()).requeued == 1
        await desk.cycle(relayer)
        await mine(desk, 7)
        await desk.cycle(relayer, 2)
    assert [(one.partner_number, one.state) for one in await desk.batches()] == [
        (1, "superseded"), (2, "final"), (1, "final")
    ]  # fmt: skip
    assert await held(desk) == [5, 5, 0, 0]


async def test_a_lost_nonce_sends_all_sections_again_together(slow_desk: Desk) -> None:
    desk = slow_desk
    await register(desk, 2)
    await mine(desk)
    await desk.enqueue(credit(desk, PARTNER), credit(desk, 2))
    async with desk.relayer() as relayer:
        await relayer.step()
        (attempt,) = await desk.rows("select hash from chain_attempts")
        await desk.rpc.call("anvil_dropTransaction", attempt.hash)
        await desk.send(desk.actors.relayer, b"", target=desk.actors.relayer, gas=21_000)
        await mine(desk)
        assert (await relayer.step()).broadcasts == 1
        await mine(desk, 7)
        await desk.cycle(relayer, 2)
    assert await sections(desk) == [(1, 2), (1, 2)]
    assert await held(desk) == [5, 5, 0, 0]
    assert set((await states(desk)).values()) == {"final"}


async def test_after_two_failures_each_batch_goes_alone(slow_desk: Desk) -> None:
    desk = slow_desk
    await register(desk, 2)
    await mine(desk)
    await desk.enqueue(credit(desk, PARTNER), credit(desk, 2))
    async with desk.relayer() as relayer:
        for _ in range(2):
            await relayer.step()
            await desk.rpc.call("anvil_dropAllTransactions")
            await desk.send(desk.actors.relayer, b"", target=desk.actors.relayer, gas=21_000)
            await mine(desk)
        await relayer.step()
        await mine(desk, 7)
        await desk.cycle(relayer, 2)
    assert await sections(desk) == [(1, 2), (1, 2), (1,), (2,)]
    assert await held(desk) == [5, 5, 0, 0]


async def test_a_pass_makes_no_more_transactions_than_may_be_in_flight(slow_desk: Desk) -> None:
    """Sections are not counted: they share a nonce."""
    desk = slow_desk
    for number in OTHERS:
        await register(desk, number)
    await mine(desk)
    await desk.enqueue(*(credit(desk, number) for number in (PARTNER, *OTHERS)))
    async with desk.relayer(limits=Limits(sections_max=2), in_flight_max=1) as relayer:
        assert (await relayer.step()).batches == 2
        assert (await relayer.step()).batches == 0
        await mine(desk)
        assert (await relayer.step()).batches == 2
