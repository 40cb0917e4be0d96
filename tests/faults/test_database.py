"""What databases do to those who write: commits of unknown outcome, failovers, and too few connections."""

import asyncio

import pytest

from faults.scenes import sell
from faults.shop import SOLD, client_of, open_shop, post
from faults.stage import Stage
from faults.wire import Wire

pytestmark = pytest.mark.node

WRITES = {
    "seal": b"INSERT INTO chain_batches",
    "sign": b"INSERT INTO chain_attempts",
    "broadcast": b"update chain_attempts set broadcast_at",
    "apply": b"copy chain_transfers",
}


@pytest.mark.parametrize("arrives", [True, False], ids=["done", "not done"])
@pytest.mark.parametrize("write", WRITES)
async def test_a_commit_of_unknown_outcome_is_resolved_by_reading_again(
    stage: Stage, write: str, arrives: bool
) -> None:
    await sell(stage)
    async with Wire(stage.database_url) as wire:
        wire.cut(WRITES[write], arrives=arrives)
        async with stage.working(MEREAU_DATABASE_URL=wire.url):
            await stage.settled()
            await stage.caught_up()
    assert wire.done.is_set()
    await stage.assert_exact()


@pytest.mark.parametrize("arrives", [True, False], ids=["done", "not done"])
async def test_a_sale_of_unknown_outcome_has_one_answer(stage: Stage, arrives: bool) -> None:
    headers, sale = await open_shop(stage), SOLD | {"external_id": "R-1"}
    async with Wire(stage.database_url) as wire, client_of(stage, headers, MEREAU_DATABASE_URL=wire.url) as client:
        wire.cut(b"insert into sales (", arrives=arrives)
        lost = await post(client, "/sales", sale, "till-1")
        again = await post(client, "/sales", sale, "till-1")
    assert wire.done.is_set()
    # The API reads again by itself what became of the commit; the caller sees one answer, however often it asks.
    assert (lost.status_code, again.status_code) == (201, 201)
    assert again.headers.get("idempotent-replayed") == "true"
    assert lost.content == again.content
    assert len(await stage.ledger.rows("select 1 from sales")) == 1
    await stage.finished()
    await stage.assert_exact()
    assert sorted(await stage.minted()) == [12, 100]


async def test_a_failover_in_the_middle_of_everything_loses_nothing(stage: Stage) -> None:
    """Every connection breaks at once and new ones are refused for a while; then it happens again."""
    headers = await open_shop(stage)
    sold = 0
    async with client_of(stage, headers) as client, stage.working():
        for _ in range(3):
            for _ in range(3):
                sold += 1
                sale = SOLD | {"external_id": f"R-{sold}"}
                assert (await post(client, "/sales", sale, f"till-{sold}")).status_code == 201
            await stage.mine()
            with stage.database_away():
                refused = await post(client, "/sales", SOLD | {"external_id": "R-0"}, "till-0")
                assert refused.status_code == 503
            await stage.until(lambda: answers(client), "the database again")
        await stage.settled()
        await stage.caught_up()
    await stage.assert_exact()
    assert sorted(await stage.minted()) == [12] * sold + [100]


async def answers(client: object) -> bool:
    response = await client.get("/readyz")  # type: ignore[attr-defined] - one of httpx
    return "The database does not answer." not in response.json()["reasons"]


async def test_one_connection_serves_a_crowd(stage: Stage) -> None:
    headers = await open_shop(stage)
    async with client_of(stage, headers, MEREAU_POOL_CONNECTIONS_MAX="1") as client:
        sales = [SOLD | {"external_id": f"R-{number}"} for number in range(20)]
        served = await asyncio.gather(*(post(client, "/sales", sale, sale["external_id"]) for sale in sales))
    assert {response.status_code for response in served} == {201}
    async with stage.working(MEREAU_POOL_CONNECTIONS_MAX="3"):
        await stage.settled()
        await stage.caught_up()
    await stage.assert_exact()
    assert sorted(await stage.minted()) == [12] * 20 + [100]
