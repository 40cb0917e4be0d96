"""From the queue to the chain and back through the mirror, on the embedded node."""

from chain.relayer.kit import Desk

from mereau.chain.orders import OrderKind


async def test_credits_reach_their_wallets_once(desk: Desk) -> None:
    members = [desk.member(number) for number in range(5)]
    ids = await desk.enqueue(*(desk.order(OrderKind.ISSUE, one, 10 + place) for place, one in enumerate(members)))
    async with desk.relayer() as relayer:
        progress = await desk.cycle(relayer)
        idle = await desk.cycle(relayer, 2)
    assert (progress.batches, progress.orders) == (1, 5)
    assert (idle.batches, idle.broadcasts) == (0, 0)
    assert [await desk.balance(one) for one in members] == [10, 11, 12, 13, 14]
    (batch,) = await desk.batches()
    assert (batch.state, batch.kind, batch.sequence, batch.tokens) == ("final", "issue", 1, 60)
    assert set((await desk.states()).values()) == {"sealed"}
    linked = await desk.rows("select id from chain_orders order by batch_index")
    assert [row.id for row in linked] == ids
