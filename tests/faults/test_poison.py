"""What no chain can execute is refused at the door or before sealing, and what came with it is not touched."""

import pytest

from faults.scenes import sell
from faults.shop import SOLD, client_of, open_shop, post
from faults.stage import Stage
from mereau.core.errors import ConflictError

pytestmark = pytest.mark.node

GAS_MAX = 130_000


async def test_a_sale_beyond_every_number_leaves_its_batch_alone(stage: Stage) -> None:
    headers = await open_shop(stage)
    sales = [SOLD | {"external_id": f"R-{number}"} for number in range(3)]
    sales[1] = sales[1] | {"lines": [{"sku": "bread", "quantity": 10**6, "unit_price_minor": 2**53 - 1}]}
    async with client_of(stage, headers) as client:
        refused = await post(client, "/sales/batch", {"sales": sales}, "till-1")
        assert refused.status_code == 422
        assert all(error["pointer"].startswith("/sales/1/") for error in refused.json()["errors"])
        taken = await post(client, "/sales/batch", {"sales": [sales[0], sales[2]]}, "till-2")
        assert taken.is_success
    await stage.finished()
    await stage.assert_exact()
    assert sorted(await stage.minted()) == [12, 12, 100]


async def test_points_that_a_member_does_not_have_never_reach_a_batch(stage: Stage) -> None:
    await sell(stage)
    with pytest.raises(ConflictError):
        await stage.ledger.hold(101)
    await stage.ledger.hold(60)
    with pytest.raises(ConflictError):
        await stage.ledger.hold(41)
    await stage.finished()
    await stage.assert_exact()
    redeemed = await stage.ledger.rows("select tokens from chain_orders where kind = 'redeem'")
    assert [row.tokens for row in redeemed] == [60]


async def test_no_transaction_asks_for_more_gas_than_the_chain_allows(stage: Stage) -> None:
    for number in range(12):
        await stage.ledger.credit(1 + number, number % 4)
    async with stage.working(MEREAU_TRANSACTION_GAS_MAX=str(GAS_MAX)):
        await stage.settled()
        await stage.caught_up()
    gas = [
        int((await stage.rpc.call("eth_getTransactionByHash", row.hash))["gas"], 16)
        for row in await stage.ledger.rows("select hash from chain_attempts order by created_at")
    ]
    latest = gas[-len(stage.gate.sent) :]
    assert len(latest) > 1
    assert max(latest) <= GAS_MAX
    await stage.assert_exact()
